using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.StateMachines.Authorization;
using static Ottla.Protocol.AclOperation;

namespace Ottla.Broker.Api;

/// <summary>
/// The operations that a kind of resource knows, as bits (KIP-430). A client is told of those that it may do.
/// </summary>
internal static class AuthorizedOperations
{
    /// <summary>The client did not ask for the operations.</summary>
    public const int NotRequested = int.MinValue;

    /// <summary>All operations of a topic.</summary>
    public static readonly int Topic = BitsOf(Read, Write, Create, Delete, Alter, Describe, DescribeConfigs, AlterConfigs);

    /// <summary>All operations of a group.</summary>
    public static readonly int Group = BitsOf(Read, Delete, Describe, DescribeConfigs, AlterConfigs);

    /// <summary>All operations of the cluster.</summary>
    public static readonly int Cluster =
        BitsOf(Create, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite);

    private static readonly int s_describe = BitsOf(Describe);

    /// <summary>The operations that a client may do on the cluster: none without the right to describe it.</summary>
    public static int OfCluster(Authorizer authorizer, in RequestContext context) =>
        authorizer.Operations(context, ResourceType.Cluster, AclBinding.ClusterName, Cluster) is var allowed && (allowed & s_describe) != 0
            ? allowed
            : 0;

    private static int BitsOf(params ReadOnlySpan<AclOperation> operations)
    {
        var bits = 0;
        foreach (var operation in operations)
            bits |= 1 << (int)operation;
        return bits;
    }
}
