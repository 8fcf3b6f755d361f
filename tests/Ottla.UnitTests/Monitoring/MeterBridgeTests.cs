using System.Diagnostics.Metrics;
using Ottla.Broker.Monitoring;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Monitoring;

/// <summary>The metrics of a node as instruments of System.Diagnostics.Metrics.</summary>
public sealed class MeterBridgeTests
{
    [Fact]
    public async Task A_listener_gets_every_series_of_a_scrape()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await client.ProduceAsync("t", Batch(3));
        using var bridge = new MeterBridge(node.Node.Metrics, node.Clock);
        using var listener = new Listener();
        await Waiting.UntilAsync(() => listener.Observe().ContainsKey("kafka_server_brokertopicmetrics_messagesin_total topic=t"));
        var observed = listener.Observe();
        Assert.Equal(3, observed["kafka_server_brokertopicmetrics_messagesin_total topic=t"]);
        Assert.Equal(3, observed["kafka_server_brokertopicmetrics_messagesin_total "]);
        Assert.Equal(1, observed["kafka_network_requestmetrics_totaltimems_count request=Produce"]);
        Assert.True(observed.ContainsKey("kafka_network_requestmetrics_totaltimems request=Produce,quantile=0.99"));
        Assert.DoesNotContain(observed.Keys, key => key.StartsWith("kafka_log_log_size", StringComparison.Ordinal));

        await client.ProduceAsync("t", Batch(2));
        Assert.Equal(3, listener.Observe()["kafka_server_brokertopicmetrics_messagesin_total "]); // fresh enough
        node.Clock.AdvanceMs((long)MeterBridge.FreshFor.TotalMilliseconds);
        await Waiting.UntilAsync(() => listener.Observe()["kafka_server_brokertopicmetrics_messagesin_total "] == 5);
    }

    [Fact]
    public void Nothing_is_collected_while_nobody_listens_and_a_metric_has_a_bound()
    {
        var registry = new MetricRegistry();
        var source = new ManySamples();
        registry.Add(source);
        using var bridge = new MeterBridge(registry, TimeProvider.System);
        Assert.Equal(0, source.Collected);
        using var listener = new Listener();
        Assert.Equal(MeterBridge.SamplesMax, listener.Observe().Count);
        Assert.Equal(1, source.Collected);
    }

    private sealed class ManySamples : MetricSource
    {
        private static readonly MetricFamily Family = MetricFamily.Gauge("many", "Many.", "i");

        public int Collected { get; private set; }

        public override IReadOnlyList<MetricFamily> Families { get; } = [Family];

        protected override void Collect(IMetricOutput output, bool isDetailed)
        {
            Collected++;
            output.Begin(Family);
            for (var i = 0; i < 2 * MeterBridge.SamplesMax; i++)
                output.Add(i, $"{i}");
        }
    }

    /// <summary>Listens to the meter of a bridge. The tests of this class run one after the other, and nothing else makes one.</summary>
    private sealed class Listener : IDisposable
    {
        private readonly MeterListener _listener = new();
        private readonly Dictionary<string, double> _observed = [];

        public Listener()
        {
            _listener.InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Name == MeterBridge.MeterName)
                    listener.EnableMeasurementEvents(instrument);
            };
            _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) =>
                _observed[$"{instrument.Name} {string.Join(',', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"))}"] = value);
            _listener.Start();
        }

        public Dictionary<string, double> Observe()
        {
            _observed.Clear();
            _listener.RecordObservableInstruments();
            return new Dictionary<string, double>(_observed);
        }

        public void Dispose() => _listener.Dispose();
    }
}
