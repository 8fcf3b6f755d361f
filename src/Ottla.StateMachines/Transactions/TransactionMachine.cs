using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Transactions;

/// <summary>
/// The coordinator of the transactional ids in one partition of <c>__transaction_state</c> (KIP-98, KIP-360, KIP-890). Pure.
/// </summary>
/// <remarks>
/// The prepare record decides the outcome of a transaction. From then on the coordinator writes markers until every partition has one, even
/// after failovers; the completion record is the last one. Until then the id answers CONCURRENT_TRANSACTIONS, so that no record of the next
/// transaction can be mistaken for one of this transaction. <see cref="TransactionMetadata"/> is stored in the log; all other state is
/// soft.
/// </remarks>
/// <param name="coordinatorEpoch">The leader epoch of the partition, which the markers contain.</param>
public sealed partial class TransactionMachine(int coordinatorEpoch) : ICoordinatorMachine<TransactionCommand>
{
    /// <summary>The wait before markers are written again, and before an interrupted sweep continues.</summary>
    public const int RetryBackoffMs = 100;

    /// <summary>The most transactional ids that one step of a sweep changes, because its records are one batch.</summary>
    private const int SweepIdsMax = 100;

    /// <summary>The most partitions of the transactions that one step of a sweep changes.</summary>
    private const int SweepPartitionsMax = 1_000;

    private readonly Dictionary<string, TransactionalId> _ids = new(StringComparer.Ordinal);

    /// <summary>
    /// Ids that may have a <see cref="TransactionalId.RetryAt"/>. An id can stay in the set for a while after its retry was cancelled.
    /// </summary>
    private readonly HashSet<string> _retries = new(StringComparer.Ordinal);

    /// <summary>Commands that wait for a producer id, in the order in which the ids were requested.</summary>
    private readonly Queue<(TransactionCommand<ProducerIdAndEpoch> Command, ReplyTo<ProducerIdAndEpoch>? ReplyTo)> _waiting = [];

    /// <summary>Producer ids that were allocated but not needed.</summary>
    private readonly Queue<long> _spareProducerIds = [];

    private MetadataImage _image = MetadataImage.Empty;
    private BrokerConfig? _config;
    private Instant _nextTimeoutSweep;
    private Instant _nextExpirationSweep;

    /// <inheritdoc/>
    public Instant? NextDeadline
    {
        get
        {
            if (_config is null)
                return null;
            var next = _nextTimeoutSweep < _nextExpirationSweep ? _nextTimeoutSweep : _nextExpirationSweep;
            foreach (var id in _retries)
            {
                if (_ids.GetValueOrDefault(id)?.RetryAt is { } retryAt && retryAt < next)
                    next = retryAt;
            }

            return next;
        }
    }

    /// <summary>The state of each id, as stored in the log.</summary>
    public IEnumerable<TransactionMetadata> Transactions => _ids.Values.Select(id => id.Metadata);

    private BrokerConfig Config => _config ?? throw new InvalidOperationException("OnLoaded must be called before the first command.");

    /// <summary>The finalized transaction version.</summary>
    private short TransactionVersion => _image.Features.LevelOf(Feature.TransactionVersion);

    /// <inheritdoc/>
    public void Decide(TransactionCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects)
    {
        switch (command)
        {
            case TransactionCommand<ProducerIdAndEpoch> change:
                Decide(change, replyTo.For(change), newProducerId: null, now, effects);
                break;
            case VerifyPartitionsCommand verify:
                effects.Reply(replyTo.For(verify), Verify(verify));
                break;
            case DescribeTransactionCommand describe:
                effects.Reply(replyTo.For(describe), Describe(describe.TransactionalId));
                break;
            case ListTransactionsCommand list:
                effects.Reply(replyTo.For(list), List(list, now));
                break;
            case CountTransactionsCommand count:
                effects.Reply(replyTo.For(count), Count());
                break;
            default:
                throw new InvalidOperationException($"{command.GetType().Name} is not a transaction command.");
        }
    }

    /// <inheritdoc/>
    public void OnDeadline(Instant now, CoordinatorEffects effects)
    {
        if (Retry(now, effects))
            return; // called again for the rest
        if (_nextTimeoutSweep <= now)
            _nextTimeoutSweep = now.AddMilliseconds(
                AbortTimedOut(now, effects) ? Config.TransactionAbortTimedOutTransactionCleanupIntervalMs : RetryBackoffMs);
        else if (_nextExpirationSweep <= now)
            _nextExpirationSweep = now.AddMilliseconds(
                RemoveExpired(now, effects) ? Config.TransactionRemoveExpiredTransactionCleanupIntervalMs : RetryBackoffMs);
    }

    /// <inheritdoc/>
    public void Apply(long offset, in CoordinatorRecord record, ProducerIdAndEpoch transaction)
    {
        if (record.Key is not TransactionLogKey key)
            throw new InvalidDataException(
                $"The record at offset {offset} of the transaction log has a key of the unexpected type {record.Key.RecordKey}.");
        if (record.Value is not TransactionLogValue value)
        {
            _ids.Remove(key.TransactionalId);
            _retries.Remove(key.TransactionalId);
            return;
        }

        var metadata = TransactionMetadata.FromRecord(key, value);
        _retries.Remove(key.TransactionalId); // the record that was to be retried is written
        if (_ids.TryGetValue(key.TransactionalId, out var known))
            known.Apply(metadata);
        else
            _ids.Add(key.TransactionalId, new TransactionalId(metadata));
    }

    /// <inheritdoc/>
    /// <remarks>
    /// The coordinator's log has no transactions of its own. A client with the right to write markers may write one here by mistake; it has
    /// no effect.
    /// </remarks>
    public void ApplyMarker(ProducerIdAndEpoch transaction, bool isCommit)
    {
    }

    /// <inheritdoc/>
    public void OnLoaded(MetadataImage image, BrokerConfig config, Instant now, CoordinatorEffects effects)
    {
        _image = image;
        _config = config;
        _nextTimeoutSweep = now.AddMilliseconds(config.TransactionAbortTimedOutTransactionCleanupIntervalMs);
        _nextExpirationSweep = now.AddMilliseconds(config.TransactionRemoveExpiredTransactionCleanupIntervalMs);
        foreach (var id in _ids.Values)
        {
            if (id.PartitionsWithoutMarker.Count > 0)
                SendMarkers(id, id.Metadata, [.. id.PartitionsWithoutMarker], effects);
            else if (id.Metadata.State.IsCompleting())
                RetryLater(id, now);
        }
    }

    /// <inheritdoc/>
    public void OnMetadata(MetadataDelta delta, BrokerConfig config, Instant now, CoordinatorEffects effects)
    {
        _image = delta.New;
        _config = config;
    }

    /// <inheritdoc/>
    public void OnUnloading() => _waiting.Clear();

    private void Decide(
        TransactionCommand<ProducerIdAndEpoch> command, ReplyTo<ProducerIdAndEpoch>? replyTo, long? newProducerId, Instant now,
        CoordinatorEffects effects)
    {
        var step = new Step(command, replyTo, newProducerId, now, effects);
        switch (command)
        {
            case InitProducerIdCommand init:
                Initialize(init.Request, step);
                break;
            case AddPartitionsCommand add:
                AddPartitions(add, step);
                break;
            case EndTransactionCommand end:
                EndTransaction(end, step);
                break;
            case FenceTransactionCommand fence:
                Fence(fence, step);
                break;
            case MarkersWrittenCommand written:
                TakeMarkers(written, step);
                break;
            case ProducerIdAllocatedCommand allocated:
                TakeProducerId(allocated.ProducerId, step);
                break;
            default:
                throw new InvalidOperationException($"{command.GetType().Name} changes no transaction.");
        }

        if (step.NewProducerId is { } unused)
            _spareProducerIds.Enqueue(unused);
    }

    /// <summary>Takes a producer id. If there is none, the command waits and is decided again when one arrives.</summary>
    private bool TryTakeProducerId(Step step, out long producerId)
    {
        if (step.NewProducerId is { } given)
        {
            step.NewProducerId = null;
            producerId = given;
            return true;
        }

        if (_spareProducerIds.TryDequeue(out producerId))
            return true;
        _waiting.Enqueue((step.Command, step.ReplyTo));
        step.Effects.Output(new AllocateProducerIdOutput());
        return false;
    }

    private void TakeProducerId(long producerId, Step step)
    {
        step.Reply(new ProducerIdAndEpoch(producerId, -1));
        if (!_waiting.TryDequeue(out var waiting))
        {
            if (producerId >= 0)
                _spareProducerIds.Enqueue(producerId);
            return;
        }

        try
        {
            if (producerId < 0)
                throw new ApiException(ErrorCode.CoordinatorLoadInProgress, "No producer id is available yet. Try again.");
            Decide(waiting.Command, waiting.ReplyTo, producerId, step.Now, step.Effects);
        }
        catch (ApiException refusal)
        {
            if (waiting.ReplyTo is { } to)
                step.Effects.Fail(to.Request, refusal.Error.Code, refusal.Error.Message);
        }
    }

    private void Write(TransactionMetadata metadata, Step step) => step.Effects.Write(metadata.ToRecord(TransactionVersion));

    private TransactionalId Find(string transactionalId, ErrorCode errorIfMissing) =>
        _ids.GetValueOrDefault(transactionalId) ?? throw new ApiException(errorIfMissing);

    /// <summary>One decision: the command, its requester, and the effects it may produce.</summary>
    private sealed class Step(
        TransactionCommand<ProducerIdAndEpoch> command, ReplyTo<ProducerIdAndEpoch>? replyTo, long? newProducerId, Instant now,
        CoordinatorEffects effects)
    {
        public TransactionCommand<ProducerIdAndEpoch> Command => command;

        /// <summary>The request to answer; null when the machine started the command itself.</summary>
        public ReplyTo<ProducerIdAndEpoch>? ReplyTo => replyTo;

        /// <summary>A producer id that was never used; null when none is available yet.</summary>
        public long? NewProducerId { get; set; } = newProducerId;

        public Instant Now => now;

        public CoordinatorEffects Effects => effects;

        public void Reply(ProducerIdAndEpoch reply)
        {
            if (replyTo is { } to)
                effects.Reply(to, reply);
        }

        public void Fail(ErrorCode error)
        {
            if (replyTo is { } to)
                effects.Fail(to.Request, error);
        }
    }
}
