using Ottla.Client.Producing;
using Ottla.Kernel;

namespace Ottla.Client.Push;

/// <summary>The metrics of a producer. Measured by its loop, but for those of calls and connections.</summary>
internal sealed class ProducerMetrics : MetricSet
{
    private readonly Dictionary<string, TopicMetrics> _topics = [];
    private readonly PushedValues _requestLatency;
    private readonly PushedValues _throttleTime;
    private readonly PushedValues _queueTime;
    private readonly PushedValues _batchBytes;
    private readonly PushedValues _recordsPerRequest;
    private readonly PushedValues _recordBytes;
    private readonly PushedValues _compression;
    private readonly PushedCount _sent;
    private readonly PushedCount _failed;
    private readonly PushedCount _retried;
    private readonly PushedCount _splits;

    /// <param name="client">The client.</param>
    /// <param name="inFlight">The requests that are sent and not answered.</param>
    public ProducerMetrics(OttlaClient client, Func<int> inFlight)
        : base("producer", Instant.Now(client.Options.TimeProvider))
    {
        _requestLatency = Values("request.latency");
        _throttleTime = Values("produce.throttle.time");
        _queueTime = Values("record.queue.time");
        _batchBytes = Values("batch.size");
        _recordsPerRequest = Mean("records.per.request");
        _recordBytes = Mean("record.size");
        _compression = Mean("compression.rate");
        _sent = Count("record.send");
        _failed = Count("record.error");
        _retried = Count("record.retry");
        _splits = Count("batch.split");
        FlushTime = Time("flush.time.ns");
        BeginTime = Time("txn.begin.time.ns");
        CommitTime = Time("txn.commit.time.ns");
        AbortTime = Time("txn.abort.time.ns");
        SendOffsetsTime = Time("txn.send.offsets.time.ns");
        var limit = client.Options.MemoryLimitBytes;
        Gauge("buffer.total.bytes", () => limit);
        Gauge("buffer.available.bytes", () => Math.Max(0, limit - client.Memory.TakenBytes));
        Gauge("requests.in.flight", () => inFlight());
    }

    /// <summary>The time that flushes took, in ns.</summary>
    public PushedCount FlushTime { get; }

    /// <summary>The time that beginning transactions took, with the producer's id.</summary>
    public PushedCount BeginTime { get; }

    /// <summary>The time that commits took, in ns.</summary>
    public PushedCount CommitTime { get; }

    /// <summary>The time that aborts took, in ns.</summary>
    public PushedCount AbortTime { get; }

    /// <summary>The time that sending offsets took, in ns.</summary>
    public PushedCount SendOffsetsTime { get; }

    /// <summary>A request is sent.</summary>
    public void OnSending(ProducedTopic[] topics, Instant now)
    {
        var records = 0L;
        foreach (var topic in topics)
        {
            var metrics = Topic(topic.Name);
            foreach (var batch in topic.Batches)
            {
                records += batch.RecordCount;
                var bytes = batch.Wire.Length;
                _batchBytes.Record(bytes);
                _recordBytes.Record((double)batch.Length / batch.RecordCount);
                _compression.Record((double)bytes / batch.Length);
                _queueTime.Record(now.MillisecondsSince(batch.CreatedAt));
                metrics?.OnSending(batch.RecordCount, bytes, (double)bytes / batch.Length);
            }
        }

        _sent.Add(records);
        _recordsPerRequest.Record(records);
    }

    /// <summary>A request was answered.</summary>
    public void OnThrottled(int throttleMs) => _throttleTime.Record(throttleMs);

    /// <summary>A batch is sent again.</summary>
    public void OnRetry(ProducerBatch batch)
    {
        _retried.Add(batch.RecordCount);
        Topic(batch.Queue.Topic.Name)?.Retried.Add(batch.RecordCount);
    }

    /// <summary>A batch was too large.</summary>
    public void OnSplit() => _splits.Add();

    /// <summary>Records were not written.</summary>
    public void OnFailed(ProducerBatch batch)
    {
        _failed.Add(batch.RecordCount);
        Topic(batch.Queue.Topic.Name)?.Failed.Add(batch.RecordCount);
    }

    /// <inheritdoc/>
    protected override void OnLatency(TimeSpan latency) => _requestLatency.Record(latency);

    private TopicMetrics? Topic(string name) => Labelled(_topics, name, topic => new TopicMetrics(this, topic));

    private sealed class TopicMetrics
    {
        private readonly PushedCount _sent;
        private readonly PushedCount _bytes;
        private readonly PushedValues _compression;

        public TopicMetrics(ProducerMetrics set, string name)
        {
            var label = new MetricLabel("topic", name);
            _sent = set.Count("topic.record.send", label);
            _bytes = set.Count("topic.byte", label);
            Failed = set.Count("topic.record.error", label);
            Retried = set.Count("topic.record.retry", label);
            _compression = set.PlainMean("topic.compression.rate", label);
        }

        public PushedCount Failed { get; }

        public PushedCount Retried { get; }

        public void OnSending(int records, int bytes, double compression)
        {
            _sent.Add(records);
            _bytes.Add(bytes);
            _compression.Record(compression);
        }
    }
}
