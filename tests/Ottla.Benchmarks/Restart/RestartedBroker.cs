using System.Diagnostics;
using System.Globalization;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Targets;

namespace Ottla.Benchmarks.Restart;

/// <summary>A process of <c>ottla start</c> on directories that outlive it. Killed when disposed, if it still runs.</summary>
internal sealed class RestartedBroker : IDisposable
{
    public const int SignalKill = 9;

    private const int PollMs = 1;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private const int ErrorsMax = 20;

    private readonly List<string> _errors = [];
    private readonly Process _process;
    private readonly long _started = Stopwatch.GetTimestamp();

    private RestartedBroker(ProcessStartInfo start, int port)
    {
        _process = Process.Start(start) ?? throw new BenchException($"{start.FileName} did not start.");
        _process.OutputDataReceived += (_, _) => { };
        _process.ErrorDataReceived += (_, line) => Keep(line.Data);
        Port = port;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        Admin = new TargetAdmin(Host, port);
    }

    public string Host => "127.0.0.1";

    public int Port { get; }

    public bool HasEnded => _process.HasExited;

    /// <summary>Once it has ended.</summary>
    public int ExitCode => _process.ExitCode;

    /// <summary>The first lines that it logged as errors.</summary>
    public IReadOnlyList<string> LoggedErrors
    {
        get
        {
            lock (_errors)
                return [.. _errors];
        }
    }

    public TargetAdmin Admin { get; }

    public int ProcessId => _process.Id;

    /// <summary>From the start of the process to its first answer to ApiVersions.</summary>
    public TimeSpan FirstAnswer { get; private set; }

    /// <summary>Descriptors that the process holds.</summary>
    public int OpenFiles => Directory.EnumerateFileSystemEntries($"/proc/{ProcessId}/fd").Count();

    /// <summary>Starts a broker and waits for its first answer.</summary>
    /// <exception cref="BenchException">It ended, or does not answer.</exception>
    public static RestartedBroker Start(BenchOptions options, IReadOnlyList<string> directories, int recoveryThreads)
    {
        var port = TargetLauncher.FreePort();
        string[] settings =
        [
            $"listeners=PLAINTEXT://127.0.0.1:{port}",
            $"log.dirs={string.Join(',', directories)}",
            string.Create(CultureInfo.InvariantCulture, $"num.recovery.threads.per.data.dir={recoveryThreads}"),
            .. options.Settings,
        ];
        var start = new ProcessStartInfo(options.Executable, ["start", .. settings.SelectMany(setting => new[] { "--set", setting })])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        var broker = new RestartedBroker(start, port);
        try
        {
            broker.Await(broker.Admin.TryApiVersions, "does not answer");
            broker.FirstAnswer = Stopwatch.GetElapsedTime(broker._started);
            return broker;
        }
        catch
        {
            broker.Dispose();
            throw;
        }
    }

    /// <summary>Waits until every partition has a leader and an end offset.</summary>
    /// <returns>From the start of the process.</returns>
    public TimeSpan AwaitServed(IEnumerable<(string Name, int Partitions)> topics)
    {
        foreach (var (name, partitions) in topics)
            Await(() => Admin.Serves(name, partitions), $"does not serve {name}");
        return Stopwatch.GetElapsedTime(_started);
    }

    /// <summary>Ends the process by a signal.</summary>
    /// <returns>How long that took.</returns>
    public TimeSpan End(int signal)
    {
        var asked = Stopwatch.GetTimestamp();
        _ = NativeMethods.Kill(_process.Id, signal);
        if (!_process.WaitForExit(Patience))
            throw new BenchException($"The broker did not end within {Patience.TotalSeconds} s of signal {signal}.");
        return Stopwatch.GetElapsedTime(asked);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            End(SignalKill);
        _process.Dispose();
    }

    private void Keep(string? line)
    {
        if (line is null || !(line.Contains("] ERROR ", StringComparison.Ordinal) || line.Contains("] FATAL ", StringComparison.Ordinal)))
            return;
        lock (_errors)
        {
            if (_errors.Count < ErrorsMax)
                _errors.Add(line);
        }
    }

    private void Await(Func<bool> condition, string complaint)
    {
        while (!condition())
        {
            if (_process.HasExited || Stopwatch.GetElapsedTime(_started) > Patience)
                throw new BenchException($"The broker {complaint}.");
            Thread.Sleep(PollMs);
        }
    }
}
