using System.Collections.Immutable;
using System.Globalization;
using Ottla.Cli.KafkaTools.Security;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;
using DelegationToken = Ottla.StateMachines.Metadata.DelegationToken;

namespace Ottla.Cli.KafkaTools.MetadataShell;

/// <summary>What is in a metadata image, each as a line as Kafka's classes write themselves.</summary>
internal static class RegistrationText
{
    /// <summary>The position of an image.</summary>
    public static string Of(MetadataProvenance position) =>
        $"offset {position.LastOffset}, epoch {position.LastEpoch}, time "
        + DateTimeOffset.FromUnixTimeMilliseconds(position.LastTimestampMs)
            .ToString("yyyy-MM-ddTHH:mm:ss.FFF'Z[UTC]'", CultureInfo.InvariantCulture);

    /// <summary>A broker.</summary>
    public static string Of(BrokerRegistration broker) =>
        $"BrokerRegistration(id={broker.Id}, epoch={broker.Epoch}, incarnationId={broker.IncarnationId}, "
        + $"listeners=[{Of(broker.Endpoints)}], supportedFeatures={{{Of(broker.Features)}}}, "
        + $"rack={(broker.Rack is { } rack ? $"Optional[{rack}]" : "Optional.empty")}, fenced={Of(broker.Fenced)}, "
        + $"inControlledShutdown={Of(broker.InControlledShutdown)}, isMigratingZkBroker={Of(broker.IsMigratingZkBroker)}, "
        + $"directories={List(broker.LogDirs)}, "
        + $"cordonedDirectories={(broker.CordonedLogDirs.IsDefault ? "null" : List(broker.CordonedLogDirs))})";

    /// <summary>A controller.</summary>
    public static string Of(ControllerRegistration controller) =>
        $"ControllerRegistration(id={controller.Id}, incarnationId={controller.IncarnationId}, "
        + $"zkMigrationReady={Of(controller.ZkMigrationReady)}, listeners=[{Of(controller.Endpoints)}], "
        + $"supportedFeatures={{{Of(controller.Features)}}})";

    /// <summary>A partition.</summary>
    public static string Of(PartitionRegistration partition) =>
        $"PartitionRegistration(replicas={List(partition.Replicas)}, directories={List(partition.Directories)}, "
        + $"isr={List(partition.Isr)}, removingReplicas={List(partition.RemovingReplicas)}, "
        + $"addingReplicas={List(partition.AddingReplicas)}, elr={List(partition.EligibleLeaderReplicas)}, "
        + $"lastKnownElr={List(partition.LastKnownElr)}, leader={partition.Leader}, "
        + $"leaderRecoveryState={JavaEnums.Of(partition.LeaderRecoveryState)}, leaderEpoch={partition.LeaderEpoch}, "
        + $"partitionEpoch={partition.PartitionEpoch})";

    /// <summary>An access control entry.</summary>
    public static string Of(AclEntry acl) =>
        $"StandardAcl[resourceType={JavaEnums.Of((ResourceType)acl.ResourceType)}, resourceName={acl.ResourceName}, "
        + $"patternType={JavaEnums.Of((AclPatternType)acl.PatternType)}, principal={acl.Principal}, host={acl.Host}, "
        + $"operation={AclText.NameOf((AclOperation)acl.Operation)}, permissionType={JavaEnums.Of((AclPermission)acl.PermissionType)}]";

    /// <summary>A SCRAM credential: salt and keys, as the file has them.</summary>
    public static string Of(ScramCredential credential) =>
        $"ScramCredentialData(salt={Hex(credential.Salt)}, storedKey={Hex(credential.StoredKey)}, "
        + $"serverKey={Hex(credential.ServerKey)}, iterations={credential.Iterations})";

    /// <summary>A delegation token, whose brackets Kafka writes like this.</summary>
    public static string Of(DelegationToken token) =>
        $"DelegationTokenDatatokenId={token.TokenId}(owner={token.Owner}(tokenRequester={token.Requester}"
        + $"(renewers={string.Join(' ', token.Renewers)}, issueTimestamp={token.IssueTimestampMs}, "
        + $"maxTimestamp={token.MaxTimestampMs}), expiryTimestamp={token.ExpirationTimestampMs}";

    private static string Of(bool value) => value ? "true" : "false";

    private static string Of(ImmutableArray<Endpoint> endpoints) => string.Join(
        ", ", endpoints.OrderBy(endpoint => endpoint.Listener, StringComparer.Ordinal).Select(endpoint =>
            $"Endpoint(listenerName='{endpoint.Listener}', securityProtocol={(SecurityProtocol)endpoint.SecurityProtocol}, "
            + $"host='{endpoint.Host}', port={endpoint.Port})"));

    private static string Of(ImmutableSortedDictionary<string, VersionRange> features) =>
        string.Join(", ", features.Select(feature => $"{feature.Key}: {feature.Value}"));

    private static string List<T>(ImmutableArray<T> items) => $"[{string.Join(", ", items)}]";

    private static string Hex(ImmutableArray<byte> bytes) => Convert.ToHexStringLower(bytes.AsSpan());
}
