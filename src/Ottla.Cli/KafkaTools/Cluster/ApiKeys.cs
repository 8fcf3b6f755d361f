using Ottla.Protocol.Messages;

namespace Ottla.Cli.KafkaTools.Cluster;

/// <summary>The APIs that clients use.</summary>
internal static class ApiKeys
{
    /// <summary>Those of Kafka 4.4 that a broker's listener has: the others are between nodes.</summary>
    public static IEnumerable<ApiKey> OfClients { get; } = Enum.GetValues<ApiKey>().Where(key => key
        is not (ApiKey.Vote or ApiKey.BeginQuorumEpoch or ApiKey.EndQuorumEpoch or ApiKey.AlterPartition or ApiKey.Envelope
        or ApiKey.FetchSnapshot or ApiKey.BrokerRegistration or ApiKey.BrokerHeartbeat or ApiKey.AllocateProducerIds
        or ApiKey.ControllerRegistration or ApiKey.AssignReplicasToDirs or ApiKey.UpdateRaftVoter));
}
