using Ottla.Benchmarks;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Reports;

namespace Ottla.UnitTests.Benchmarks;

public sealed class MeasureTests
{
    [Fact]
    public void Percentiles_are_taken_of_sorted_latencies()
    {
        long[] ticks = [.. Enumerable.Range(0, 1000).Select(i => (long)(i * 7 % 1000))]; // 0 to 999, shuffled

        var latency = Latency.Of(ticks, ticksPerSecond: 1000);

        Assert.Equal(new Latency(500, 990, 999, 999), latency);
    }

    [Fact]
    public void One_latency_is_every_percentile() =>
        Assert.Equal(new Latency(3, 3, 3, 3), Latency.Of([3000], ticksPerSecond: 1_000_000));

    [Fact]
    public void No_latencies_have_no_percentiles() => Assert.Null(Latency.Of([], ticksPerSecond: 1));

    [Theory]
    [InlineData(new double[] { 5 }, 5)]
    [InlineData(new double[] { 9, 1, 5 }, 5)]
    [InlineData(new double[] { 4, 1, 2, 100 }, 3)]
    public void The_median_is_the_middle(double[] values, double expected) => Assert.Equal(expected, Median.Of(values));

    [Fact]
    public void The_median_leaves_out_what_is_missing()
    {
        Assert.Equal(2, Median.OfPresent([null, 1, 3]));
        Assert.Null(Median.OfPresent([null, null]));
    }

    [Fact]
    public void Cpu_ticks_are_found_behind_a_name_with_blanks_and_parentheses()
    {
        const string stat = "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 1000 0 3 0 250 17 0 0 20 0 9 0 100 200 300";

        Assert.Equal(267, ProcessUsage.ParseCpuTicks(stat));
    }

    [Fact]
    public void A_cut_off_stat_is_refused() => Assert.Throws<BenchException>(() => ProcessUsage.ParseCpuTicks("4711 (x) S 1"));

    [Fact]
    public void Resident_memory_is_read_in_bytes()
    {
        Assert.Equal(
            31_420L * 1024, ProcessUsage.ParseResidentBytes("Name:\tottla\nVmHWM:\t   99999 kB\nVmRSS:\t   31420 kB\nRssAnon:\t 1 kB\n"));
        Assert.Throws<BenchException>(() => ProcessUsage.ParseResidentBytes("Name:\tzombie\n"));
    }

    [Fact]
    public void The_kernel_is_asked_about_this_process()
    {
        Assert.True(ProcessUsage.ResidentBytes(Environment.ProcessId) > 1_000_000);
        Assert.True(ProcessUsage.CpuSeconds(Environment.ProcessId) > 0);
    }

    [Fact]
    public void Counters_are_read_by_name_and_subtracted()
    {
        var before = RuntimeSample.Parse(
            "allocated_bytes 1000\ngen0_collections 3\ngen1_collections 2\ngen2_collections 1\ngc_pause_ms 10\nworking_set_bytes 500\n");
        var after = RuntimeSample.Parse(
            "later_addition 1\ngc_pause_ms 14\nallocated_bytes 9000\ngen0_collections 5\ngen1_collections 3\ngen2_collections "
                + "1\nworking_set_bytes 400\n");

        Assert.Equal(new RuntimeSample(8000, 2, 1, 0, 4, 400), after.Since(before));
    }

    [Fact]
    public void A_missing_counter_is_refused() => Assert.Throws<BenchException>(() => RuntimeSample.Parse("allocated_bytes 1000\n"));

    [Fact]
    public void The_processor_is_named_by_cpuinfo() =>
        Assert.Equal(
            "Some Processor @ 2.80GHz",
            MachineInfo.ParseCpuModel("processor\t: 0\nmodel\t\t: 106\nmodel name\t: Some Processor @ 2.80GHz\nstepping\t: 6\n"));
}
