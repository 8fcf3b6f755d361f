using System.Buffers.Binary;
using System.Collections.Frozen;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Broker.Api;

/// <summary>What brokers and controllers agree on about requests that travel in an Envelope (KIP-590). Stateless.</summary>
internal static class Forwarding
{
    /// <summary>
    /// The tagged field of an Envelope response with the offset that a broker's metadata must reach before the client sees the change
    /// (docs/adr/0013). Kafka's brokers ignore it, and its controllers do not send it.
    /// </summary>
    private const uint MetadataOffsetTag = 10_000;

    /// <summary>The APIs that a broker may forward for a client.</summary>
    private static readonly FrozenSet<ApiKey> Forwardable = FrozenSet.Create(
        ApiKey.CreateTopics, ApiKey.DeleteTopics, ApiKey.CreatePartitions,
        ApiKey.AlterConfigs, ApiKey.IncrementalAlterConfigs,
        ApiKey.CreateAcls, ApiKey.DeleteAcls,
        ApiKey.CreateDelegationToken, ApiKey.RenewDelegationToken, ApiKey.ExpireDelegationToken,
        ApiKey.ElectLeaders, ApiKey.AlterPartitionReassignments, ApiKey.ListPartitionReassignments,
        ApiKey.AlterClientQuotas, ApiKey.AlterUserScramCredentials,
        ApiKey.DescribeQuorum, ApiKey.UpdateFeatures, ApiKey.AllocateProducerIds,
        ApiKey.UnregisterBroker, ApiKey.UnregisterController, ApiKey.AddRaftVoter, ApiKey.RemoveRaftVoter);

    /// <summary>The APIs that change no metadata, so that a broker has nothing to wait for.</summary>
    private static readonly FrozenSet<ApiKey> Unchanging = FrozenSet.Create(
        ApiKey.ListPartitionReassignments, ApiKey.DescribeQuorum, ApiKey.AddRaftVoter, ApiKey.RemoveRaftVoter);

    /// <summary>Whether a request of this API may travel in an Envelope.</summary>
    public static bool IsForwardable(ApiKey key) => Forwardable.Contains(key);

    /// <summary>Whether a request of this API may change the metadata.</summary>
    public static bool ChangesMetadata(ApiKey key) => !Unchanging.Contains(key);

    /// <summary>Tells the broker how far its metadata must be before it answers the client.</summary>
    public static void SetMetadataOffset(EnvelopeResponse response, long offset)
    {
        var bytes = new byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(bytes, offset);
        response.UnknownTaggedFields = [new RawTaggedField(MetadataOffsetTag, bytes)];
    }

    /// <summary>The offset of <see cref="SetMetadataOffset"/>; null when there is none.</summary>
    /// <exception cref="ProtocolException">The field is malformed.</exception>
    public static long? MetadataOffsetOf(EnvelopeResponse response)
    {
        foreach (var field in response.UnknownTaggedFields ?? [])
        {
            if (field.Tag != MetadataOffsetTag)
                continue;
            return BinaryPrimitives.TryReadInt64BigEndian(field.Data, out var offset)
                ? offset
                : throw new MalformedMessageException($"The metadata offset of an Envelope response has {field.Data.Length} bytes.");
        }

        return null;
    }
}
