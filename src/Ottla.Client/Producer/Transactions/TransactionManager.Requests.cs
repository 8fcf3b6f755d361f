using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Producing;

/// <summary>The requests to the coordinators of the transactional id and of groups.</summary>
internal sealed partial class TransactionManager
{
    private static readonly CallOptions Steady = new() { HasConstantBackoff = true };

    // Guarded by _lock.
    private readonly HashSet<TopicPartition> _joining = [];
    private bool _isJoining;

    private async Task InitializeAsync(CancellationToken cancellation)
    {
        var known = Producer;
        InitProducerIdResponse answer;
        try
        {
            answer = await _client.Calls.ToCoordinatorAsync<InitProducerIdRequest, InitProducerIdResponse>(
                CoordinatorType.Transaction, _id,
                version => new InitProducerIdRequest
                {
                    TransactionalId = _id,
                    TransactionTimeoutMs = (int)_options.TransactionTimeout.TotalMilliseconds,
                    ProducerId = version >= 3 && known is { } current ? current.Id : -1,
                    ProducerEpoch = version >= 3 && known is { } epoch ? epoch.Epoch : (short)-1,
                },
                answer => new ApiError((ErrorCode)answer.ErrorCode), Steady, cancellation);
        }
        catch (KafkaException e) when (e is not KafkaTimeoutException
            && e.ErrorCode is not (ErrorCode.ClusterAuthorizationFailed or ErrorCode.TransactionalIdAuthorizationFailed))
        {
            throw Note(ApiKey.InitProducerId, e);
        }

        var isVersion2 = await IsVersion2Async(cancellation);
        lock (_lock)
        {
            _producer = new ProducerIdAndEpoch(answer.ProducerId, answer.ProducerEpoch);
            _needsNextEpoch = false;
            _isVersion2 = isVersion2;
        }
    }

    /// <summary>Whether the cluster has <c>transaction.version</c> 2, as the coordinator said in ApiVersions.</summary>
    private async Task<bool> IsVersion2Async(CancellationToken cancellation)
    {
        var node = await _client.Calls.Coordinators.FindAsync(CoordinatorType.Transaction, _id, Steady, cancellation);
        var versions = _client.Connections.Shared.To(node).PeerVersions;
        return versions is not null
            && versions.Answer.FinalizedFeatures.Any(feature => feature.Name == "transaction.version" && feature.MaxVersionLevel >= 2);
    }

    private async Task EndAsync(bool isCommit, CancellationToken cancellation)
    {
        bool hasBegun, isVersion2;
        ProducerIdAndEpoch producer;
        lock (_lock)
            (hasBegun, isVersion2, producer) = (_hasBegun, _isVersion2, _producer!.Value);
        EndTxnResponse? answer = null;
        if (hasBegun)
        {
            try
            {
                answer = await _client.Calls.ToCoordinatorAsync<EndTxnRequest, EndTxnResponse>(
                    CoordinatorType.Transaction, _id,
                    _ => new EndTxnRequest
                    {
                        TransactionalId = _id,
                        ProducerId = producer.Id,
                        ProducerEpoch = producer.Epoch,
                        Committed = isCommit,
                    },
                    answer => new ApiError((ErrorCode)answer.ErrorCode),
                    Steady with { VersionMax = isVersion2 ? short.MaxValue : LastEndTxnBeforeVersion2 }, cancellation);
            }
            catch (KafkaException e)
            {
                throw isCommit || e is KafkaTimeoutException ? Note(ApiKey.EndTxn, e) : NoteFailedAbort(e);
            }
        }

        lock (_lock)
        {
            if (answer is { ProducerId: >= 0 })
            {
                _producer = new ProducerIdAndEpoch(answer.ProducerId, answer.ProducerEpoch);
                _needsNextEpoch = false;
            }

            _abortable = null;
            _state = TransactionState.None;
        }
    }

    private FatalProducerException NoteFailedAbort(KafkaException error)
    {
        var fatal = new FatalProducerException(error.ErrorCode, "The transaction cannot be aborted", error);
        lock (_lock)
            _fatal ??= fatal;
        Fail(fatal);
        return fatal;
    }

    /// <summary>See <see cref="ProducerTransaction.SendOffsetsAsync"/>.</summary>
    public async Task SendOffsetsAsync(PartitionOffset[] offsets, ConsumerGroupMetadata group, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            lock (_lock)
            {
                ThrowIfFatal();
                ThrowIfAbortable();
                if (_state != TransactionState.Open)
                    throw new InvalidOperationException("No transaction is open.");
                if (offsets.Length == 0)
                    return;
                _hasBegun |= _isVersion2;
            }

            await JoinGroupAsync(group.GroupId, cancellation);
            await CommitOffsetsAsync(offsets, group, cancellation);
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task JoinGroupAsync(string groupId, CancellationToken cancellation)
    {
        bool isVersion2;
        ProducerIdAndEpoch producer;
        lock (_lock)
            (isVersion2, producer) = (_isVersion2, _producer!.Value);
        if (isVersion2)
            return;
        try
        {
            await _client.Calls.ToCoordinatorAsync<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>(
                CoordinatorType.Transaction, _id,
                _ => new AddOffsetsToTxnRequest
                {
                    TransactionalId = _id,
                    ProducerId = producer.Id,
                    ProducerEpoch = producer.Epoch,
                    GroupId = groupId,
                },
                answer => new ApiError((ErrorCode)answer.ErrorCode), Steady, cancellation);
            lock (_lock)
                _hasBegun = true;
        }
        catch (KafkaException e)
        {
            if (e is KafkaTimeoutException)
                OnJoinTimedOut();
            throw Note(ApiKey.AddOffsetsToTxn, e);
        }
    }

    private async Task CommitOffsetsAsync(PartitionOffset[] offsets, ConsumerGroupMetadata group, CancellationToken cancellation)
    {
        bool isVersion2;
        ProducerIdAndEpoch producer;
        lock (_lock)
            (isVersion2, producer) = (_isVersion2, _producer!.Value);
        var options = Steady with { VersionMax = isVersion2 ? LastTxnOffsetCommitWithNames : LastTxnOffsetCommitBeforeVersion2 };
        try
        {
            await _client.Calls.ToCoordinatorAsync<TxnOffsetCommitRequest, TxnOffsetCommitResponse>(
                CoordinatorType.Group, group.GroupId, _ => RequestOf(offsets, group, producer),
                answer => answer.Topics.SelectMany(topic => topic.Partitions)
                    .Select(partition => new ApiError((ErrorCode)partition.ErrorCode)).FirstOrDefault(error => error.IsFailure),
                options, cancellation);
        }
        catch (KafkaTimeoutException e)
        {
            lock (_lock)
                _abortable ??= new AbortableTransactionException(e.ErrorCode, "Offsets may not be committed", e);
            throw;
        }
        catch (KafkaException e)
        {
            throw Note(ApiKey.TxnOffsetCommit, e);
        }
    }

    private TxnOffsetCommitRequest RequestOf(PartitionOffset[] offsets, ConsumerGroupMetadata group, ProducerIdAndEpoch producer) => new()
    {
        TransactionalId = _id,
        GroupId = group.GroupId,
        ProducerId = producer.Id,
        ProducerEpoch = producer.Epoch,
        GenerationIdOrMemberEpoch = group.GenerationId,
        MemberId = group.MemberId,
        GroupInstanceId = group.GroupInstanceId,
        Topics = [.. offsets.GroupBy(offset => offset.Partition.Topic).Select(
            topic => new TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
            {
                Name = topic.Key,
                Partitions = [.. topic.Select(each => new TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition
                {
                    PartitionIndex = each.Partition.Partition,
                    CommittedOffset = each.Offset.Offset,
                    CommittedLeaderEpoch = each.Offset.LeaderEpoch,
                    CommittedMetadata = each.Offset.Metadata,
                })],
            })],
    };

    /// <summary>Has a partition join the transaction, with those that want it meanwhile.</summary>
    private void RequestJoin(TopicPartition partition)
    {
        lock (_lock)
        {
            _joining.Add(partition);
            if (_isJoining)
                return;
            _isJoining = true;
        }

        _ = Detached.Start(_client.Options, JoinAsync);
    }

    private async Task JoinAsync()
    {
        while (true)
        {
            TopicPartition[] partitions;
            ProducerIdAndEpoch producer;
            lock (_lock)
            {
                partitions = [.. _joining];
                _joining.Clear();
                _isJoining = partitions.Length > 0;
                if (!_isJoining)
                    break;
                producer = _producer!.Value;
            }

            try
            {
                await _client.Calls.ToCoordinatorAsync<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>(
                    CoordinatorType.Transaction, _id, _ => RequestOf(partitions, producer), ErrorOf,
                    Steady with { VersionMax = LastAddPartitionsOfClients }, CancellationToken.None);
                lock (_lock)
                {
                    _joined.UnionWith(partitions);
                    _hasBegun = true;
                }
            }
            catch (KafkaTimeoutException)
            {
                OnJoinTimedOut(); // what waits for it asks again, until its own time is over
            }
            catch (KafkaException e)
            {
                Note(ApiKey.AddPartitionsToTxn, e);
            }
            catch (ObjectDisposedException e)
            {
                Note(ApiKey.EndTxn, new KafkaException(ErrorCode.NetworkException, "The client was closed", e));
            }

            Wake();
        }
    }

    /// <summary>
    /// The coordinator may have a transaction open of which this producer does not know: the next epoch, which the next transaction asks
    /// for, ends it.
    /// </summary>
    private void OnJoinTimedOut()
    {
        lock (_lock)
            _needsNextEpoch = true;
    }

    private AddPartitionsToTxnRequest RequestOf(TopicPartition[] partitions, ProducerIdAndEpoch producer) => new()
    {
        V3AndBelowTransactionalId = _id,
        V3AndBelowProducerId = producer.Id,
        V3AndBelowProducerEpoch = producer.Epoch,
        V3AndBelowTopics = [.. partitions.GroupBy(partition => partition.Topic).Select(
            topic => new AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
            {
                Name = topic.Key,
                Partitions = [.. topic.Select(partition => partition.Partition)],
            })],
    };

    /// <summary>The error that counts: one that is not mended by another attempt before one that is.</summary>
    private static ApiError ErrorOf(AddPartitionsToTxnResponse answer)
    {
        var errors = answer.ResultsByTopicV3AndBelow.SelectMany(topic => topic.ResultsByPartition)
            .Select(result => (ErrorCode)result.PartitionErrorCode).Where(error => error != ErrorCode.None).ToList();
        var others = errors.Where(error => error != ErrorCode.OperationNotAttempted).ToList();
        if (others.Count == 0)
            return new ApiError(errors.FirstOrDefault());
        var final = others.Find(error => !ErrorKinds.IsRetriable(error));
        return new ApiError(final != ErrorCode.None ? final : others[0]);
    }
}
