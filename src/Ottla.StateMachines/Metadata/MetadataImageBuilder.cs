using System.Collections.Immutable;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Metadata;

/// <summary>Applies records to an image, and collects what they touch. Lives for one batch; not thread-safe.</summary>
internal sealed class MetadataImageBuilder(MetadataImage image)
{
    private readonly TopicsBuilder _topics = new(image.Topics);
    private readonly MetadataTouched _touched = new();

    private MetadataVersion? _metadataVersion = image.Features.MetadataVersion;
    private ImmutableSortedDictionary<string, short> _features = image.Features.Levels;
    private ImmutableSortedDictionary<int, BrokerRegistration> _brokers = image.Cluster.Brokers;
    private ImmutableSortedDictionary<int, ControllerRegistration> _controllers = image.Cluster.Controllers;
    private ImmutableDictionary<ConfigResource, ImmutableSortedDictionary<string, string>> _configs = image.Configs.ByResource;
    private ImmutableDictionary<ClientQuotaEntity, ImmutableSortedDictionary<string, double>> _quotas = image.ClientQuotas.ByEntity;
    private ImmutableDictionary<Uuid, AclEntry> _acls = image.Acls.ById;
    private ImmutableDictionary<ScramKey, ScramCredential> _scram = image.Scram.ByUser;
    private ImmutableDictionary<string, DelegationToken> _tokens = image.DelegationTokens.ById;
    private long _nextProducerId = image.NextProducerId;

    /// <summary>Applies one record.</summary>
    /// <exception cref="MetadataException">The record cannot be applied.</exception>
    public void Replay(IRecordMessage message, long offset)
    {
        switch (message)
        {
            case PartitionChangeRecord record:
                _topics.Change(record);
                break;
            case PartitionRecord record:
                _topics.Add(record);
                break;
            case TopicRecord record:
                _topics.Add(record);
                break;
            case RemoveTopicRecord record:
                RemoveTopic(record);
                break;
            case ClearElrRecord record:
                _topics.ClearElr(record.TopicName);
                break;
            case ConfigRecord record:
                Replay(record);
                break;
            case FeatureLevelRecord record:
                Replay(record);
                break;
            case ClientQuotaRecord record:
                Replay(record);
                break;
            case ProducerIdsRecord record:
                _nextProducerId = record.NextProducerId;
                break;
            case NoOpRecord or ZkMigrationStateRecord:
                // Like Kafka 4, Ottla ignores the state of the migration from ZooKeeper, which is over.
                break;
            case BeginTransactionRecord or EndTransactionRecord or AbortTransactionRecord:
                throw new MetadataException("The metadata image got a transaction marker, which the replayer must handle.");
            default:
                if (!ReplayRegistration(message, offset) && !ReplaySecurity(message))
                    throw new MetadataException($"Unknown metadata record type {message.RecordKey} ({message.GetType().Name}).");
                break;
        }
    }

    /// <summary>Returns the image after the records, and what changed.</summary>
    public MetadataDelta Build(MetadataProvenance provenance)
    {
        var topics = _topics.Build();
        _touched.Topics.UnionWith(_topics.Touched);
        var result = image with
        {
            Provenance = provenance,
            Features = ReferenceEquals(_features, image.Features.Levels) && _metadataVersion == image.Features.MetadataVersion
                ? image.Features
                : new FeaturesImage(_metadataVersion, _features),
            Cluster = ReferenceEquals(_brokers, image.Cluster.Brokers) && ReferenceEquals(_controllers, image.Cluster.Controllers)
                ? image.Cluster
                : new ClusterImage(_brokers, _controllers),
            Topics = topics,
            Configs = ReferenceEquals(_configs, image.Configs.ByResource) ? image.Configs : new ConfigsImage(_configs),
            ClientQuotas = ReferenceEquals(_quotas, image.ClientQuotas.ByEntity) ? image.ClientQuotas : new ClientQuotasImage(_quotas),
            NextProducerId = _nextProducerId,
            Acls = ReferenceEquals(_acls, image.Acls.ById) ? image.Acls : new AclsImage(_acls),
            Scram = ReferenceEquals(_scram, image.Scram.ByUser) ? image.Scram : new ScramImage(_scram),
            DelegationTokens = ReferenceEquals(_tokens, image.DelegationTokens.ById)
                ? image.DelegationTokens
                : new DelegationTokensImage(_tokens),
        };
        return new MetadataDelta(image, result, _touched);
    }

    private bool ReplayRegistration(IRecordMessage message, long offset)
    {
        switch (message)
        {
            case RegisterBrokerRecord record:
                SetBroker(BrokerRegistration.From(record, offset));
                return true;
            case UnregisterBrokerRecord record:
                _brokers = _brokers.Remove(Broker(record.BrokerId, record.BrokerEpoch, nameof(UnregisterBrokerRecord)).Id);
                _touched.Brokers.Add(record.BrokerId);
                return true;
            case FenceBrokerRecord record:
                SetBroker(Broker(record.Id, record.Epoch, nameof(FenceBrokerRecord)) with { Fenced = true });
                return true;
            case UnfenceBrokerRecord record:
                SetBroker(Broker(record.Id, record.Epoch, nameof(UnfenceBrokerRecord)) with { Fenced = false });
                return true;
            case BrokerRegistrationChangeRecord record:
                Replay(record);
                return true;
            case RegisterControllerRecord record:
                _controllers = _controllers.SetItem(record.ControllerId, ControllerRegistration.From(record));
                _touched.Controllers.Add(record.ControllerId);
                return true;
            case UnregisterControllerRecord record:
                if (!_controllers.ContainsKey(record.ControllerId))
                    throw new MetadataException($"A record unregisters controller {record.ControllerId}, which is not registered.");
                _controllers = _controllers.Remove(record.ControllerId);
                _touched.Controllers.Add(record.ControllerId);
                return true;
            default:
                return false;
        }
    }

    private bool ReplaySecurity(IRecordMessage message)
    {
        switch (message)
        {
            case AccessControlEntryRecord r:
                _acls = _acls.SetItem(
                    r.Id, new AclEntry(
                        r.Id, r.ResourceType, r.ResourceName, r.PatternType, r.Principal, r.Host, r.Operation, r.PermissionType));
                _touched.Acls.Add(r.Id);
                return true;
            case RemoveAccessControlEntryRecord r:
                if (!_acls.ContainsKey(r.Id))
                    throw new MetadataException($"A record removes access control entry {r.Id}, which does not exist.");
                _acls = _acls.Remove(r.Id);
                _touched.Acls.Add(r.Id);
                return true;
            case UserScramCredentialRecord r:
                _scram = _scram.SetItem(
                    new ScramKey(r.Name, r.Mechanism), new ScramCredential([.. r.Salt], [.. r.StoredKey], [.. r.ServerKey], r.Iterations));
                _touched.Scram.Add(new ScramKey(r.Name, r.Mechanism));
                return true;
            case RemoveUserScramCredentialRecord r:
                _scram = _scram.Remove(new ScramKey(r.Name, r.Mechanism));
                _touched.Scram.Add(new ScramKey(r.Name, r.Mechanism));
                return true;
            case DelegationTokenRecord r:
                _tokens = _tokens.SetItem(
                    r.TokenId,
                    new DelegationToken(
                        r.TokenId, r.Owner, r.Requester, [.. r.Renewers], r.IssueTimestamp, r.MaxTimestamp, r.ExpirationTimestamp));
                _touched.Tokens.Add(r.TokenId);
                return true;
            case RemoveDelegationTokenRecord r:
                _tokens = _tokens.Remove(r.TokenId);
                _touched.Tokens.Add(r.TokenId);
                return true;
            default:
                return false;
        }
    }

    private void Replay(BrokerRegistrationChangeRecord record)
    {
        var broker = Broker(record.BrokerId, record.BrokerEpoch, nameof(BrokerRegistrationChangeRecord));
        SetBroker(broker with
        {
            Fenced = record.Fenced switch
            {
                0 => broker.Fenced,
                1 => true,
                -1 => false,
                _ => throw new MetadataException($"A record of broker {broker.Id} has the unknown fencing change {record.Fenced}."),
            },
            InControlledShutdown = record.InControlledShutdown switch
            {
                0 => broker.InControlledShutdown,
                1 => true,
                _ => throw new MetadataException(
                    $"A record of broker {broker.Id} has the unknown controlled shutdown change {record.InControlledShutdown}."),
            },
            LogDirs = record.LogDirs.Length == 0 ? broker.LogDirs : [.. record.LogDirs.Order()],
            CordonedLogDirs = record.CordonedLogDirs is null ? broker.CordonedLogDirs : [.. record.CordonedLogDirs],
        });
    }

    private BrokerRegistration Broker(int id, long epoch, string record)
    {
        if (!_brokers.TryGetValue(id, out var broker))
            throw new MetadataException($"A {record} names broker {id}, which is not registered.");
        return broker.Epoch == epoch
            ? broker
            : throw new MetadataException($"A {record} names broker {id} with epoch {epoch}, but its epoch is {broker.Epoch}.");
    }

    private void SetBroker(BrokerRegistration broker)
    {
        _brokers = _brokers.SetItem(broker.Id, broker);
        _touched.Brokers.Add(broker.Id);
    }

    private void RemoveTopic(RemoveTopicRecord record)
    {
        var resource = ConfigResource.Topic(_topics.Remove(record.TopicId));
        if (_configs.ContainsKey(resource))
        {
            _configs = _configs.Remove(resource);
            _touched.Configs.Add(resource);
        }
    }

    private void Replay(ConfigRecord record)
    {
        var resource = new ConfigResource((ConfigResourceType)record.ResourceType, record.ResourceName);
        var configs = _configs.GetValueOrDefault(resource, ConfigsImage.None);
        configs = record.Value is null ? configs.Remove(record.Name) : configs.SetItem(record.Name, record.Value);
        _configs = configs.IsEmpty ? _configs.Remove(resource) : _configs.SetItem(resource, configs);

        // Also when the value stays the same: a record for a broker makes it reload the files that the value names (KAFKA-14136).
        _touched.Configs.Add(resource);
    }

    private void Replay(FeatureLevelRecord record)
    {
        if (record.Name == Feature.KRaftVersion)
            return; // Some versions of Kafka wrote this record by mistake (KAFKA-18979). Raft's own control record counts.
        _touched.Features.Add(record.Name);
        if (record.Name == MetadataVersion.FeatureName)
        {
            var version = new MetadataVersion(record.FeatureLevel);
            if (!version.IsKnown)
            {
                throw new MetadataException(
                    $"The metadata log has metadata.version {record.FeatureLevel}, but this Ottla supports only "
                    + $"{MetadataVersion.Minimum.Level} ({MetadataVersion.Minimum}) "
                    + $"to {MetadataVersion.Latest.Level} ({MetadataVersion.Latest}). Run a version of Ottla that supports it.");
            }

            _metadataVersion = version;
        }
        else
        {
            _features = record.FeatureLevel == 0 ? _features.Remove(record.Name) : _features.SetItem(record.Name, record.FeatureLevel);
        }
    }

    private void Replay(ClientQuotaRecord record)
    {
        var entity = new ClientQuotaEntity(
            record.Entity.ToImmutableSortedDictionary(part => part.EntityType, part => part.EntityName, StringComparer.Ordinal));
        var quotas = _quotas.GetValueOrDefault(entity, ClientQuotasImage.None);
        quotas = record.Remove ? quotas.Remove(record.Key) : quotas.SetItem(record.Key, record.Value);
        _quotas = quotas.IsEmpty ? _quotas.Remove(entity) : _quotas.SetItem(entity, quotas);
        _touched.Quotas.Add(entity);
    }
}
