using System.Buffers.Binary;
using System.Net;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Clients;

/// <summary>What a poll got.</summary>
/// <param name="Records">The records, those of a partition in order.</param>
/// <param name="IsAtEnd">Whether all that is stored in the partitions was read, and no transaction is open in them.</param>
internal sealed record PollResult(IReadOnlyList<PolledRecord> Records, bool IsAtEnd);

/// <summary>
/// The fetching half of a consumer that chose its partitions itself: knows where it stands in each, and reads on from there.
/// </summary>
/// <remarks>
/// Under <c>read_committed</c> it leaves out what is aborted, as the broker's list of aborted transactions says. Lives as long as its
/// consumer.
/// </remarks>
internal sealed class RecordReceiver(SimClient client, IReadOnlyList<TopicPartition> partitions, bool isReadCommitted)
{
    private const short FirstVersionWithTopicIds = 13;
    private const int MaxWaitMs = 200;
    private const int BytesMax = 1 << 20;

    private readonly SortedDictionary<TopicPartition, long> _positions = new(
        partitions.ToDictionary(partition => partition, _ => 0L),
        Comparer<TopicPartition>.Create(static (left, right) => (left.Topic, left.Partition).CompareTo((right.Topic, right.Partition))));

    /// <summary>The partitions and the offsets that come next.</summary>
    public IReadOnlyDictionary<TopicPartition, long> Positions => _positions;

    /// <summary>Goes on from elsewhere.</summary>
    public void Seek(TopicPartition partition, long offset) => _positions[partition] = offset;

    /// <summary>Asks once for what comes next: every leader, each for its partitions.</summary>
    /// <exception cref="ConnectionLostException">No leader answers.</exception>
    /// <exception cref="SimulationException">A broker says what it must not.</exception>
    public async Task<PollResult> PollAsync()
    {
        var names = new Dictionary<Uuid, string>();
        if (client.VersionOf(ApiKey.Fetch) >= FirstVersionWithTopicIds)
        {
            foreach (var topic in _positions.Keys.Select(partition => partition.Topic).Distinct())
                names[await client.TopicIdAsync(topic)] = topic;
        }

        var fetches = new List<Task<bool>>();
        var records = new List<PolledRecord>();
        ConnectionLostException? failure = null;
        var (leaders, isAtEnd) = await GroupByLeaderAsync();
        foreach (var led in leaders)
            fetches.Add(FetchAsync(led, names, records));
        var answers = 0;
        foreach (var fetch in fetches)
        {
            try
            {
                isAtEnd &= await fetch;
                answers++;
            }
            catch (ConnectionLostException e)
            {
                (isAtEnd, failure) = (false, e);
            }
        }

        return answers > 0 ? new PollResult(records, isAtEnd) : throw failure ?? new ConnectionLostException("no partition has a leader");
    }

    /// <summary>The partitions by who leads them, and whether all have a leader.</summary>
    private async Task<(IReadOnlyCollection<List<TopicPartition>> Leaders, bool AreComplete)> GroupByLeaderAsync()
    {
        var leaders = new Dictionary<IPEndPoint, List<TopicPartition>>();
        var areComplete = true;
        foreach (var partition in _positions.Keys.ToList())
        {
            try
            {
                var leader = await client.LocateAsync(Destination.LeaderOf(partition));
                if (!leaders.TryGetValue(leader, out var led))
                    leaders.Add(leader, led = []);
                led.Add(partition);
            }
            catch (ConnectionLostException)
            {
                areComplete = false;
            }
        }

        return (leaders.Values, areComplete);
    }

    /// <returns>Whether all were read to the end of what is stored, and nothing is open there.</returns>
    private async Task<bool> FetchAsync(
        List<TopicPartition> partitions, IReadOnlyDictionary<Uuid, string> names, List<PolledRecord> records)
    {
        var ids = names.ToDictionary(name => name.Value, name => name.Key);
        FetchResponse response;
        try
        {
            response = await client.CallAsync<FetchRequest, FetchResponse>(Request(partitions, ids), Destination.LeaderOf(partitions[0]));
        }
        catch (ConnectionLostException)
        {
            ForgetLeaders(partitions);
            throw;
        }

        if (response.ErrorCode != (short)ErrorCode.None)
            throw new ConnectionLostException($"Fetch: {(ErrorCode)response.ErrorCode}");
        var isAtEnd = true;
        foreach (var topic in response.Responses)
        {
            foreach (var answer in topic.Partitions)
                isAtEnd &= Take(
                    new TopicPartition(names.GetValueOrDefault(topic.TopicId, topic.Topic), answer.PartitionIndex), answer, records);
        }

        return isAtEnd;
    }

    private void ForgetLeaders(IReadOnlyList<TopicPartition> partitions)
    {
        foreach (var partition in partitions)
            client.Forget(Destination.LeaderOf(partition));
    }

    private FetchRequest Request(IReadOnlyList<TopicPartition> partitions, Dictionary<string, Uuid> ids) => new()
    {
        MaxWaitMs = MaxWaitMs,
        MinBytes = 1,
        MaxBytes = BytesMax,
        IsolationLevel = (sbyte)(isReadCommitted ? 1 : 0),
        Topics = [.. partitions.GroupBy(partition => partition.Topic).Select(topic => new FetchRequest.FetchTopic
        {
            Topic = ids.Count == 0 ? topic.Key : "",
            TopicId = ids.GetValueOrDefault(topic.Key),
            Partitions = [
                .. topic.Select(
                    partition => new FetchRequest.FetchPartition
                    {
                        Partition = partition.Partition,
                        CurrentLeaderEpoch = client.LeaderEpochOf(partition),
                        FetchOffset = _positions[partition],
                        PartitionMaxBytes = BytesMax,
                    })],
        })],
    };

    /// <returns>Whether it was read to the end of what is stored, and nothing is open there.</returns>
    private bool Take(TopicPartition partition, FetchResponse.PartitionData answer, List<PolledRecord> records)
    {
        if (SimClient.IsRetriable((ErrorCode)answer.ErrorCode))
        {
            client.Forget(Destination.LeaderOf(partition));
            return false;
        }

        if (answer.ErrorCode != (short)ErrorCode.None)
        {
            throw new SimulationException(
                $"Fetch of {partition} at {_positions[partition]} failed in leader epoch {client.LeaderEpochOf(partition)}: "
                + (ErrorCode)answer.ErrorCode);
        }

        var bound = isReadCommitted ? answer.LastStableOffset : answer.HighWatermark;
        var aborted = new AbortedProducers(answer.AbortedTransactions ?? []);
        for (var rest = answer.Records.Memory; RecordBatchView.TryReadSize(rest.Span, out var sizeInBytes, out _)
            && sizeInBytes <= rest.Length; rest = rest[sizeInBytes..])
        {
            var batch = rest[..sizeInBytes];
            var view = new RecordBatchView(batch.Span);
            if (!view.IsCrcValid)
                throw new SimulationException($"{partition} has a batch at {view.BaseOffset} whose checksum is wrong");
            if (view.NextOffset > bound)
                throw new SimulationException(
                    $"{partition} is given out up to {view.NextOffset}, and may be read up to {bound} by the same answer");
            if (view.NextOffset <= _positions[partition])
                continue;
            if (!(isReadCommitted && aborted.IsAborted(view, batch)) && !view.IsControl)
                Take(partition, batch, records);
            _positions[partition] = view.NextOffset;
        }

        return _positions[partition] == answer.HighWatermark;
    }

    private void Take(TopicPartition partition, ReadOnlyMemory<byte> batch, List<PolledRecord> records)
    {
        using var reader = new RecordReader(batch);
        while (reader.TryRead(out var record))
        {
            if (record.Offset >= _positions[partition])
                records.Add(new PolledRecord(partition.ToString(), record.Offset, BinaryPrimitives.ReadInt64BigEndian(record.Value)));
        }
    }

    /// <summary>Which producers' batches are aborted, at the place of the partition that was read up to.</summary>
    private sealed class AbortedProducers(FetchResponse.AbortedTransaction[] transactions)
    {
        private readonly Queue<FetchResponse.AbortedTransaction> _later = new(transactions.OrderBy(transaction => transaction.FirstOffset));
        private readonly HashSet<long> _producers = [];

        public bool IsAborted(RecordBatchView batch, ReadOnlyMemory<byte> bytes)
        {
            while (_later.TryPeek(out var next) && next.FirstOffset <= batch.LastOffset)
                _producers.Add(_later.Dequeue().ProducerId);
            if (!batch.IsControl)
                return batch.IsTransactional && _producers.Contains(batch.ProducerId);
            if (IsAbort(bytes))
                _producers.Remove(batch.ProducerId);
            return true;
        }

        private static bool IsAbort(ReadOnlyMemory<byte> batch)
        {
            using var reader = new RecordReader(batch);
            return reader.TryRead(out var record)
                && (ControlRecordType)BinaryPrimitives.ReadInt16BigEndian(record.Key[sizeof(short)..]) == ControlRecordType.Abort;
        }
    }
}
