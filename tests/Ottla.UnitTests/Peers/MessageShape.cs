using System.Collections;
using System.Globalization;
using System.Reflection;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Peers;

/// <summary>
/// A message field by field, without what differs between any two runs: which node, which directory, which offset, which epoch.
/// </summary>
internal static class MessageShape
{
    /// <summary>Fields of which only counts whether they are zero, unknown, the largest value, or something else.</summary>
    private static readonly HashSet<string> Numbers =
    [
        "ReplicaEpoch", "LastOffsetEpoch", "LastOffset", "LeaderEpoch", "CurrentLeaderEpoch", "FetchOffset", "LastFetchedEpoch",
            "HighWatermark",
        "LogStartOffset", "EndOffset", "Epoch", "Position", "Size", "BrokerEpoch", "PreviousBrokerEpoch", "CurrentMetadataOffset",
        "ProducerIdStart", "PartitionIndex",
    ];

    /// <summary>Fields of which only counts whether they are there.</summary>
    private static readonly HashSet<string> Names = ["ClusterId", "Host", "Port"];

    /// <summary>Fields that name nodes.</summary>
    private static readonly HashSet<string> Nodes = [
        "VoterId", "ReplicaId", "LeaderId", "CandidateId", "NodeId", "BrokerId", "ControllerId"];

    public static string Of(RecordedMessage message) => $"{message.Api} v{message.Version} {string.Join(' ', Fields(message))}";

    /// <summary>
    /// The fields as name=value, each once, by name: lists of nodes, directories and features have no fixed length or order.
    /// </summary>
    public static IEnumerable<string> Fields(RecordedMessage message) =>
        Flatten("", Read(message)).Distinct().Order(StringComparer.Ordinal);

    private static object Read(RecordedMessage message) => (message.Api, message.IsRequest) switch
    {
        (ApiKey.Vote, true) => message.Read<VoteRequest>(),
        (ApiKey.Vote, false) => message.Read<VoteResponse>(),
        (ApiKey.BeginQuorumEpoch, true) => message.Read<BeginQuorumEpochRequest>(),
        (ApiKey.BeginQuorumEpoch, false) => message.Read<BeginQuorumEpochResponse>(),
        (ApiKey.EndQuorumEpoch, true) => message.Read<EndQuorumEpochRequest>(),
        (ApiKey.EndQuorumEpoch, false) => message.Read<EndQuorumEpochResponse>(),
        (ApiKey.Fetch, true) => message.Read<FetchRequest>(),
        (ApiKey.Fetch, false) => message.Read<FetchResponse>(),
        (ApiKey.FetchSnapshot, true) => message.Read<FetchSnapshotRequest>(),
        (ApiKey.FetchSnapshot, false) => message.Read<FetchSnapshotResponse>(),
        (ApiKey.AddRaftVoter, true) => message.Read<AddRaftVoterRequest>(),
        (ApiKey.AddRaftVoter, false) => message.Read<AddRaftVoterResponse>(),
        (ApiKey.RemoveRaftVoter, true) => message.Read<RemoveRaftVoterRequest>(),
        (ApiKey.RemoveRaftVoter, false) => message.Read<RemoveRaftVoterResponse>(),
        (ApiKey.UpdateRaftVoter, true) => message.Read<UpdateRaftVoterRequest>(),
        (ApiKey.UpdateRaftVoter, false) => message.Read<UpdateRaftVoterResponse>(),
        (ApiKey.ApiVersions, true) => message.Read<ApiVersionsRequest>(),
        (ApiKey.BrokerRegistration, true) => message.Read<BrokerRegistrationRequest>(),
        (ApiKey.BrokerRegistration, false) => message.Read<BrokerRegistrationResponse>(),
        (ApiKey.BrokerHeartbeat, true) => message.Read<BrokerHeartbeatRequest>(),
        (ApiKey.BrokerHeartbeat, false) => message.Read<BrokerHeartbeatResponse>(),
        (ApiKey.ControllerRegistration, true) => message.Read<ControllerRegistrationRequest>(),
        (ApiKey.ControllerRegistration, false) => message.Read<ControllerRegistrationResponse>(),
        (ApiKey.AllocateProducerIds, true) => message.Read<AllocateProducerIdsRequest>(),
        (ApiKey.AllocateProducerIds, false) => message.Read<AllocateProducerIdsResponse>(),
        (ApiKey.AssignReplicasToDirs, true) => message.Read<AssignReplicasToDirsRequest>(),
        (ApiKey.AssignReplicasToDirs, false) => message.Read<AssignReplicasToDirsResponse>(),
        (ApiKey.Envelope, true) => message.Read<EnvelopeRequest>(),
        (ApiKey.Envelope, false) => WithoutOurTag(message.Read<EnvelopeResponse>()),
        _ => throw new ArgumentException($"{message} has no shape", nameof(message)),
    };

    /// <summary>Our controllers say in a tagged field of the envelope which offset the answer speaks of; Kafka passes over it.</summary>
    private static EnvelopeResponse WithoutOurTag(EnvelopeResponse response)
    {
        if (response.UnknownTaggedFields is [{ Data.Length: sizeof(long) }])
            response.UnknownTaggedFields = null;
        return response;
    }

    private static IEnumerable<string> Flatten(string name, object? value)
    {
        switch (value)
        {
            case null:
                return [$"{name}=null"];
            case byte[] bytes:
                return [$"{name}={(name == nameof(EnvelopeRequest.RequestPrincipal) ? Convert.ToHexString(bytes) : "some")}"];
            case BrokerRegistrationRequest.Feature feature:
                return [$"{name}={feature.Name}:{feature.MinSupportedVersion}-{feature.MaxSupportedVersion}"];
            case ControllerRegistrationRequest.Feature feature:
                return [$"{name}={feature.Name}:{feature.MinSupportedVersion}-{feature.MaxSupportedVersion}"];
            case string or Uuid:
            case ValueType and not Records:
                return [$"{name}={Mask(name, value)}"];
            case Records records:
                return [$"{name}={(records.IsNull ? "null" : records.Length == 0 ? "empty" : "some")}"];
            case IEnumerable many:
                var items = many.Cast<object>().ToArray();
                return items.Length == 0 ? [$"{name}=[]"] : items.SelectMany(item => Flatten($"{name}[]", item));
            default:
                return value.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance)
                    .SelectMany(
                        property => Flatten(name.Length == 0 ? property.Name : $"{name}.{property.Name}", property.GetValue(value)));
        }
    }

    private static string Mask(string path, object value)
    {
        var name = path[(path.LastIndexOf('.') + 1)..];
        if (value is Uuid uuid)
            return uuid == Uuid.Zero ? "zero" : uuid == Uuid.One ? "one" : "some";
        if (Names.Contains(name))
            return value is "" or 0 or (ushort)0 ? "none" : "some";
        if (Nodes.Contains(name))
            return Convert.ToInt64(value, CultureInfo.InvariantCulture) < 0 ? $"{value}" : "node";
        if (Numbers.Contains(name))
            return Convert.ToInt64(value, CultureInfo.InvariantCulture) switch
            {
                -1 => "-1",
                0 => "0",
                long.MaxValue => "max",
                _ => "n",
            };
        return Convert.ToString(value, CultureInfo.InvariantCulture)!;
    }
}
