using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;

namespace Ottla.Benchmarks.Security;

/// <summary>
/// <c>bench tls</c>: processor seconds of the broker for the same loads in clear text and over TLS 1.3, beside a bare
/// <see cref="SslStream"/> that gets or sends the same bytes; and of handshakes.
/// </summary>
internal sealed class TlsBench(BenchOptions options)
{
    public const string Usage =
        "bench tls [OPTIONS]             what TLS costs: produce and fetch in clear text and over TLS, and handshakes";

    private const string Topic = "tls";
    private const int QuickDivisor = 20;
    private const int HandshakeThreads = 2;
    private const double BytesPerGigabyte = 1e9;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly int _divisor = options.IsQuick ? QuickDivisor : 1;

    /// <summary>Measures in turn, and prints the medians.</summary>
    public int Execute()
    {
        var directory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-tls-{Guid.NewGuid():N}")).FullName;
        try
        {
            var certificate = new BenchCertificate(directory);
            var (tlsPort, floorPort) = (TargetLauncher.FreePort(), TargetLauncher.FreePort());
            using var broker = TargetLauncher.ForBroker(
                options with { Settings = [.. Settings(certificate), .. options.Settings] }, directory, $",SSL://127.0.0.1:{tlsPort}")
                .Start(out _);
            using var floor = StartFloor(floorPort, certificate);
            try
            {
                Measure(broker, tlsPort, floor.Id, floorPort);
            }
            finally
            {
                _ = NativeMethods.Kill(floor.Id, NativeMethods.SignalTerminate);
                floor.WaitForExit();
            }

            return 0;
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private void Measure(StartedTarget broker, int tlsPort, int floorProcess, int floorPort)
    {
        var produce = new ProduceScenario("produce", Connections: 8, InFlight: 5, 16_384, RecordBytes: 100, Acks: 1, 800 / _divisor);
        var fetch = new FetchScenario("fetch", Connections: 4, MaxBytes: TlsFloor.BlockBytes, 2000 / _divisor);
        var handshakes = 1000 / _divisor;
        broker.Admin.CreateTopic(Topic, ScenarioCatalog.Partitions);
        ProduceLoad.Run(produce, broker.Host, broker.Port, Topic); // what is fetched
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"processor seconds of the server for each GB, the median of {options.Rounds} rounds; and MB/s"));
        Row("produce 16 KiB x 8", "clear text", broker.ProcessId, () => InTopic(
            broker, topic => ProduceLoad.Run(produce, broker.Host, broker.Port, topic)));
        Row("produce 16 KiB x 8", "TLS 1.3", broker.ProcessId, () => InTopic(
            broker, topic => ProduceLoad.Run(produce, broker.Host, tlsPort, topic, BenchCertificate.ClientOptions())));
        Row("produce 16 KiB x 8", "bare SslStream", floorProcess, () => SendToFloor(produce, floorPort));
        Row("fetch 1 MiB x 4", "clear text", broker.ProcessId, () => FetchLoad.Run(fetch, broker.Host, broker.Port, Topic));
        Row("fetch 1 MiB x 4", "TLS 1.3", broker.ProcessId, () =>
            FetchLoad.Run(fetch, broker.Host, tlsPort, Topic, BenchCertificate.ClientOptions()));
        Row("fetch 1 MiB x 4", "bare SslStream", floorProcess, () => ReceiveFromFloor(fetch, floorPort));
        Handshakes("broker", broker.ProcessId, tlsPort, handshakes);
        Handshakes("bare SslStream", floorProcess, floorPort, handshakes);
    }

    private void Row(string load, string over, int processId, Func<LoadOutcome> run)
    {
        run(); // compiles, and warms up
        var secondsPerGigabyte = new double[options.Rounds];
        var megabytesPerSecond = new double[options.Rounds];
        for (var round = 0; round < options.Rounds; round++)
        {
            var before = ProcessUsage.CpuSeconds(processId);
            var outcome = run();
            secondsPerGigabyte[round] = (ProcessUsage.CpuSeconds(processId) - before) / (outcome.Bytes / BytesPerGigabyte);
            megabytesPerSecond[round] = outcome.Bytes / outcome.Seconds / 1e6;
        }

        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{load,-20} {over,-15} {Median.Of(secondsPerGigabyte),8:0.00} s/GB {Median.Of(megabytesPerSecond),8:0} MB/s"));
    }

    /// <summary>Runs a load on a topic of its own, which goes with it.</summary>
    private static LoadOutcome InTopic(StartedTarget broker, Func<string, LoadOutcome> run)
    {
        var topic = $"{Topic}-{Guid.NewGuid():N}";
        broker.Admin.CreateTopic(topic, ScenarioCatalog.Partitions);
        var outcome = run(topic);
        broker.Admin.DeleteTopic(topic);
        return outcome;
    }

    private static LoadOutcome SendToFloor(ProduceScenario scenario, int port)
    {
        var batch = RequestFrame.Batch(scenario.BatchBytes, scenario.RecordBytes, timestampMs: 0, out _);
        var frame = RequestFrame.Produce(Topic, 0, scenario.Acks, batch);
        var requests = (int)(scenario.Megabytes * 1e6 / scenario.Connections / batch.Length) + 1;
        return Worker.RunAll(scenario.Connections, worker => OnFloor(port, tls =>
        {
            tls.Write(new byte[sizeof(int)]);
            for (var i = 0; i < requests; i++)
                tls.Write(frame);
            worker.Bytes = (long)requests * batch.Length;
        }));
    }

    private static LoadOutcome ReceiveFromFloor(FetchScenario scenario, int port)
    {
        var blocks = (int)(scenario.Megabytes * 1e6 / scenario.Connections / TlsFloor.BlockBytes) + 1;
        return Worker.RunAll(scenario.Connections, worker => OnFloor(port, tls =>
        {
            var buffer = new byte[TlsFloor.BlockBytes];
            BinaryPrimitives.WriteInt32BigEndian(buffer, blocks);
            tls.Write(buffer.AsSpan(0, sizeof(int)));
            worker.Bytes = (long)blocks * TlsFloor.BlockBytes;
            for (var left = worker.Bytes; left > 0;)
                left -= tls.Read(buffer) is > 0 and var count ? count : throw new BenchException("The floor closed the connection.");
        }));
    }

    /// <summary>Does something on a connection to the floor, and waits until the floor has noticed its end.</summary>
    private static void OnFloor(int port, Action<SslStream> action)
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            socket.Connect("127.0.0.1", port);
            using var tls = new SslStream(new NetworkStream(socket, ownsSocket: false));
            tls.AuthenticateAsClient(BenchCertificate.ClientOptions());
            action(tls);
            tls.ShutdownAsync().GetAwaiter().GetResult();
            socket.Shutdown(SocketShutdown.Send);
            while (socket.Receive(new byte[sizeof(long)]) > 0)
            {
            }
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            throw new BenchException($"The floor failed: {e.Message}", e);
        }
    }

    private static void Handshakes(string name, int processId, int port, int count)
    {
        Worker.RunAll(HandshakeThreads, _ => Connect(port, 10));
        var before = ProcessUsage.CpuSeconds(processId);
        var outcome = Worker.RunAll(HandshakeThreads, _ => Connect(port, count / HandshakeThreads));
        var milliseconds = (ProcessUsage.CpuSeconds(processId) - before) * 1000 / count;
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{$"{count} handshakes",-20} {name,-15} {milliseconds,8:0.00} ms of processor each, {count / outcome.Seconds,6:0} a second"));
    }

    private static void Connect(int port, int count)
    {
        for (var i = 0; i < count; i++)
        {
            using var connection = new LoadConnection("127.0.0.1", port, tls: BenchCertificate.ClientOptions());
        }
    }

    private static Process StartFloor(int port, BenchCertificate certificate)
    {
        var (program, arguments) = TargetLauncher.OwnCommand();
        var floor = Process.Start(new ProcessStartInfo(
            program, [.. arguments, "tls-floor", port.ToString(CultureInfo.InvariantCulture), certificate.File]))
            ?? throw new BenchException($"{program} did not start.");
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                using var connection = new LoadConnection("127.0.0.1", port, tls: BenchCertificate.ClientOptions());
                return floor;
            }
            catch (SocketException) when (!floor.HasExited && Stopwatch.GetElapsedTime(started) < s_patience)
            {
                Thread.Sleep(1);
            }
        }
    }

    private static string[] Settings(BenchCertificate certificate) =>
    [
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT",
        "ssl.enabled.protocols=TLSv1.3",
        "ssl.keystore.type=PEM",
        $"listener.name.ssl.ssl.keystore.location={certificate.File}",
    ];
}
