using System.Diagnostics;
using System.Globalization;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;

namespace Ottla.Benchmarks.Security;

/// <summary>
/// <c>bench hostile</c>: the latency of ordinary clients that are logged in while others do what they can before their login, and the
/// broker's memory. It fails when an ordinary client is refused, when its p99 grows more than <see cref="SlowdownMax"/> times, or when the
/// memory is not given back.
/// </summary>
internal sealed class HostileBench(BenchOptions options, int connections, double seconds)
{
    public const string Usage =
        "bench hostile [--connections N] [--seconds N] [OPTIONS]    logged-in clients beside half-open logins, floods, oversize and fuzz";

    /// <summary>Times the p99 of ordinary clients may grow.</summary>
    private const double SlowdownMax = 3;

    private const int ConnectionsDefault = 10_000;
    private const int ConnectionsMax = 50_000;
    private const double SecondsDefault = 10;
    private const int OrdinaryClients = 4;
    private const int RatePerSecond = 200;
    private const int BatchBytes = 1_000;
    private const int RecordBytes = 100;
    private const string Topic = "ordinary";

    /// <summary>How long the broker has to give memory back, and how much more it may keep.</summary>
    private static readonly TimeSpan s_rest = TimeSpan.FromSeconds(45);

    private const long KeptBytesMax = 64 * 1024 * 1024;

    private const string PlainModule = "org.apache.kafka.common.security.plain.PlainLoginModule";
    private const string UnsecuredTokens =
        "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler";

    private readonly List<string> _findings = [];

    /// <summary>Reads the arguments and runs.</summary>
    /// <returns>The exit code; null when help is asked for.</returns>
    public static int? Run(IReadOnlyList<string> arguments)
    {
        var rest = arguments.ToList();
        var connections = (int)Take(rest, "--connections", ConnectionsDefault, ConnectionsMax);
        var seconds = Take(rest, "--seconds", SecondsDefault, 3600);
        return BenchOptions.Parse(rest) is { } options ? new HostileBench(options, connections, seconds).Execute() : null;
    }

    /// <summary>Runs each attack, and says what came of it.</summary>
    /// <returns>0 when all is well, 1 when it is not.</returns>
    public int Execute()
    {
        var directory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-hostile-{Guid.NewGuid():N}")).FullName;
        try
        {
            var certificate = new BenchCertificate(directory);
            var (loginPort, tlsPort) = (TargetLauncher.FreePort(), TargetLauncher.FreePort());
            using var broker = TargetLauncher.ForBroker(
                options with { Settings = [.. Settings(certificate), .. options.Settings] }, directory,
                $",SASL_PLAINTEXT://127.0.0.1:{loginPort},SASL_SSL://127.0.0.1:{tlsPort}").Start(out _);
            broker.Admin.CreateTopic(Topic, ScenarioCatalog.Partitions);
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{OrdinaryClients} clients that are logged in send {RatePerSecond} batches of {BatchBytes} bytes a second; in ms"));
            Console.WriteLine($"{"beside",-18} {"p50",9} {"p99",9} {"p99.9",9} {"max",9} {"RSS MB",8} {"done",9}");
            Ordinary(loginPort, 3); // warms up
            var before = Measure("nobody", broker, loginPort);
            var residentBefore = ProcessUsage.ResidentBytes(broker.ProcessId);
            foreach (var kind in Attack.Kinds)
                AttackAndMeasure(kind, broker, loginPort, tlsPort, before);
            Rest(broker, residentBefore);
            Judge("nobody, afterwards", Measure("nobody, after", broker, loginPort), before);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }

        foreach (var finding in _findings)
            Console.Error.WriteLine(finding);
        return _findings.Count == 0 ? 0 : 1;
    }

    private void AttackAndMeasure(string kind, StartedTarget broker, int loginPort, int tlsPort, Latency before)
    {
        // The attackers have what the broker leaves of the processors: they would be other machines.
        var (program, own) = TargetLauncher.OwnCommand();
        using var attacker = Process.Start(new ProcessStartInfo(
            "nice", ["-n", "19", program, .. own, .. Attack.ArgumentsOf(kind, broker.Port, loginPort, tlsPort, connections, seconds + 2)])
        {
            RedirectStandardOutput = true,
        }) ?? throw new BenchException("nice did not start.");
        Latency? during = null;
        try
        {
            during = Ordinary(loginPort, seconds);
        }
        catch (BenchException e)
        {
            _findings.Add($"beside {kind} an ordinary client gave up: {e.Message}");
        }

        var resident = ProcessUsage.ResidentBytes(broker.ProcessId);
        var done = attacker.StandardOutput.ReadToEnd().Trim();
        attacker.WaitForExit();
        if (during is null)
            return;
        Print(kind, during, resident, done);
        Judge(kind, during, before);
    }

    private static Latency Measure(string name, StartedTarget broker, int loginPort)
    {
        var latency = Ordinary(loginPort, 10);
        Print(name, latency, ProcessUsage.ResidentBytes(broker.ProcessId), "");
        return latency;
    }

    private void Judge(string name, Latency latency, Latency before)
    {
        if (latency.P99Ms > SlowdownMax * before.P99Ms)
        {
            _findings.Add(string.Create(
                CultureInfo.InvariantCulture, $"{name}: p99 was {before.P99Ms:0.00} ms and became {latency.P99Ms:0.00} ms"));
        }
    }

    /// <summary>Waits until the broker has given back what it took, and notes how long that took.</summary>
    private void Rest(StartedTarget broker, long residentBefore)
    {
        var started = Stopwatch.GetTimestamp();
        long resident;
        while ((resident = ProcessUsage.ResidentBytes(broker.ProcessId)) > residentBefore + KeptBytesMax
            && Stopwatch.GetElapsedTime(started) < s_rest)
            Thread.Sleep(100);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"memory: {residentBefore / 1e6:0} MB before, and {resident / 1e6:0} MB "
                + $"{Stopwatch.GetElapsedTime(started).TotalSeconds:0} s afterwards"));
        if (resident > residentBefore + KeptBytesMax)
            _findings.Add($"memory is not given back within {s_rest.TotalSeconds} s");
    }

    private static void Print(string name, Latency latency, long resident, string done) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{name,-18} {latency.P50Ms,9:0.00} {latency.P99Ms,9:0.00} {latency.P999Ms,9:0.00} {latency.MaxMs,9:0.00} "
            + $"{resident / 1e6,8:0} {done,9}"));

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
            var frame = RequestFrame.Produce(Topic, worker.Index % ScenarioCatalog.Partitions, acks: 1, batch);
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

    private static double Take(List<string> arguments, string name, double otherwise, double max)
    {
        var index = arguments.IndexOf(name);
        if (index < 0)
            return otherwise;
        if (index + 1 == arguments.Count
            || !double.TryParse(arguments[index + 1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value)
            || value < 1 || value > max)
            throw new BenchException($"{name}: a number from 1 to {max} is expected.");
        arguments.RemoveRange(index, 2);
        return value;
    }

    private static string[] Settings(BenchCertificate certificate)
    {
        string[] listeners = ["sasl_plaintext", "sasl_ssl"];
        return
        [
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT",
            "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
            "ssl.keystore.type=PEM",
            $"listener.name.sasl_ssl.ssl.keystore.location={certificate.File}",
            .. listeners.Select(listener => $"listener.name.{listener}.plain.sasl.jaas.config={PlainModule} required "
                + $"user_{LoginFrames.User}=\"{LoginFrames.Password}\";"),
            .. listeners.Select(listener => $"listener.name.{listener}.oauthbearer.sasl.server.callback.handler.class={UnsecuredTokens}"),
        ];
    }
}
