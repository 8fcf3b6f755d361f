using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Security;

/// <summary>Access control entries as Kafka writes them.</summary>
internal static class AclText
{
    /// <summary>An entry without its resource.</summary>
    public static string EntryOf(AclBinding acl) =>
        $"(principal={acl.Principal}, host={acl.Host}, operation={NameOf(acl.Operation)}, permissionType={JavaEnums.Of(acl.Permission)})";

    /// <summary>A resource.</summary>
    public static string ResourceOf(AclBinding acl) => ResourceOf(acl.ResourceType, acl.ResourceName, acl.PatternType);

    /// <summary>A resource, or a filter of resources.</summary>
    public static string ResourceOf(ResourceType type, string name, AclPatternType pattern) =>
        $"ResourcePattern(resourceType={NameOf(type)}, name={name}, patternType={JavaEnums.Of(pattern)})";

    /// <summary>The name of a kind of resource: <c>TRANSACTIONAL_ID</c>.</summary>
    public static string NameOf(ResourceType type) => JavaEnums.Of(type);

    /// <summary>The name of an operation: <c>IDEMPOTENT_WRITE</c>.</summary>
    public static string NameOf(AclOperation operation) => operation == AclBinding.AllOperations ? "ALL" : JavaEnums.Of(operation);

    /// <summary>The operation of a name in any case; null when there is none.</summary>
    public static AclOperation? OperationOf(string name) =>
        string.Equals(name, "All", StringComparison.OrdinalIgnoreCase) ? AclBinding.AllOperations
        : Enum.TryParse<AclOperation>(name, ignoreCase: true, out var operation) && Enum.IsDefined(operation) ? operation : null;

    /// <summary>What may be allowed or denied on a kind of resource.</summary>
    public static AclOperation[] OperationsOf(ResourceType type) => type switch
    {
        ResourceType.Topic =>
        [
            AclOperation.Read, AclOperation.Write, AclOperation.Create, AclOperation.Describe, AclOperation.Delete, AclOperation.Alter,
            AclOperation.DescribeConfigs, AclOperation.AlterConfigs, AclBinding.AllOperations,
        ],
        ResourceType.Group =>
        [
            AclOperation.Read, AclOperation.Describe, AclOperation.Delete, AclOperation.DescribeConfigs, AclOperation.AlterConfigs,
            AclBinding.AllOperations,
        ],
        ResourceType.Cluster =>
        [
            AclOperation.Create, AclOperation.ClusterAction, AclOperation.DescribeConfigs, AclOperation.AlterConfigs,
            AclOperation.IdempotentWrite, AclOperation.Alter, AclOperation.Describe, AclBinding.AllOperations,
        ],
        ResourceType.TransactionalId =>
            [AclOperation.Describe, AclOperation.Write, AclOperation.TwoPhaseCommit, AclBinding.AllOperations],
        ResourceType.DelegationToken => [AclOperation.Describe, AclBinding.AllOperations],
        _ => [AclOperation.CreateTokens, AclOperation.DescribeTokens, AclBinding.AllOperations],
    };
}
