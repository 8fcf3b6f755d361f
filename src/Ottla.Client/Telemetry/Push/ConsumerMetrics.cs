using Ottla.Client.Consumers.Membership;
using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Push;

/// <summary>The metrics of a consumer. Thread-safe; what it measures of polls and of the group has a lock of its own.</summary>
/// <remarks>Its engine calls it under the engine's lock: so nothing here may call the engine while it holds a lock.</remarks>
internal sealed class ConsumerMetrics : MetricSet
{
    private readonly Lock _own = new();
    private readonly Dictionary<string, TopicMetrics> _topics = [];
    private readonly TimeProvider _time;
    private readonly PushedValues _fetchLatency;
    private readonly PushedValues _fetchBytes;
    private readonly PushedValues _fetchThrottle;
    private readonly PushedCount _fetches;
    private readonly PushedCount _records;
    private readonly PushedCount _bytes;
    private readonly PushedValues _commitLatency;
    private readonly PushedCount _commits;
    private readonly PushedCount _commitTime;
    private readonly PushedCount _heartbeats;
    private readonly PushedValues _heartbeatTime;
    private readonly PushedCount _rebalances;
    private readonly PushedCount _failedRebalances;
    private readonly PushedValues _rebalanceLatency;
    private readonly PushedCount _rebalanceTime;
    private readonly PushedValues _timeBetweenPolls;

    // Guarded by _own.
    private Instant? _heartbeatAt;
    private Instant? _rebalancedAt;
    private Instant? _rebalancingSince;
    private long? _pollAt;
    private bool _isPolling;
    private TimeSpan _idle;

    // Of who collects.
    private Instant _idleSince;
    private TimeSpan _idleTold;
    private (Instant At, TimeSpan Idle) _idleCollected;

    /// <param name="time">The clock.</param>
    /// <param name="hasGroup">Whether the consumer has a group.</param>
    public ConsumerMetrics(TimeProvider time, bool hasGroup)
        : base("consumer", Instant.Now(time))
    {
        _time = time;
        _idleSince = Instant.Now(time);
        _fetchLatency = Values("fetch.manager.fetch.latency");
        _fetchBytes = Values("fetch.manager.fetch.size");
        _fetchThrottle = Values("fetch.manager.fetch.throttle.time");
        _fetches = Count("fetch.manager.fetch");
        _records = Count("fetch.manager.records.consumed");
        _bytes = Count("fetch.manager.bytes.consumed");
        _timeBetweenPolls = Values("time.between.poll");
        Gauge("last.poll.seconds.ago", () => _pollAt is { } at ? Math.Floor(_time.GetElapsedTime(at).TotalSeconds) : null);
        _commitLatency = Values("coordinator.commit.latency");
        _commits = Count("coordinator.commit");
        _commitTime = Time("commit.sync.time.ns");
        _heartbeats = Count("coordinator.heartbeat");
        _heartbeatTime = Max("coordinator.heartbeat.response.time");
        _rebalances = HourlyCount("coordinator.rebalance");
        _failedRebalances = HourlyCount("coordinator.failed.rebalance");
        _rebalanceLatency = Values("coordinator.rebalance.latency");
        _rebalanceTime = Time("coordinator.rebalance.latency");
        if (!hasGroup)
            return;
        Gauge("coordinator.assigned.partitions", () => AssignedPartitions);
        Gauge("coordinator.last.heartbeat.seconds.ago", () => SecondsSince(_heartbeatAt));
        Gauge("coordinator.last.rebalance.seconds.ago", () => SecondsSince(_rebalancedAt));
    }

    /// <summary>The partitions that the group has assigned to this member. Set while metrics are collected.</summary>
    public int AssignedPartitions { get; set; }

    /// <summary>How far the application is from the ends and starts of its partitions. Filled while metrics are collected.</summary>
    public List<PartitionDistance> Distances { get; } = [];

    /// <summary>A fetch was answered.</summary>
    public void OnFetched(TimeSpan latency, int bytes, int throttleMs)
    {
        _fetches.Add();
        _fetchLatency.Record(latency);
        _fetchBytes.Record(bytes);
        _fetchThrottle.Record(throttleMs);
    }

    /// <summary>The application has taken records.</summary>
    public void OnConsumed(string topic, long records, long bytes)
    {
        _records.Add(records);
        _bytes.Add(bytes);
        if (Labelled(_topics, topic, name => new TopicMetrics(this, name)) is not { } metrics)
            return;
        metrics.Records.Add(records);
        metrics.Bytes.Add(bytes);
    }

    /// <summary>The application waits for records.</summary>
    public void OnPollBegun()
    {
        lock (_own)
        {
            if (_pollAt is { } before)
                _timeBetweenPolls.Record(_time.GetElapsedTime(before));
            _pollAt = _time.GetTimestamp();
            _isPolling = true;
        }
    }

    /// <summary>It has some.</summary>
    public void OnPollEnded()
    {
        lock (_own)
        {
            if (_isPolling)
                _idle += _time.GetElapsedTime(_pollAt!.Value);
            _isPolling = false;
        }
    }

    /// <summary>Offsets were committed.</summary>
    public void OnCommitted(TimeSpan latency)
    {
        const int nsPerTick = 100;
        _commits.Add();
        _commitLatency.Record(latency);
        _commitTime.Add(latency.Ticks * nsPerTick);
    }

    /// <summary>A request of the member is sent.</summary>
    public void OnMemberRequest(Instant now, object request)
    {
        lock (_own)
        {
            if (request is JoinGroupRequest)
                _rebalancingSince ??= now;
            if (request is HeartbeatRequest or ConsumerGroupHeartbeatRequest)
                _heartbeatAt = now;
        }

        if (request is HeartbeatRequest or ConsumerGroupHeartbeatRequest)
            _heartbeats.Add();
    }

    /// <summary>A request of the member was answered.</summary>
    public void OnMemberAnswer(object request, TimeSpan latency)
    {
        if (request is HeartbeatRequest or ConsumerGroupHeartbeatRequest)
            _heartbeatTime.Record(latency);
    }

    /// <summary>Partitions are about to come or go.</summary>
    public void OnCallback(Instant now, MembershipAction action)
    {
        lock (_own)
            _rebalancingSince = action is MembershipAction.Lose ? null : _rebalancingSince ?? now;
        if (action is MembershipAction.Lose)
            _failedRebalances.Add();
    }

    /// <summary>They have come.</summary>
    public void OnAssigned(Instant now)
    {
        long latencyMs;
        lock (_own)
        {
            if (_rebalancingSince is not { } since)
                return;
            latencyMs = now.MillisecondsSince(since);
            _rebalancedAt = now;
            _rebalancingSince = null;
        }

        _rebalances.Add();
        _rebalanceLatency.Record(latencyMs);
        _rebalanceTime.Add(latencyMs);
    }

    /// <inheritdoc/>
    protected override void CollectAll(MetricsCollection push)
    {
        lock (_own)
        {
            base.CollectAll(push); // the gauges read what the lock guards
            CollectIdle(push);
        }

        CollectDistances(push);
    }

    private void CollectIdle(MetricsCollection push)
    {
        var idle = _idle + (_isPolling ? _time.GetElapsedTime(_pollAt!.Value) : TimeSpan.Zero);
        _idleCollected = (push.Now, idle);
        if (push.Now.MillisecondsSince(_idleSince) is > 0 and var elapsedMs)
            push.Gauge(FullName("poll.idle.ratio.avg"), NoLabels, Math.Min(1, (idle - _idleTold).TotalMilliseconds / elapsedMs));
    }

    /// <inheritdoc/>
    public override void OnTold()
    {
        base.OnTold();
        (_idleSince, _idleTold) = _idleCollected;
    }

    private void CollectDistances(MetricsCollection push)
    {
        if (Distances.Count == 0)
            return;
        push.Gauge(FullName("fetch.manager.records.lag.max"), NoLabels, Distances.Max(each => each.Lag));
        push.Gauge(FullName("fetch.manager.records.lead.min"), NoLabels, Distances.Min(each => each.Lead));
        foreach (var each in Distances)
        {
            MetricLabel[] labels =
            [
                new("partition", each.Partition.Partition.ToString(System.Globalization.CultureInfo.InvariantCulture)),
                new("topic", each.Partition.Topic),
            ];
            push.Gauge(FullName("fetch.manager.records.lag"), labels, each.Lag);
            push.Gauge(FullName("fetch.manager.records.lead"), labels, each.Lead);
        }
    }

    private double? SecondsSince(Instant? at) =>
        at is { } known ? Math.Floor(Instant.Now(_time).MillisecondsSince(known) / 1000.0) : null;

    /// <summary>How far the application is behind the end of a partition, and ahead of its start, in records.</summary>
    /// <param name="Partition">The partition.</param>
    /// <param name="Lag">Behind its end.</param>
    /// <param name="Lead">Ahead of its start.</param>
    internal readonly record struct PartitionDistance(TopicPartition Partition, long Lag, long Lead);

    private sealed class TopicMetrics
    {
        public TopicMetrics(ConsumerMetrics set, string name)
        {
            var label = new MetricLabel("topic", name);
            Records = set.Count("fetch.manager.records.consumed", label);
            Bytes = set.Count("fetch.manager.bytes.consumed", label);
        }

        public PushedCount Records { get; }

        public PushedCount Bytes { get; }
    }
}
