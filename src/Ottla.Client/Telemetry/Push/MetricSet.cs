using Ottla.Kernel;
using Ottla.Requests;

namespace Ottla.Client.Push;

/// <summary>The metrics of a producer or a consumer, and those of its connections. Thread-safe; lives as long as its owner.</summary>
/// <remarks>The names are those of Kafka's Java client (KIP-714); units are ms where a name does not say another.</remarks>
internal abstract class MetricSet : IChannelObserver
{
    /// <summary>No labels.</summary>
    public static readonly MetricLabel[] NoLabels = [];

    /// <summary>The most nodes and topics that are told apart: what comes later is in no metric of single nodes or topics.</summary>
    private const int LabelledMax = 1_000;

    private readonly Lock _lock = new();
    private readonly string _domain;

    // Guarded by _lock.
    private readonly List<PushedMetric> _metrics = [];
    private readonly Dictionary<int, NodeMetrics> _nodes = [];

    private readonly PushedCount _connectionsMade;
    private readonly PushedCount _connectionsClosed;
    private readonly PushedCount _requests;
    private readonly PushedCount _responses;
    private readonly PushedCount _sentBytes;
    private readonly PushedCount _receivedBytes;
    private readonly PushedCount _exchanges;
    private readonly PushedValues _requestBytes;
    private int _connections;

    /// <param name="kind"><c>producer</c> or <c>consumer</c>.</param>
    /// <param name="beganAt">Now.</param>
    protected MetricSet(string kind, Instant beganAt)
    {
        _domain = $"org.apache.kafka.{kind}.";
        _connectionsMade = Count("connection.creation");
        _connectionsClosed = Count("connection.close");
        Gauge("connection.count", () => Volatile.Read(ref _connections));
        _requests = Count("request");
        _responses = Count("response");
        _sentBytes = Count("outgoing.byte");
        _receivedBytes = Count("incoming.byte");
        _exchanges = Count("network.io");
        _requestBytes = Values("request.size");
        Add(new PushedGauge("org.apache.kafka.app.info.start.time.ms", () => beganAt.UnixMilliseconds));
    }

    /// <summary>Called before metrics are collected, for what its owner measures in another way.</summary>
    public Action? Collecting { get; set; }

    /// <summary>Puts all metrics into a push.</summary>
    public void Collect(MetricsCollection push)
    {
        Collecting?.Invoke();
        CollectAll(push);
    }

    /// <summary>As <see cref="Collect"/>, after <see cref="Collecting"/>.</summary>
    protected virtual void CollectAll(MetricsCollection push)
    {
        foreach (var metric in Metrics())
            metric.Collect(push);
    }

    /// <summary>The cluster has what was collected last.</summary>
    public virtual void OnTold()
    {
        foreach (var metric in Metrics())
            metric.OnTold();
    }

    /// <inheritdoc/>
    public void OnConnected(NodeAddress node)
    {
        Interlocked.Increment(ref _connections);
        _connectionsMade.Add();
    }

    /// <inheritdoc/>
    public void OnDisconnected(NodeAddress node)
    {
        Interlocked.Decrement(ref _connections);
        _connectionsClosed.Add();
    }

    /// <inheritdoc/>
    public void OnSent(NodeAddress node, int bytes)
    {
        _requests.Add();
        _exchanges.Add();
        _sentBytes.Add(bytes);
        _requestBytes.Record(bytes);
        Node(node)?.OnSent(bytes);
    }

    /// <inheritdoc/>
    public void OnAnswered(NodeAddress node, int bytes, TimeSpan latency)
    {
        _responses.Add();
        _exchanges.Add();
        _receivedBytes.Add(bytes);
        Node(node)?.OnAnswered(bytes, latency);
        OnLatency(latency);
    }

    /// <summary>A request was answered.</summary>
    protected virtual void OnLatency(TimeSpan latency)
    {
    }

    /// <summary>Adds a count.</summary>
    protected PushedCount Count(string name, params MetricLabel[] labels) => Add(new PushedCount(_domain + name, labels));

    /// <summary>Adds a time that only grows, in ns.</summary>
    protected PushedCount Time(string name) => Add(new PushedCount(_domain + name, NoLabels, rateName: null));

    /// <summary>Adds a count whose rate is that of an hour.</summary>
    protected PushedCount HourlyCount(string name) =>
        Add(new PushedCount(_domain + name, NoLabels, ".rate.per.hour", TimeSpan.SecondsPerHour));

    /// <summary>Adds values of which the mean and the largest are told.</summary>
    protected PushedValues Values(string name, params MetricLabel[] labels) => Add(new PushedValues(_domain + name, labels));

    /// <summary>Adds values of which the mean is told.</summary>
    protected PushedValues Mean(string name, params MetricLabel[] labels) => Add(new PushedValues(_domain + name, labels, hasMax: false));

    /// <summary>Adds values of which the mean is told, by the name itself.</summary>
    protected PushedValues PlainMean(string name, params MetricLabel[] labels) =>
        Add(new PushedValues(_domain + name, labels, meanSuffix: "", hasMax: false));

    /// <summary>Adds values of which the largest is told.</summary>
    protected PushedValues Max(string name) => Add(new PushedValues(_domain + name, NoLabels, meanSuffix: null));

    /// <summary>Adds what is so now.</summary>
    protected void Gauge(string name, Func<double?> read) => Add(new PushedGauge(_domain + name, read));

    /// <summary>The whole name of a metric.</summary>
    protected string FullName(string name) => _domain + name;

    /// <summary>The metrics of one of many things, made the first time; null when there are too many.</summary>
    protected T? Labelled<TKey, T>(Dictionary<TKey, T> known, TKey key, Func<TKey, T> make)
        where TKey : notnull
        where T : class
    {
        lock (_lock)
        {
            if (known.TryGetValue(key, out var metrics))
                return metrics;
            return known.Count >= LabelledMax ? null : known[key] = make(key);
        }
    }

    private T Add<T>(T metric)
        where T : PushedMetric
    {
        lock (_lock)
            _metrics.Add(metric);
        return metric;
    }

    private List<PushedMetric> Metrics()
    {
        lock (_lock)
            return [.. _metrics];
    }

    private NodeMetrics? Node(NodeAddress node) => Labelled(_nodes, node.Id, id => new NodeMetrics(this, id));

    private sealed class NodeMetrics
    {
        private readonly PushedCount _requests;
        private readonly PushedCount _responses;
        private readonly PushedCount _sentBytes;
        private readonly PushedCount _receivedBytes;
        private readonly PushedValues _requestBytes;
        private readonly PushedValues _latency;

        public NodeMetrics(MetricSet set, int id)
        {
            var label = new MetricLabel("node_id", $"node-{id}");
            _requests = set.Count("node.request", label);
            _responses = set.Count("node.response", label);
            _sentBytes = set.Count("node.outgoing.byte", label);
            _receivedBytes = set.Count("node.incoming.byte", label);
            _requestBytes = set.Values("node.request.size", label);
            _latency = set.Values("node.request.latency", label);
        }

        public void OnSent(int bytes)
        {
            _requests.Add();
            _sentBytes.Add(bytes);
            _requestBytes.Record(bytes);
        }

        public void OnAnswered(int bytes, TimeSpan latency)
        {
            _responses.Add();
            _receivedBytes.Add(bytes);
            _latency.Record(latency);
        }
    }
}
