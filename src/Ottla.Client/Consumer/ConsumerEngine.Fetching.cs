using Ottla.Client.Calls;
using Ottla.Client.Cluster;
using Ottla.Client.Consumers.Fetching;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Consumers;

/// <summary>Fetches ahead of the application, from every node at once and one request per node at a time.</summary>
internal sealed partial class ConsumerEngine
{
    /// <summary>The most answers of a partition that wait for the application.</summary>
    private const int BufferedAnswersMax = 8;

    /// <summary>
    /// How many answers of full size are asked for ahead of the application: so many that it still has some when a node answers late.
    /// </summary>
    private const int FullAnswersAhead = 4;

    /// <summary>How long a node waits for records, in ms, while partitions of it are left out that the application may soon need.</summary>
    private const int ShortWaitMs = 10;

    private const short LastVersionWithNames = 12;

    // Guarded by _lock, but for a session: that belongs to the fetch that is under way.
    private readonly Dictionary<int, FetchNode> _nodes = [];
    private long _answersUsedUp;

    /// <summary>A node that is fetched from.</summary>
    private sealed class FetchNode
    {
        public FetchSession Session { get; } = new();

        public bool IsAsked { get; set; }

        public Instant NotBefore { get; set; } = new(long.MinValue);

        public int Failures { get; set; }

        /// <summary>Whether partitions are left out, since enough of their records wait for the application.</summary>
        public bool HasLeftOut { get; set; }

        /// <summary>How long the node was to wait when partitions were left out the last time, in ms.</summary>
        public int WaitMs { get; set; }

        /// <summary>The answers that the application had used up by then.</summary>
        public long UsedUp { get; set; }
    }

    /// <summary>What was asked of a partition.</summary>
    private readonly record struct Asked(ConsumedPartition Partition, int PositionVersion, FetchPosition Position);

    /// <summary>Starts a fetch from every node that has something to give. Called under the lock.</summary>
    /// <returns>When to look again.</returns>
    private Instant? StartFetches(Instant now)
    {
        if (_isClosing)
            return null;
        Instant? deadline = null;
        var image = _client.Metadata.Current;
        var byNode = new Dictionary<NodeAddress, List<ConsumedPartition>>();
        var buffered = 0L;
        foreach (var node in _nodes.Values)
            node.HasLeftOut = false;
        foreach (var partition in _partitions.Values)
        {
            buffered += partition.BufferedBytes;
            if (partition is not { Need: PositionNeed.Nothing, IsPaused: false, IsFetched: false })
                continue;
            if (partition.BufferedBytes >= (FullAnswersAhead - 1L) * _options.MaxPartitionFetchBytes
                || partition.BufferedCount >= BufferedAnswersMax)
            {
                if (NodeFor(partition, image, now) is { } from && _nodes.TryGetValue(from.Id, out var full))
                    full.HasLeftOut = true;
                continue;
            }

            if (partition.RetryAt > now)
            {
                Consider(ref deadline, partition.RetryAt);
                continue;
            }

            if (NodeFor(partition, image, now) is not { } node)
            {
                _client.Metadata.RequestUpdateOf(partition.Partition.Topic);
                partition.RetryAt = now.AddMilliseconds(_retryBackoffMs);
                Consider(ref deadline, partition.RetryAt);
                continue;
            }

            if (!byNode.TryGetValue(node, out var partitions))
                byNode.Add(node, partitions = []);
            partitions.Add(partition);
        }

        if (buffered >= _options.PrefetchMaxBytes)
            return deadline; // the application wakes the loop when it has taken some
        foreach (var (address, partitions) in byNode)
        {
            if (!_nodes.TryGetValue(address.Id, out var node))
                _nodes.Add(address.Id, node = new FetchNode());
            if (node.IsAsked)
                continue;
            if (node.NotBefore > now)
                Consider(ref deadline, node.NotBefore);
            else
                StartFetch(address, node, partitions, image);
        }

        return deadline;
    }

    /// <summary>The node to fetch from: the leader, or a nearer replica that it named.</summary>
    private static NodeAddress? NodeFor(ConsumedPartition partition, ClusterImage image, Instant now)
    {
        if (partition.PreferredReplica >= 0)
        {
            if (now < partition.PreferredUntil && image.AddressOf(partition.PreferredReplica) is { } near)
                return near;
            partition.PreferredReplica = -1;
        }

        return image.LeaderOf(partition.Partition);
    }

    private void StartFetch(NodeAddress address, FetchNode node, List<ConsumedPartition> partitions, ClusterImage image)
    {
        node.IsAsked = true;
        var asked = new List<Asked>(partitions.Count);
        foreach (var partition in partitions)
        {
            partition.IsFetched = true;
            asked.Add(new Asked(partition, partition.PositionVersion, new FetchPosition(
                image.Topic(partition.Partition.Topic)?.Id ?? Uuid.Zero, partition.FetchOffset,
                image.Partition(partition.Partition)?.LeaderEpoch ?? -1, _options.MaxPartitionFetchBytes)));
        }

        var waitMs = WaitFor(node);
        Start(() => FetchAsync(address, node, asked, waitMs));
    }

    /// <summary>
    /// How long a node is to wait for records, in ms. It answers one request at a time: while it waits for those of some partitions, the
    /// application may use up those of the partitions that are left out. So it waits shortly then, and longer from time to time while the
    /// application uses up nothing.
    /// </summary>
    private int WaitFor(FetchNode node)
    {
        var longMs = (int)_options.FetchMaxWait.TotalMilliseconds;
        if (!node.HasLeftOut)
            return longMs;
        node.WaitMs = node.UsedUp == _answersUsedUp ? 2 * Math.Max(node.WaitMs, 1) : ShortWaitMs;
        node.UsedUp = _answersUsedUp;
        return node.WaitMs = Math.Min(node.WaitMs, longMs);
    }

    private async Task FetchAsync(NodeAddress address, FetchNode node, List<Asked> asked, int waitMs)
    {
        FetchResponse? answer = null;
        FetchedFrame? frame = null;
        var startedAt = _time.GetTimestamp();
        RequestFailedException? failure = null;
        var hasIds = asked.TrueForAll(each => each.Position.TopicId != Uuid.Zero);
        try
        {
            (answer, var memory) = await _fetchConnections.To(address).SendForRecordsAsync<FetchRequest, FetchResponse>(
                version => NewFetch(node, asked, waitMs, version > LastVersionWithNames),
                _client.Options.RequestTimeout + _options.FetchMaxWait, hasIds ? short.MaxValue : LastVersionWithNames, _closed);
            frame = new FetchedFrame(memory, isPooled: !_keepsBytes);
            MeasureFetch(_time.GetElapsedTime(startedAt), answer);
        }
        catch (RequestFailedException e)
        {
            failure = e;
        }
        finally
        {
            if (ClientTelemetry.TimesOperations)
            {
                ClientTelemetry.NoteOperation(
                    "poll", address.Host, address.Port, _time.GetElapsedTime(startedAt), failure?.Kind.ToString());
            }

            lock (_lock)
            {
                foreach (var each in asked)
                    each.Partition.IsFetched = false;
                node.IsAsked = false;
                if (answer is not null)
                    OnFetched(address, node, asked, answer, frame!);
                else if (failure is not null)
                    OnFetchFailed(address, node, asked, failure);
                frame?.Release();
            }
        }
    }

    private FetchRequest NewFetch(FetchNode node, List<Asked> asked, int waitMs, bool usesIds)
    {
        var request = node.Session.Build([.. asked.Select(each => (each.Partition.Partition, each.Position))], usesIds);
        request.MaxWaitMs = waitMs;
        request.MinBytes = _options.FetchMinBytes;
        request.MaxBytes = _options.FetchMaxBytes;
        request.IsolationLevel = (sbyte)_options.IsolationLevel;
        request.RackId = _client.Options.ClientRack ?? "";
        return request;
    }

    private void OnFetchFailed(NodeAddress address, FetchNode node, List<Asked> asked, RequestFailedException failure)
    {
        if (failure.IsRefusal())
            Fail(failure.ToKafkaException());
        node.Session.Restart();
        Delay(node);
        foreach (var each in asked.Where(each => each.Partition.PreferredReplica == address.Id))
            each.Partition.PreferredReplica = -1;
        _client.Metadata.RequestUpdate();
    }

    private void Delay(FetchNode node)
    {
        const int doublingsMax = 4;
        var delayMs = Math.Min(
            (long)_retryBackoffMs << Math.Min(node.Failures++, doublingsMax), (long)_client.Options.RetryBackoffMax.TotalMilliseconds);
        node.NotBefore = Instant.Now(_time).AddMilliseconds(delayMs);
    }

    private void OnFetched(NodeAddress address, FetchNode node, List<Asked> asked, FetchResponse answer, FetchedFrame frame)
    {
        var error = (ErrorCode)answer.ErrorCode;
        if (error != ErrorCode.None)
        {
            node.Session.OnRefused(error);
            Delay(node);
            if (ErrorKinds.InvalidatesMetadata(error) || error == ErrorCode.FetchSessionTopicIdError)
                _client.Metadata.RequestUpdate();
            return;
        }

        node.Failures = 0;
        if (answer.ThrottleTimeMs > 0)
            node.NotBefore = Instant.Now(_time).AddMilliseconds(answer.ThrottleTimeMs);
        var byName = asked.ToDictionary(each => each.Partition.Partition);
        var hasRecords = false;
        foreach (var topic in answer.Responses)
        {
            foreach (var part in topic.Partitions)
            {
                if (node.Session.Find(topic.TopicId, topic.Topic, part.PartitionIndex) is not { } name
                    || !byName.TryGetValue(name, out var each) || each.Partition.IsGone
                    || each.Partition.PositionVersion != each.PositionVersion)
                    continue; // it was taken away, or its position was changed meanwhile
                OnFetched(address, each, part, answer, frame);
                EnqueueReady(each.Partition);
                hasRecords |= each.Partition.HasRecords;
            }
        }

        node.Session.OnAnswer(answer.SessionId);
        if (hasRecords)
            WakeApplication();
    }

    private void OnFetched(
        NodeAddress address, Asked asked, FetchResponse.PartitionData part, FetchResponse answer, FetchedFrame frame)
    {
        var partition = asked.Partition;
        if (part.ErrorCode != (short)ErrorCode.None)
        {
            OnPartitionRefused(address, asked, part, answer);
            return;
        }

        partition.ValidEpoch = Math.Max(partition.ValidEpoch, asked.Position.LeaderEpoch);
        if (part.HighWatermark >= 0)
            partition.HighWatermark = part.HighWatermark;
        if (part.LastStableOffset >= 0)
            partition.LastStableOffset = part.LastStableOffset;
        if (part.LogStartOffset >= 0)
            partition.LogStartOffset = part.LogStartOffset;
        if (part.PreferredReadReplica >= 0)
        {
            partition.PreferredReplica = part.PreferredReadReplica;
            partition.PreferredUntil = Instant.Now(_time).AddMilliseconds((long)_client.Options.MetadataMaxAge.TotalMilliseconds);
        }

        if (part.Records.Length == 0)
            return;
        var aborted = _options.IsolationLevel == IsolationLevel.ReadCommitted ? part.AbortedTransactions ?? [] : null;
        try
        {
            partition.Add(new FetchedRecords(part.Records.Memory, partition.FetchOffset, aborted, _options.CheckCrcs, frame));
        }
        catch (CorruptRecordException e)
        {
            partition.RetryAt = Instant.Now(_time).AddMilliseconds((long)_client.Options.RetryBackoffMax.TotalMilliseconds);
            Fail(new UnreadableRecordException(
                e.ErrorCode, partition.Partition, partition.FetchOffset, $"{partition.Partition} cannot be read: {e.Message}", e));
        }
    }

    private void OnPartitionRefused(NodeAddress address, Asked asked, FetchResponse.PartitionData part, FetchResponse answer)
    {
        var partition = asked.Partition;
        var now = Instant.Now(_time);
        var error = (ErrorCode)part.ErrorCode;
        partition.RetryAt = now.AddMilliseconds(_retryBackoffMs);
        var wasNear = partition.PreferredReplica == address.Id;
        partition.PreferredReplica = -1;
        switch (error)
        {
            case ErrorCode.OffsetOutOfRange when wasNear:
                break; // a follower may be behind: the leader knows
            case ErrorCode.OffsetOutOfRange when partition.BufferedCount > 0:
                break; // what is at hand comes first; the offset may be there later
            case ErrorCode.OffsetOutOfRange:
                ChooseReset(partition, now, partition.FetchOffset);
                break;
            case ErrorCode.NotLeaderOrFollower or ErrorCode.FencedLeaderEpoch when part.CurrentLeader is { LeaderId: >= 0 } leader
                && LearnLeader(partition.Partition, leader, answer):
                partition.RetryAt = now; // the answer names the new leader
                break;
            case ErrorCode.NotLeaderOrFollower or ErrorCode.FencedLeaderEpoch or ErrorCode.ReplicaNotAvailable
                or ErrorCode.KafkaStorageError or ErrorCode.OffsetNotAvailable or ErrorCode.UnknownTopicOrPartition
                or ErrorCode.UnknownTopicId or ErrorCode.InconsistentTopicId:
                _client.Metadata.RequestUpdate();
                break;
            case ErrorCode.UnknownLeaderEpoch or ErrorCode.UnknownServerError:
                break;
            default:
                partition.RetryAt = now.AddMilliseconds((long)_client.Options.RetryBackoffMax.TotalMilliseconds);
                Fail(new KafkaException(error, $"{partition.Partition} cannot be fetched from offset {partition.FetchOffset}"));
                break;
        }
    }

    private bool LearnLeader(TopicPartition partition, FetchResponse.LeaderIdAndEpoch leader, FetchResponse answer)
    {
        var endpoint = answer.NodeEndpoints.FirstOrDefault(node => node.NodeId == leader.LeaderId);
        return _client.Metadata.LearnLeader(
            partition, leader.LeaderId, leader.LeaderEpoch,
            endpoint is null ? null : new ClusterNode(new NodeAddress(endpoint.NodeId, endpoint.Host, endpoint.Port), endpoint.Rack));
    }
}
