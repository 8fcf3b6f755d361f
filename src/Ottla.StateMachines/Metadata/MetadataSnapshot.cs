using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.StateMachines.Metadata;

/// <summary>
/// Writes an image as the records of a snapshot (KIP-630). The sections have Kafka's order and are sorted inside, so that equal images give
/// equal snapshots.
/// </summary>
internal static class MetadataSnapshot
{
    /// <summary>
    /// The records, in the versions of the image's metadata.version. Anything that this version cannot express is omitted.
    /// </summary>
    public static IEnumerable<MetadataRecord> Records(MetadataImage image)
    {
        var version = image.Features.MetadataVersionOrThrow;

        // metadata.version comes first, because it determines how to read the records that follow.
        yield return FeatureLevel(MetadataVersion.FeatureName, version.Level);
        foreach (var (name, level) in image.Features.Levels)
            yield return FeatureLevel(name, level);

        foreach (var broker in image.Cluster.Brokers.Values)
            yield return broker.ToRecord(version);
        if (version.SupportsControllerRegistration)
        {
            foreach (var controller in image.Cluster.Controllers.Values)
                yield return controller.ToRecord();
        }

        foreach (var topic in image.Topics.ById.Values.OrderBy(topic => topic.Name, StringComparer.Ordinal))
        {
            yield return new MetadataRecord(new TopicRecord { Name = topic.Name, TopicId = topic.Id }, 0);
            for (var i = 0; i < topic.Partitions.Length; i++)
                yield return topic.Partitions[i].ToRecord(topic.Id, i, version, image.Features.IsElrEnabled);
        }

        foreach (var record in Configs(image).Concat(ClientQuotas(image)))
            yield return record;
        if (image.NextProducerId >= 0)
            yield return new MetadataRecord(
                new ProducerIdsRecord { BrokerId = -1, BrokerEpoch = -1, NextProducerId = image.NextProducerId }, 0);
        foreach (var record in Security(image, version))
            yield return record;
    }

    private static MetadataRecord FeatureLevel(string name, short level) =>
        new(new FeatureLevelRecord { Name = name, FeatureLevel = level }, 0);

    private static IEnumerable<MetadataRecord> Configs(MetadataImage image)
    {
        foreach (var (resource, configs) in image.Configs.ByResource.OrderBy(entry => entry.Key.Type)
            .ThenBy(entry => entry.Key.Name, StringComparer.Ordinal))
        {
            foreach (var (name, value) in configs)
            {
                yield return new MetadataRecord(
                    new ConfigRecord { ResourceType = (sbyte)resource.Type, ResourceName = resource.Name, Name = name, Value = value }, 0);
            }
        }
    }

    private static IEnumerable<MetadataRecord> ClientQuotas(MetadataImage image)
    {
        var sorted = image.ClientQuotas.ByEntity.OrderBy(
            entry => string.Join('\0', entry.Key.Parts.Select(part => $"{part.Key}={part.Value ?? "\u0001"}")), StringComparer.Ordinal);
        foreach (var (entity, quotas) in sorted)
        {
            foreach (var (key, value) in quotas)
            {
                yield return new MetadataRecord(
                    new ClientQuotaRecord
                    {
                        Entity = [.. entity.Parts
                            .Select(part => new ClientQuotaRecord.EntityData { EntityType = part.Key, EntityName = part.Value })],
                        Key = key,
                        Value = value,
                    },
                    0);
            }
        }
    }

    private static IEnumerable<MetadataRecord> Security(MetadataImage image, MetadataVersion version)
    {
        foreach (var acl in image.Acls.ById.Values.OrderBy(acl => acl.Id))
        {
            yield return new MetadataRecord(
                new AccessControlEntryRecord
                {
                    Id = acl.Id,
                    ResourceType = acl.ResourceType,
                    ResourceName = acl.ResourceName,
                    PatternType = acl.PatternType,
                    Principal = acl.Principal,
                    Host = acl.Host,
                    Operation = acl.Operation,
                    PermissionType = acl.PermissionType,
                },
                0);
        }

        if (version.SupportsScram)
        {
            foreach (var (key, credential) in image.Scram.ByUser.OrderBy(entry => entry.Key.Mechanism)
                .ThenBy(entry => entry.Key.User, StringComparer.Ordinal))
            {
                yield return new MetadataRecord(
                    new UserScramCredentialRecord
                    {
                        Name = key.User,
                        Mechanism = key.Mechanism,
                        Salt = [.. credential.Salt],
                        StoredKey = [.. credential.StoredKey],
                        ServerKey = [.. credential.ServerKey],
                        Iterations = credential.Iterations,
                    },
                    0);
            }
        }

        if (version.SupportsDelegationTokens)
        {
            foreach (var token in image.DelegationTokens.ById.Values.OrderBy(token => token.TokenId, StringComparer.Ordinal))
            {
                yield return new MetadataRecord(
                    new DelegationTokenRecord
                    {
                        Owner = token.Owner,
                        Requester = token.Requester,
                        Renewers = [.. token.Renewers],
                        IssueTimestamp = token.IssueTimestampMs,
                        MaxTimestamp = token.MaxTimestampMs,
                        ExpirationTimestamp = token.ExpirationTimestampMs,
                        TokenId = token.TokenId,
                    },
                    0);
            }
        }
    }
}
