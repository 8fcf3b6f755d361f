using System.Net.Sockets;
using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Clients;

/// <summary>
/// The requests of a transactional producer and its consumer at the protocol level of transaction.version 2 (KIP-890), for one broker that
/// leads and coordinates everything.
/// </summary>
/// <remarks>
/// A request whose answer was lost, or that the broker cannot serve yet, is repeated as it was, as Kafka's clients do: what it asks for
/// must happen once nevertheless. Other errors are <see cref="KafkaErrorException"/>. Owned by one task.
/// </remarks>
internal sealed class TransactionProtocol(int port, string transactionalId) : IAsyncDisposable
{
    private const int GroupKey = 0;
    private const int TransactionKey = 1;
    private const int PartitionBytesMax = 1 << 20;
    private const int FetchWaitMs = 200;
    private const int TransactionTimeoutMs = 20_000;

    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(50);

    private RawConnection? _connection;

    /// <summary>The producer's id, as the broker last said.</summary>
    public long ProducerId { get; private set; } = -1;

    /// <summary>The producer's epoch: another one for each transaction.</summary>
    public short ProducerEpoch { get; private set; } = -1;

    /// <summary>InitProducerId 5: ends what the id's last user left open.</summary>
    public Task InitializeAsync() => RepeatAsync(async connection =>
    {
        await FindCoordinatorAsync(connection, transactionalId, TransactionKey);
        var body = new WireWriter().CompactString(transactionalId).Int32(TransactionTimeoutMs).Int64(-1).Int16(-1);
        TakeProducer(await connection.RequestFlexibleAsync(22, 5, body));
    });

    /// <summary>OffsetFetch 7 with require_stable: what the group has committed, or 0.</summary>
    public Task<List<(int Partition, long Offset)>> CommittedAsync(string group, string topic, IReadOnlyList<int> partitions) =>
        RepeatAsync(async connection =>
    {
        await FindCoordinatorAsync(connection, group, GroupKey);
        var body = new WireWriter().CompactString(group).CompactLength(1).CompactString(topic).CompactLength(partitions.Count);
        foreach (var partition in partitions)
            body.Int32(partition);
        var response = await connection.RequestFlexibleAsync(9, 7, body.NoTags().Int8(1));
        response.Int32(); // throttle time
        var offsets = response.CompactArray(one => (Name: one.CompactString(), Offsets: one.CompactArray(ReadOffset)))[0].Offsets;
        Check(response.Int16());
        return offsets;

        static (int, long) ReadOffset(WireReader one)
        {
            var (partition, offset) = (one.Int32(), one.Int64());
            one.Int32(); // leader epoch
            one.CompactString(); // metadata
            Check(one.Int16());
            return (partition, Math.Max(offset, 0));
        }
    });

    /// <summary>Fetch 12, read_committed, of a topic without transactions: its uncompressed records from those offsets on.</summary>
    public Task<List<CopiedRecord>> FetchAsync(string topic, IReadOnlyDictionary<int, long> from) => RepeatAsync(async connection =>
    {
        var body = new WireWriter().Int32(-1).Int32(FetchWaitMs).Int32(1).Int32(PartitionBytesMax).Int8(1).Int32(0).Int32(-1)
            .CompactLength(1).CompactString(topic).CompactLength(from.Count);
        foreach (var (partition, offset) in from)
            body.Int32(partition).Int32(-1).Int64(offset).Int32(-1).Int64(-1).Int32(PartitionBytesMax).NoTags();
        var response = await connection.RequestFlexibleAsync(1, 12, body.NoTags().CompactLength(0).CompactString(""));
        response.Int32(); // throttle time
        Check(response.Int16());
        response.Int32(); // session
        var records = new List<CopiedRecord>();
        response.CompactArray(one => (one.CompactString(), one.CompactArray(partition => ReadPartition(partition, from, records))));
        return records;
    });

    /// <summary>Produce 12: appends to all those partitions in the transaction, and thereby adds them to it.</summary>
    public Task ProduceAsync(string topic, IReadOnlyDictionary<int, byte[]> batches) => RepeatAsync(async connection =>
    {
        var body = new WireWriter().CompactString(transactionalId).Int16(-1).Int32(10_000).CompactLength(1).CompactString(topic)
            .CompactLength(batches.Count);
        foreach (var (partition, batch) in batches)
            body.Int32(partition).CompactLength(batch.Length).Raw(batch).NoTags();
        var response = await connection.RequestFlexibleAsync(0, 12, body.NoTags());
        var errors = response.CompactArray(one => (Name: one.CompactString(), Errors: one.CompactArray(ReadError)))[0].Errors;
        foreach (var error in errors)
            Check(error);

        static short ReadError(WireReader one)
        {
            one.Int32(); // partition
            var error = one.Int16();
            one.Bytes(3 * sizeof(long)); // base offset, append time, start offset
            one.CompactArray(record => (record.Int32(), record.CompactString()));
            one.CompactString(); // message
            return error;
        }
    });

    /// <summary>TxnOffsetCommit 5: the offsets commit with the transaction; the group is added to it thereby.</summary>
    public Task CommitOffsetsAsync(string group, string topic, IReadOnlyDictionary<int, long> offsets) => RepeatAsync(async connection =>
    {
        var body = new WireWriter().CompactString(transactionalId).CompactString(group).Int64(ProducerId).Int16(ProducerEpoch)
            .Int32(-1).CompactString("").CompactString(null).CompactLength(1).CompactString(topic).CompactLength(offsets.Count);
        foreach (var (partition, offset) in offsets)
            body.Int32(partition).Int64(offset).Int32(-1).CompactString(null).NoTags();
        var response = await connection.RequestFlexibleAsync(28, 5, body.NoTags());
        response.Int32(); // throttle time
        foreach (var error in response.CompactArray(
            one => (Name: one.CompactString(), Errors: one.CompactArray(partition => (partition.Int32(), Error: partition.Int16()))))[0]
                .Errors)
            Check(error.Error);
    });

    /// <summary>EndTxn 5: commits or aborts, and takes the epoch for the next transaction.</summary>
    public Task EndAsync(bool commit) => RepeatAsync(async connection =>
    {
        var body = new WireWriter().CompactString(transactionalId).Int64(ProducerId).Int16(ProducerEpoch).Int8(commit ? 1 : 0);
        TakeProducer(await connection.RequestFlexibleAsync(26, 5, body));
    });

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _connection?.DisposeAsync() ?? ValueTask.CompletedTask;

    /// <summary>FindCoordinator 4. Where it is, is known; asking has the brokers' own topic made.</summary>
    private static async Task FindCoordinatorAsync(RawConnection connection, string key, int keyType)
    {
        var response = await connection.RequestFlexibleAsync(10, 4, new WireWriter().Int8(keyType).CompactLength(1).CompactString(key));
        response.Int32(); // throttle time
        foreach (var error in response.CompactArray(ReadError))
            Check(error);

        static short ReadError(WireReader one)
        {
            one.CompactString(); // key
            one.Int32(); // node
            one.CompactString(); // host
            one.Int32(); // port
            var error = one.Int16();
            one.CompactString(); // message
            return error;
        }
    }

    private static int ReadPartition(WireReader response, IReadOnlyDictionary<int, long> from, List<CopiedRecord> records)
    {
        var partition = response.Int32();
        Check(response.Int16());
        response.Bytes(3 * sizeof(long)); // high watermark, last stable offset, start offset
        response.CompactArray(one => one.Bytes(2 * sizeof(long))); // aborted transactions
        response.Int32(); // preferred replica
        var length = response.CompactLength();
        records.AddRange(RecordBatchReader.Read(response.Bytes(length)).Where(record => record.Offset >= from[partition])
            .Select(record => new CopiedRecord(partition, record.Offset, record.Value)));
        return length;
    }

    private void TakeProducer(WireReader response)
    {
        response.Int32(); // throttle time
        Check(response.Int16());
        (ProducerId, ProducerEpoch) = (response.Int64(), response.Int16());
    }

    private static void Check(short error)
    {
        if (error != 0)
            throw new KafkaErrorException(error);
    }

    private Task<bool> RepeatAsync(Func<RawConnection, Task> request) => RepeatAsync(async connection =>
    {
        await request(connection);
        return true;
    });

    private async Task<T> RepeatAsync<T>(Func<RawConnection, Task<T>> request)
    {
        while (true)
        {
            try
            {
                _connection ??= await RawConnection.OpenAsync(port);
                return await request(_connection);
            }
            catch (KafkaErrorException refusal) when (refusal.IsRetriable)
            {
                Console.Error.WriteLine($"again after {refusal.Message}");
            }
            catch (Exception lost) when (lost is IOException or SocketException or TimeoutException or OperationCanceledException)
            {
                Console.Error.WriteLine($"again after {lost.Message}");
                if (_connection is not null)
                    await _connection.DisposeAsync();
                _connection = null;
            }

            await Task.Delay(RetryDelay);
        }
    }
}

/// <summary>A record to be copied.</summary>
internal readonly record struct CopiedRecord(int Partition, long Offset, byte[] Value);

/// <summary>The broker answered with an error of Kafka's.</summary>
internal sealed class KafkaErrorException(short code) : Exception($"error {code}")
{
    private const short TransactionAbortable = 120;

    // UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT, COORDINATOR_LOAD_IN_PROGRESS,
    // COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR, NOT_ENOUGH_REPLICAS, CONCURRENT_TRANSACTIONS, UNSTABLE_OFFSET_COMMIT
    private static readonly short[] Retriable = [3, 5, 6, 7, 14, 15, 16, 19, 51, 88];

    /// <summary>Kafka's error code.</summary>
    public short Code => code;

    /// <summary>Whether the request is to be repeated as it is.</summary>
    public bool IsRetriable => Retriable.Contains(code);

    /// <summary>Whether the producer may go on once it has aborted the transaction.</summary>
    public bool IsAbortable => code == TransactionAbortable;
}
