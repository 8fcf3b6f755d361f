using System.Diagnostics;
using System.Globalization;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;

namespace Ottla.Benchmarks.Security;

/// <summary>
/// <c>bench hostile</c>: the latency of ordinary clients that are logged in while others do what they can before their login, and the
/// broker's memory. Each attack comes twice, at one rate: against the broker of the ordinary clients, and against another one on the same
/// machine, which tells what the machine itself adds. It fails when an ordinary client is refused, when its p99 grows more than
/// <see cref="SlowdownMax"/> times and the other broker is no reason for it, or when the memory is not given back.
/// </summary>
internal sealed class HostileBench(BenchOptions options, HostilePlan plan)
{
    public const string Usage =
        "bench hostile [--connections N] [--seconds N] [--attacks KIND,...] [OPTIONS]    logged-in clients beside hostile ones";

    /// <summary>Times the p99 of ordinary clients may grow.</summary>
    private const double SlowdownMax = 3;

    private const int OrdinaryClients = 4;
    private const int RatePerSecond = 200;
    private const int BatchBytes = 1_000;
    private const int RecordBytes = 100;

    /// <summary>How long an attack goes on before and after it is measured.</summary>
    private const double MarginSeconds = 2;

    /// <summary>How long the broker has to give memory back, and how much more it may keep.</summary>
    private static readonly TimeSpan s_rest = TimeSpan.FromSeconds(45);

    private const long KeptBytesMax = 64 * 1024 * 1024;

    private readonly List<string> _findings = [];
    private readonly List<string> _ratios = [];

    /// <summary>Reads the arguments and runs.</summary>
    /// <returns>The exit code; null when help is asked for.</returns>
    public static int? Run(IReadOnlyList<string> arguments)
    {
        var rest = arguments.ToList();
        var plan = HostilePlan.Take(rest);
        return BenchOptions.Parse(rest) is { } options ? new HostileBench(options, plan).Execute() : null;
    }

    /// <summary>Runs each attack, and says what came of it.</summary>
    /// <returns>0 when all is well, 1 when it is not.</returns>
    public int Execute()
    {
        var directory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-hostile-{Guid.NewGuid():N}")).FullName;
        try
        {
            var certificate = new BenchCertificate(directory);
            using var here = new HostileTarget(options, directory, certificate);
            using var elsewhere = new HostileTarget(options, directory, certificate);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{OrdinaryClients} clients that are logged in send {RatePerSecond} batches of {BatchBytes} bytes a second; in ms"));
            Console.WriteLine(
                $"{"beside",-16} {"which attacks",-14} {"p50",7} {"p99",7} {"p99.9",7} {"max",7} {"done",9} {"CPU s",6} {"GCs",4} "
                    + $"{"pause ms",8} {"MB before",9} {"peak",5} {"after",5}");
            Ordinary(here.Ports.Login, 3); // warms up
            var residentBefore = here.ResidentBytes;
            var alone = Measure("nobody", "", here, null);
            foreach (var kind in plan.Kinds)
                Compare(kind, here, elsewhere, alone.Latency);
            Rest(here, residentBefore);
            Judge("nobody, afterwards", Measure("nobody, after", "", here, null).Latency, alone.Latency, alone.Latency);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }

        foreach (var ratio in _ratios)
            Console.WriteLine(ratio);
        foreach (var finding in _findings)
            Console.Error.WriteLine(finding);
        return _findings.Count == 0 ? 0 : 1;
    }

    private void Compare(string kind, HostileTarget here, HostileTarget elsewhere, Latency alone)
    {
        try
        {
            var measured = Measure(kind, "this broker", here, () => StartAttack(kind, here, ratePerSecond: 0));
            var rate = measured.Done / (plan.Seconds + MarginSeconds);
            var floor = Measure(kind, "another one", here, () => StartAttack(kind, elsewhere, rate)).Latency;
            _ratios.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{kind}: p99 is {measured.Latency.P99Ms / alone.P99Ms:0.0}x that beside nobody, and "
                    + $"{measured.Latency.P99Ms / floor.P99Ms:0.0}x that beside the same attack on another broker"));
            Judge(kind, measured.Latency, alone, floor);
        }
        catch (BenchException e)
        {
            _findings.Add($"beside {kind} an ordinary client gave up: {e.Message}");
        }
    }

    /// <summary>
    /// Starts the attackers. They get the processor time that nobody else wants: on other machines they would take none from the broker.
    /// </summary>
    private Process StartAttack(string kind, HostileTarget target, double ratePerSecond)
    {
        var (program, own) = TargetLauncher.OwnCommand();
        var arguments = Attack.ArgumentsOf(kind, target.Ports, plan.Connections, plan.Seconds + MarginSeconds, ratePerSecond);
        return Process.Start(new ProcessStartInfo("chrt", ["--idle", "0", program, .. own, .. arguments])
        {
            RedirectStandardOutput = true,
        }) ?? throw new BenchException("chrt did not start.");
    }

    /// <summary>Measures ordinary clients of a broker beside attackers, and waits until these have ended.</summary>
    /// <exception cref="BenchException">An ordinary client failed.</exception>
    private (Latency Latency, long Done) Measure(string name, string attacked, HostileTarget here, Func<Process>? attack)
    {
        var (resident, cpu, runtime) = (here.ResidentBytes, here.CpuSeconds, here.NextRuntimeSample());
        here.ResetPeak();
        Latency latency;
        var done = 0L;
        using var attacker = attack?.Invoke();
        try
        {
            latency = Ordinary(here.Ports.Login, plan.Seconds);
        }
        finally
        {
            if (attacker is not null)
            {
                var text = attacker.StandardOutput.ReadToEnd().Trim();
                attacker.WaitForExit();
                _ = long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out done);
            }
        }

        var spent = here.NextRuntimeSample()?.Since(runtime!);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name,-16} {attacked,-14} {latency.P50Ms,7:0.00} {latency.P99Ms,7:0.00} {latency.P999Ms,7:0.00} {latency.MaxMs,7:0.00} "
                + $"{done,9} {here.CpuSeconds - cpu,6:0.00} {spent?.Gen0Collections,4} {spent?.GcPauseMs,8} {resident / 1e6,9:0} "
                + $"{here.PeakBytes / 1e6,5:0} {here.ResidentBytes / 1e6,5:0}"));
        return (latency, done);
    }

    private void Judge(string name, Latency latency, Latency alone, Latency floor)
    {
        if (latency.P99Ms > SlowdownMax * Math.Max(alone.P99Ms, floor.P99Ms))
        {
            _findings.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"{name}: p99 is {latency.P99Ms:0.00} ms, beside nobody {alone.P99Ms:0.00}, "
                    + $"beside an attack elsewhere {floor.P99Ms:0.00}"));
        }
    }

    /// <summary>Waits until the broker has given back what it took, and notes how long that took.</summary>
    private void Rest(HostileTarget broker, long residentBefore)
    {
        var started = Stopwatch.GetTimestamp();
        long resident;
        while ((resident = broker.ResidentBytes) > residentBefore + KeptBytesMax && Stopwatch.GetElapsedTime(started) < s_rest)
            Thread.Sleep(100);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"memory: {residentBefore / 1e6:0} MB before, and {resident / 1e6:0} MB "
                + $"{Stopwatch.GetElapsedTime(started).TotalSeconds:0} s afterwards"));
        if (resident > residentBefore + KeptBytesMax)
            _findings.Add($"memory is not given back within {s_rest.TotalSeconds} s");
    }

    /// <summary>An open loop over connections that log in first.</summary>
    private static Latency Ordinary(int loginPort, double seconds)
    {
        var batch = RequestFrame.Batch(BatchBytes, RecordBytes, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), out _);
        var each = (int)(RatePerSecond * seconds / OrdinaryClients);
        var ticksBetween = (long)(Stopwatch.Frequency / ((double)RatePerSecond / OrdinaryClients));
        var outcome = Worker.RunAll(OrdinaryClients, worker =>
        {
            worker.LatencyTicks = new long[each];
            using var connection = new LoadConnection("127.0.0.1", loginPort);
            LoginFrames.LogIn(connection);
            var frame = RequestFrame.Produce(HostileTarget.Topic, worker.Index % ScenarioCatalog.Partitions, acks: 1, batch);
            var start = Stopwatch.GetTimestamp() + (ticksBetween * worker.Index / OrdinaryClients);
            for (var i = 0; i < each; i++)
            {
                var due = start + (ticksBetween * i);
                while (Stopwatch.GetTimestamp() is var now && now < due)
                    Thread.Sleep(TimeSpan.FromTicks((due - now) * TimeSpan.TicksPerSecond / Stopwatch.Frequency));
                RequestFrame.SetCorrelationId(frame, i);
                connection.Send(frame);
                ResponseReader.CheckProduce(connection.Receive(i).Span);
                worker.LatencyTicks[i] = Stopwatch.GetTimestamp() - due;
            }
        });
        return outcome.Latency ?? throw new BenchException("Nothing was measured.");
    }
}
