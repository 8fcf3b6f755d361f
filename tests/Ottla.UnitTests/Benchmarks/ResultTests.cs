using System.Text.Json;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Reports;

namespace Ottla.UnitTests.Benchmarks;

public sealed class ResultTests
{
    private static readonly Sample BrokerRound =
        new Sample
        {
            Seconds = 2,
            Bytes = 1e9,
            Requests = 1000,
            Records = 100_000,
            CpuSeconds = 1.5,
            ClientCpuSeconds = 0.25,
            ResidentBytes = 80e6
        }
        .With(new Latency(1.25, 4, 8, 9))
        .With(new RuntimeSample(200_000, 2, 1, 0, 7, 80_000_000));

    private static readonly Sample FloorRound =
        new Sample { Seconds = 1, Bytes = 1e9, Requests = 1000, Records = 100_000, CpuSeconds = 0.5 }.With(new Latency(0.5, 1, 2, 3));

    private static readonly BenchResult Result = new(
        new DateTimeOffset(2026, 3, 4, 5, 6, 7, TimeSpan.Zero),
        "abc1234-dirty",
        new Machine("Some(R) Processor(TM) @ 2.80GHz", 2, "6.1.0", ".NET 10.0.1", 24_000_000_000, "ext4"),
        3,
        false,
        [
            new ScenarioResult("produce-16K-8conn", "ottla", BrokerRound, [BrokerRound, BrokerRound with { Seconds = 3 }]),
            new ScenarioResult("produce-16K-8conn", "floor", FloorRound, [FloorRound]),
            new ScenarioResult("start", "ottla", new Sample { CpuSeconds = 0.12, P50Ms = 150 }, []),
        ]);

    [Fact]
    public void A_result_survives_being_stored()
    {
        var json = ResultStore.Serialize(Result);
        var read = ResultStore.Deserialize(json);

        Assert.Equal(json, ResultStore.Serialize(read));
        Assert.Equal(Result.Machine, read.Machine);
        Assert.Equal(Result.Date, read.Date);
        Assert.Equal(3, read.Scenarios[0].Rounds[1].Seconds);
        Assert.Equal(BrokerRound, read.Scenarios[0].Median);
    }

    [Fact]
    public void What_was_not_measured_is_not_stored() =>
        Assert.DoesNotContain("ackP50Ms", ResultStore.Serialize(Result), StringComparison.Ordinal);

    [Fact]
    public void What_is_no_result_is_refused() => Assert.Throws<JsonException>(() => ResultStore.Deserialize("null"));

    [Fact]
    public void A_file_is_named_by_date_commit_and_machine() =>
        Assert.Equal("20260304T050607Z-abc1234-dirty-some-processor-2.80ghz-2c.json", ResultStore.FileName(Result));

    [Fact]
    public void A_broker_that_got_dearer_by_more_than_a_tenth_is_named()
    {
        Assert.Empty(RegressionCheck.Find(Result, Result));
        Assert.Empty(RegressionCheck.Find(Result, With(BrokerRound with { CpuSeconds = 1.64, AllocatedBytes = 210_000 }, FloorRound)));
        // the machine was slower
        Assert.Empty(RegressionCheck.Find(Result, With(BrokerRound with { CpuSeconds = 3 }, FloorRound with { CpuSeconds = 1 })));
        var dearer = RegressionCheck.Find(Result, With(BrokerRound with { CpuSeconds = 1.66, AllocatedBytes = 300_000 }, FloorRound));
        Assert.Equal(
            [
                "produce-16K-8conn: CPU to the floor was 3.00 in abc1234-dirty and is 3.32 now",
                "produce-16K-8conn: bytes allocated per request was 200.00 in abc1234-dirty and is 300.00 now",
            ],
            dearer);

        static BenchResult With(Sample broker, Sample floor) => Result with
        {
            Scenarios = [
                new ScenarioResult("produce-16K-8conn", "ottla", broker, [broker]),
                new ScenarioResult("produce-16K-8conn", "floor", floor, [floor])],
        };
    }

    [Fact]
    public void System_calls_are_added_up_from_the_summary_of_strace() => Assert.Equal(
        5361 + 5360,
        SystemCalls.Parse(
            """
            % time     seconds  usecs/call     calls    errors syscall
            ------ ----------- ----------- --------- --------- ----------------
             73.72    1.598236       24588      5361        11 futex
              4.35    0.094218          17      5360           sendto
            ------ ----------- ----------- --------- --------- ----------------
            100.00    1.692454                 10721        11 total
            """));

    [Fact]
    public void Rates_are_taken_from_totals()
    {
        Assert.Equal(500, BrokerRound.MegabytesPerSecond);
        Assert.Equal(500, BrokerRound.RequestsPerSecond);
        Assert.Equal(1.5, BrokerRound.CpuSecondsPerGigabyte);
        Assert.Equal(200, BrokerRound.AllocatedBytesPerRequest);
        Assert.Equal(2, BrokerRound.AllocatedBytesPerRecord);
        Assert.Null(FloorRound.AllocatedBytesPerRecord);
    }

    [Fact]
    public void Each_number_has_a_median_of_its_own()
    {
        var median = Sample.MedianOf(
            [new Sample { Seconds = 1, P50Ms = 9 }, new Sample { Seconds = 3, P50Ms = 5 }, new Sample { Seconds = 2 }]);

        Assert.Equal(new Sample { Seconds = 2, P50Ms = 7 }, median);
    }

    [Fact]
    public void Every_number_has_a_median()
    {
        var sample = BrokerRound with { AckP50Ms = 1, AckP99Ms = 2, AckP999Ms = 3 };

        Assert.Equal(sample, Sample.MedianOf([sample, sample, sample]));
    }

    [Fact]
    public void The_table_shows_numbers_and_ratios_to_the_floor()
    {
        var lines = ResultTable.Render(Result).Split('\n');

        Assert.Contains("2026-03-04 05:06 UTC, commit abc1234-dirty, median of 3", lines[0], StringComparison.Ordinal);
        Assert.Contains("Linux 6.1.0", lines[1], StringComparison.Ordinal);
        var broker = lines.Single(line => line.StartsWith("produce-16K-8conn        ottla", StringComparison.Ordinal));
        var columns = broker.Split(' ', StringSplitOptions.RemoveEmptyEntries)[2..15];
        Assert.Equal(["500.0", "500", "1.500", "0.250", "1.25", "4.00", "8.00", "80", "200", "-", "2.00", "2", "7"], columns);
        Assert.EndsWith("MB/s 0.50x, CPU 3.00x, p50 2.50x, p99 4.00x", broker, StringComparison.Ordinal);
        var floor = lines.Single(line => line.StartsWith("produce-16K-8conn        floor", StringComparison.Ordinal));
        Assert.EndsWith("-", floor, StringComparison.Ordinal);
        var start = lines.Single(line => line.StartsWith("start", StringComparison.Ordinal));
        Assert.EndsWith("120 ms CPU", start, StringComparison.Ordinal);
    }
}
