using System.Buffers.Binary;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Simulator.Clients;

/// <summary>A record was not sent, as far as its sender knows, which sends no more.</summary>
/// <param name="error">The broker's reason; <see cref="ErrorCode.RequestTimedOut"/> when there was no answer in time.</param>
/// <param name="isInDoubt">Whether it may be stored, now or later.</param>
internal sealed class SendFailedException(ErrorCode error, bool isInDoubt) : Exception($"not sent: {error}")
{
    public ErrorCode Error { get; } = error;

    public bool IsInDoubt { get; } = isInDoubt;
}

/// <summary>
/// The sending half of an idempotent producer: numbers records, keeps a few batches under way, and repeats them in order until they are
/// acknowledged.
/// </summary>
/// <remarks>Lives as long as a producer epoch. After the first failure everything fails: the numbers could not go on.</remarks>
internal sealed class RecordSender
{
    private const short FirstVersionWithTopicIds = 13;
    private const int InFlightPerPartitionMax = 5;
    private static readonly TimeSpan DeliveryTimeout = TimeSpan.FromSeconds(15);

    private readonly SimClient _client;
    private readonly List<Batch> _pending = [];
    private readonly Dictionary<TopicPartition, int> _nextSequences = [];
    private readonly HashSet<TopicPartition> _begun = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isClosed;

    public RecordSender(SimClient client, long producerId, short producerEpoch, string? transactionalId = null)
    {
        _client = client;
        ProducerId = producerId;
        ProducerEpoch = producerEpoch;
        TransactionalId = transactionalId;
        client.Process.Watch(RunAsync());
    }

    public long ProducerId { get; }

    public short ProducerEpoch { get; }

    public string? TransactionalId { get; }

    /// <summary>Whether it sends no more.</summary>
    public bool HasFailed { get; private set; }

    /// <summary>Sends a record. It has its number when this returns: what is sent later is stored later.</summary>
    /// <returns>Its offset; null when the broker does not remember it.</returns>
    /// <exception cref="SendFailedException">It is not stored, or nobody knows.</exception>
    public Task<long?> SendAsync(TopicPartition partition, long value)
    {
        if (HasFailed)
            return Task.FromException<long?>(new SendFailedException(ErrorCode.RequestTimedOut, isInDoubt: false));
        var sequence = _nextSequences.GetValueOrDefault(partition);
        _nextSequences[partition] = sequence + 1;
        var batch = new Batch(partition, sequence, Encode(sequence, value), _client.Now + DeliveryTimeout);
        _pending.Add(batch);
        Change();
        return batch.Sent.Task;
    }

    /// <summary>Sends nothing any more. What is under way may still arrive.</summary>
    public void Close()
    {
        _isClosed = true;
        Fail();
    }

    private byte[] Encode(int sequence, long value)
    {
        var options = new RecordBatchOptions
        {
            ProducerId = ProducerId,
            ProducerEpoch = ProducerEpoch,
            BaseSequence = sequence,
            IsTransactional = TransactionalId is not null,
        };
        using var builder = new RecordBatchBuilder(options);
        Span<byte> bytes = stackalloc byte[sizeof(long)];
        BinaryPrimitives.WriteInt64BigEndian(bytes, value);
        builder.Append(_client.Now.ToUnixTimeMilliseconds(), default, bytes);
        return builder.Build();
    }

    private async Task RunAsync()
    {
        while (!_isClosed)
        {
            if (_pending.Exists(batch => batch.Deadline < _client.Now))
                Fail();
            var changed = _changed.Task;
            if (NextToSend() is not { } batch)
            {
                await changed;
                continue;
            }

            try
            {
                var connection = await _client.ConnectAsync(Destination.LeaderOf(batch.Partition));
                if (UsesTopicIds)
                    await _client.TopicIdAsync(batch.Partition.Topic); // so that nothing is waited for between here and the wire
                if (connection.IsOpen && NextToSend() == batch)
                    _client.Process.Watch(TransmitAsync(connection, batch));
            }
            catch (ConnectionLostException)
            {
                _client.Process.Watch(PutOffAsync(batch)); // others may have a leader that answers
            }
        }
    }

    /// <summary>The first batch that is not under way, of a partition in which another may be.</summary>
    private Batch? NextToSend()
    {
        var inFlight = new Dictionary<TopicPartition, int>();
        foreach (var batch in _pending)
        {
            var before = inFlight.GetValueOrDefault(batch.Partition);
            // The very first goes alone: a broker that never heard of a producer takes any number for its first.
            var limit = _begun.Contains(batch.Partition) ? InFlightPerPartitionMax : 1;
            if (!batch.IsInFlight && !batch.IsBackingOff && before < limit)
                return batch;
            inFlight[batch.Partition] = batch.IsInFlight ? before + 1 : limit; // nothing overtakes what will be sent again
        }

        return null;
    }

    private async Task TransmitAsync(BrokerConnection connection, Batch batch)
    {
        batch.IsInFlight = true;
        batch.Attempts++;
        var epoch = _client.LeaderEpochOf(batch.Partition);
        _client.Process.Tell?.Invoke($"{batch} is sent to {connection}, leader of epoch {epoch}");
        try
        {
            var response = await connection.CallAsync<ProduceRequest, ProduceResponse>(
                await RequestAsync(batch), _client.VersionOf(ApiKey.Produce), _client.RequestTimeout);
            var answer = response.Responses.Single().PartitionResponses.Single();
            _client.Process.Tell?.Invoke($"{batch}: {(ErrorCode)answer.ErrorCode} at {answer.BaseOffset} {answer.ErrorMessage}");
            batch.IsInFlight = false;
            if (TryFinish(batch, (ErrorCode)answer.ErrorCode, answer.BaseOffset))
            {
                Change();
                return;
            }
        }
        catch (ConnectionLostException e)
        {
            // It goes again, over another connection.
            _client.Process.Tell?.Invoke($"{batch}: {e.Message}");
        }

        _client.Forget(Destination.LeaderOf(batch.Partition));
        await PutOffAsync(batch);
    }

    /// <summary>Lets a batch, and all behind it in its partition, wait a moment.</summary>
    private async Task PutOffAsync(Batch batch)
    {
        batch.IsInFlight = false;
        batch.IsBackingOff = true;
        await _client.BackOffAsync();
        batch.IsBackingOff = false;
        Change();
    }

    private bool UsesTopicIds => _client.VersionOf(ApiKey.Produce) >= FirstVersionWithTopicIds;

    private async Task<ProduceRequest> RequestAsync(Batch batch)
    {
        return new ProduceRequest
        {
            TransactionalId = TransactionalId,
            Acks = -1,
            TimeoutMs = (int)_client.RequestTimeout.TotalMilliseconds,
            TopicData =
            [
                new ProduceRequest.TopicProduceData
                {
                    Name = UsesTopicIds ? "" : batch.Partition.Topic,
                    TopicId = UsesTopicIds ? await _client.TopicIdAsync(batch.Partition.Topic) : Uuid.Zero,
                    PartitionData = [
                        new ProduceRequest.PartitionProduceData { Index = batch.Partition.Partition,
                            Records = new Records(batch.Bytes.ToArray()) }],
                },
            ],
        };
    }

    /// <returns>False when it has to be sent again.</returns>
    private bool TryFinish(Batch batch, ErrorCode error, long offset)
    {
        if (!_pending.Contains(batch))
            return true; // given up meanwhile
        // Out of order is what comes behind something that has to be sent again.
        var isBehind = error == ErrorCode.OutOfOrderSequenceNumber && _pending.Find(other => other.Partition == batch.Partition) != batch;
        if (isBehind || SimClient.IsRetriable(error))
            return false;
        _pending.Remove(batch);
        if (error is ErrorCode.None or ErrorCode.DuplicateSequenceNumber)
        {
            _begun.Add(batch.Partition);
            batch.Sent.SetResult(error == ErrorCode.None && offset >= 0 ? offset : null);
        }
        else
        {
            batch.Sent.SetException(new SendFailedException(error, isInDoubt: batch.Attempts > 1));
            Fail();
        }

        return true;
    }

    /// <summary>Gives up what waits, and all that is still to come.</summary>
    private void Fail()
    {
        HasFailed = true;
        foreach (var batch in _pending)
            batch.Sent.SetException(new SendFailedException(ErrorCode.RequestTimedOut, isInDoubt: batch.Attempts > 0));
        _pending.Clear();
        Change();
    }

    private void Change()
    {
        var changed = _changed;
        _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        changed.SetResult();
    }

    private sealed class Batch(TopicPartition partition, int sequence, byte[] bytes, DateTimeOffset deadline)
    {
        public TopicPartition Partition { get; } = partition;

        public int Sequence { get; } = sequence;

        public byte[] Bytes { get; } = bytes;

        public DateTimeOffset Deadline { get; } = deadline;

        /// <inheritdoc/>
        public override string ToString() => $"sequence {Sequence} of {Partition}, attempt {Attempts}";

        public int Attempts { get; set; }

        public bool IsInFlight { get; set; }

        public bool IsBackingOff { get; set; }

        public TaskCompletionSource<long?> Sent { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
