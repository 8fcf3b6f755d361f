using System.Buffers;
using System.Text;
using Ottla.Broker.Monitoring;

namespace Ottla.UnitTests.Monitoring;

public sealed class PrometheusTextTests
{
    private static readonly MetricFamily Plain = MetricFamily.Gauge("a_gauge", "One\nline \\ more.", "topic", "partition");

    [Fact]
    public void A_family_has_its_help_its_type_and_its_samples() => Assert.Equal(
        """
        # HELP a_gauge One\nline \\ more.
        # TYPE a_gauge gauge
        a_gauge 1
        a_gauge{topic="t",partition="0"} 1.5
        a_gauge{topic="quoted \"t\" \\ \n"} -3
        a_gauge{partition="7"} +Inf
        a_gauge{partition="8"} NaN

        """.ReplaceLineEndings("\n"),
        Write(text =>
        {
            text.Begin(Plain);
            text.Add(1);
            text.Add(1.5, "t", "0");
            text.Add(-3, "quoted \"t\" \\ \n");
            text.Add(double.PositiveInfinity, "", "7");
            text.Add(double.NaN, "", "8");
        }));

    [Fact]
    public void A_summary_has_its_quantiles_its_sum_and_its_count()
    {
        var lines = Write(text =>
        {
            text.Begin(MetricFamily.Summary("times", "Times.", "request"));
            text.Add(new TimeSummary(3, 4.5, [1, 2, 3, 4, 5, 6]), "Fetch");
        }).Split('\n');
        Assert.Equal("# TYPE times summary", lines[1]);
        Assert.Equal("times{request=\"Fetch\",quantile=\"0.5\"} 1", lines[2]);
        Assert.Equal("times{request=\"Fetch\",quantile=\"0.999\"} 6", lines[7]);
        Assert.Equal("times_sum{request=\"Fetch\"} 4.5", lines[8]);
        Assert.Equal("times_count{request=\"Fetch\"} 3", lines[9]);
    }

    [Fact]
    public void A_family_comes_once() => Write(text =>
    {
        text.Begin(Plain);
        Assert.Throws<InvalidOperationException>(() => text.Begin(Plain with { Help = "Another." }));
    });

    [Fact]
    public void Samples_beyond_the_limit_are_counted()
    {
        var text = Write(
            text =>
            {
                text.Begin(Plain);
                for (var i = 0; i < 5; i++)
                    text.Add(i, $"{i}");
                text.Begin(Plain with { Name = "another" });
                text.Add(0);
                text.End();
            },
            samplesMax: 2);
        Assert.Contains("a_gauge{topic=\"1\"} 1\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("topic=\"2\"", text, StringComparison.Ordinal);
        Assert.EndsWith("ottla_metrics_dropped_samples 3\n", text, StringComparison.Ordinal);
    }

    private static string Write(Action<PrometheusText> write, int samplesMax = int.MaxValue)
    {
        var buffer = new ArrayBufferWriter<byte>();
        write(new PrometheusText(buffer, samplesMax));
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
