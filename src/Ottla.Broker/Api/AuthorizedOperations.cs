using Ottla.Protocol;
using static Ottla.Protocol.AclOperation;

namespace Ottla.Broker.Api;

/// <summary>
/// The operations that a client may do on a resource, as bits (KIP-430). There is no authorizer, so a client may do all of them.
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

    private static int BitsOf(params ReadOnlySpan<AclOperation> operations)
    {
        var bits = 0;
        foreach (var operation in operations)
            bits |= 1 << (int)operation;
        return bits;
    }
}
