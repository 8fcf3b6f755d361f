using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Clients;

/// <summary>A transaction cannot be committed.</summary>
/// <param name="error">The broker's reason.</param>
/// <param name="isFatal">
/// Whether the producer can do nothing any more, such as when it was fenced. Else the transaction is to be aborted.
/// </param>
internal sealed class TransactionFailedException(ErrorCode error, bool isFatal)
    : Exception($"{(isFatal ? "the producer cannot go on" : "the transaction must be aborted")}: {error}")
{
    public bool IsFatal { get; } = isFatal;
}

/// <summary>A transactional producer, as Kafka's own: what it asks, what it asks again, and what it takes for the end.</summary>
/// <remarks>
/// It speaks the protocol of <c>transaction.version</c> 0 and 1, where partitions are added before they are written to, or that of 2
/// (KIP-890), where writing adds them and each end of a transaction begins a new epoch. Lives as long as its process; a fenced one is done.
/// </remarks>
/// <param name="client">What it asks through; its versions are bound here.</param>
/// <param name="transactionalId">Its transactional id.</param>
/// <param name="transactionVersion">The <c>transaction.version</c> that it knows to be finalized.</param>
/// <param name="transactionTimeout">How long its transactions may take.</param>
internal sealed class TransactionalProducer(SimClient client, string transactionalId, short transactionVersion, TimeSpan transactionTimeout)
{
    private const short FirstVersionThatBumpsEpoch = 2;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan LongPatience = TimeSpan.FromMinutes(3);

    private readonly Destination _coordinator = Destination.CoordinatorOfTransactions(transactionalId);
    private readonly HashSet<TopicPartition> _partitions = [];
    private readonly HashSet<string> _groups = [];
    private RecordSender? _sender;

    /// <summary>Called with each EndTxn once the producer has done with it, answered or not.</summary>
    public Action<EndTxnRequest>? OnEndSent { get; init; }

    /// <summary>The <c>transaction.version</c> that it goes by.</summary>
    public short TransactionVersion { get; private set; } = transactionVersion;

    private bool IsVersion2 => TransactionVersion >= FirstVersionThatBumpsEpoch;

    /// <summary>The versions of APIs that go with a finalized <c>transaction.version</c>.</summary>
    public static (ApiKey Key, short Lowest, short Highest)[] Versions(short transactionVersion) =>
        transactionVersion >= FirstVersionThatBumpsEpoch
        ? [(ApiKey.Produce, 12, 13), (ApiKey.EndTxn, 5, 5), (ApiKey.TxnOffsetCommit, 5, 5), (ApiKey.InitProducerId, 3, 5),
            (ApiKey.OffsetFetch, 8, 9), (ApiKey.FindCoordinator, 1, 6)]
        : [(ApiKey.Produce, 3, 11), (ApiKey.EndTxn, 0, 4), (ApiKey.TxnOffsetCommit, 0, 4), (ApiKey.InitProducerId, 3, 5),
            (ApiKey.OffsetFetch, 8, 9), (ApiKey.FindCoordinator, 1, 6), (ApiKey.AddPartitionsToTxn, 0, 3), (ApiKey.AddOffsetsToTxn, 0, 3)];

    private long ProducerId => _sender!.ProducerId;

    private short ProducerEpoch => _sender!.ProducerEpoch;

    /// <summary>Takes the transactional id over: fences whoever had it, and ends what that left open.</summary>
    /// <exception cref="TransactionFailedException">It was fenced meanwhile.</exception>
    public Task InitAsync() => InitAsync(producerId: -1, producerEpoch: -1);

    /// <summary>
    /// Hears of another finalized <c>transaction.version</c>, between two transactions: the epoch and the numbers in it go on.
    /// </summary>
    public void Learn(short transactionVersion)
    {
        TransactionVersion = transactionVersion;
        client.Rebind(Versions(transactionVersion));
    }

    /// <summary>Sends a record in the transaction.</summary>
    /// <returns>Its offset; null when the broker does not remember it.</returns>
    /// <exception cref="TransactionFailedException">The transaction fails.</exception>
    public async Task<long?> SendAsync(TopicPartition partition, long value)
    {
        if (!IsVersion2 && !_partitions.Contains(partition))
            await AddPartitionAsync(partition);
        _partitions.Add(partition);
        try
        {
            return await _sender!.SendAsync(partition, value);
        }
        catch (SendFailedException e)
        {
            throw new TransactionFailedException(e.Error, isFatal: e.Error == ErrorCode.ProducerFenced);
        }
    }

    /// <summary>Commits a group's offsets with the transaction.</summary>
    /// <exception cref="TransactionFailedException">The transaction fails.</exception>
    public async Task SendOffsetsAsync(string group, IReadOnlyDictionary<TopicPartition, long> offsets)
    {
        if (!IsVersion2 && !_groups.Contains(group))
        {
            var add = new AddOffsetsToTxnRequest
            {
                TransactionalId = transactionalId,
                ProducerId = ProducerId,
                ProducerEpoch = ProducerEpoch,
                GroupId = group
            };
            ThrowIfFailed(
                (ErrorCode?)(
                    await client.CallUntilAnsweredAsync<AddOffsetsToTxnRequest, AddOffsetsToTxnResponse>(
                        add, answer => (ErrorCode)answer.ErrorCode, Patience, to: _coordinator))?.ErrorCode);
        }

        _groups.Add(group);
        var commit = new TxnOffsetCommitRequest
        {
            TransactionalId = transactionalId,
            GroupId = group,
            ProducerId = ProducerId,
            ProducerEpoch = ProducerEpoch,
            Topics = [.. offsets.GroupBy(offset => offset.Key.Topic).Select(topic => new TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
            {
                Name = topic.Key,
                Partitions = [
                    .. topic.Select(
                        offset => new TxnOffsetCommitRequest.TxnOffsetCommitRequestPartition { PartitionIndex = offset.Key.Partition,
                            CommittedOffset = offset.Value })],
            })],
        };
        var response = await client.CallUntilAnsweredAsync<TxnOffsetCommitRequest, TxnOffsetCommitResponse>(
            commit, ErrorOf, Patience, to: Destination.CoordinatorOfGroup(group));
        ThrowIfFailed(response is null ? null : ErrorOf(response));

        static ErrorCode ErrorOf(TxnOffsetCommitResponse response) =>
            (ErrorCode)response.Topics.SelectMany(topic => topic.Partitions).Select(partition => partition.ErrorCode)
            .FirstOrDefault(error => error != (short)ErrorCode.None);
    }

    /// <summary>Ends the transaction. All its sends must be over, and for a commit well.</summary>
    /// <returns>What became of the transaction.</returns>
    /// <exception cref="TransactionFailedException">It is not committed, and the producer cannot go on.</exception>
    public async Task<Outcome> EndAsync(bool isCommit)
    {
        if (_partitions.Count == 0 && _groups.Count == 0)
            return isCommit ? Outcome.Ok : Outcome.Fail;
        var request =
            new EndTxnRequest
            {
                TransactionalId = transactionalId,
                ProducerId = ProducerId,
                ProducerEpoch = ProducerEpoch,
                Committed = isCommit
            };
        var unanswered = 0;
        var response = await client.CallUntilAnsweredAsync<EndTxnRequest, EndTxnResponse>(
            request, answer => (ErrorCode)answer.ErrorCode, Patience, () => unanswered++, _coordinator);
        OnEndSent?.Invoke(request);
        client.Process.Tell?.Invoke(
            $"{transactionalId} {ProducerId}/{ProducerEpoch} {(isCommit ? "commits" : "aborts")}: {(ErrorCode?)response?.ErrorCode}");
        if (response is null)
            return isCommit ? Outcome.Info : throw new TransactionFailedException(ErrorCode.RequestTimedOut, isFatal: true);
        if ((ErrorCode)response.ErrorCode is not ErrorCode.None and var error)
        {
            // The answer that did not come may have been another.
            return isCommit && unanswered > 0 ? Outcome.Info
                : throw new TransactionFailedException(error, isFatal: error is not ErrorCode.TransactionAbortable);
        }

        _partitions.Clear();
        _groups.Clear();
        // the same only from a broker with a bug
        if (IsVersion2 && (response.ProducerId, response.ProducerEpoch) != (ProducerId, ProducerEpoch))
            BeginEpoch(response.ProducerId, response.ProducerEpoch);
        else if (_sender!.HasFailed)
            await InitAsync(ProducerId, ProducerEpoch); // its numbers have a gap: only another epoch goes on
        return isCommit ? Outcome.Ok : Outcome.Fail;
    }

    private async Task InitAsync(long producerId, short producerEpoch)
    {
        await client.FindCoordinatorAsync(transactionalId, SimClient.TransactionKey);
        var request = new InitProducerIdRequest
        {
            TransactionalId = transactionalId,
            TransactionTimeoutMs = (int)transactionTimeout.TotalMilliseconds,
            ProducerId = producerId,
            ProducerEpoch = producerEpoch,
        };
        var response = await client.CallUntilAnsweredAsync<InitProducerIdRequest, InitProducerIdResponse>(
            request, answer => (ErrorCode)answer.ErrorCode, LongPatience, to: _coordinator)
            ?? throw new SimulationException($"{transactionalId} was not initialized for {LongPatience}");
        client.Process.Tell?.Invoke(
            $"{transactionalId} is {response.ProducerId}/{response.ProducerEpoch}: {(ErrorCode)response.ErrorCode}");
        if (response.ErrorCode != (short)ErrorCode.None)
            throw new TransactionFailedException((ErrorCode)response.ErrorCode, isFatal: true);
        BeginEpoch(response.ProducerId, response.ProducerEpoch);
    }

    private void BeginEpoch(long producerId, short producerEpoch)
    {
        _sender?.Close();
        _sender = new RecordSender(client, producerId, producerEpoch, transactionalId);
    }

    private async Task AddPartitionAsync(TopicPartition partition)
    {
        var request = new AddPartitionsToTxnRequest
        {
            V3AndBelowTransactionalId = transactionalId,
            V3AndBelowProducerId = ProducerId,
            V3AndBelowProducerEpoch = ProducerEpoch,
            V3AndBelowTopics = [
                new AddPartitionsToTxnRequest.AddPartitionsToTxnTopic { Name = partition.Topic, Partitions = [partition.Partition] }],
        };
        var response = await client.CallUntilAnsweredAsync<AddPartitionsToTxnRequest, AddPartitionsToTxnResponse>(
            request, ErrorOf, Patience, to: _coordinator);
        ThrowIfFailed(response is null ? null : ErrorOf(response));

        static ErrorCode ErrorOf(AddPartitionsToTxnResponse response) =>
            (ErrorCode)response.ResultsByTopicV3AndBelow.Single().ResultsByPartition.Single().PartitionErrorCode;
    }

    /// <param name="error">The answer; null when there was none.</param>
    private static void ThrowIfFailed(ErrorCode? error)
    {
        if (error is not ErrorCode.None)
        {
            var isFatal =
                error is ErrorCode.ProducerFenced or ErrorCode.InvalidProducerEpoch or ErrorCode.InvalidTxnState
                or ErrorCode.InvalidProducerIdMapping;
            throw new TransactionFailedException(error ?? ErrorCode.RequestTimedOut, isFatal);
        }
    }
}
