using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Ottla.SystemTests.Harness;

/// <summary>
/// A broker as its users run it: the real executable, a free port on 127.0.0.1, a data directory of its own.
/// Owned by one test or fixture; may be stopped, killed and started again on the same directory and port.
/// Disposing it kills the process and removes the directory (unless OTTLA_KEEP_DATA is set).
/// </summary>
public sealed class BrokerProcess : IAsyncDisposable
{
    /// <summary>What stands for the broker's port in the settings of a test.</summary>
    public const string PortPlaceholder = "{port}";

    private const int OutputBytesMax = 32 * 1024;
    private const int FirstPort = 10_000;
    private const int PortCount = 20_000;

    /// <summary>How long a broker may take from its start to its first answer, and from SIGTERM to its end.</summary>
    public static readonly TimeSpan TransitionLimit = TimeSpan.FromSeconds(30);

    /// <summary>Begins elsewhere in each process, so that two test runs beside each other rarely meet.</summary>
    private static int s_portsGiven = Random.Shared.Next(PortCount);

    private readonly IReadOnlyDictionary<string, string> _settings;
    private readonly ProcessConditions _conditions;
    private Process? _process;
    private OutputTail _output = new(OutputBytesMax);
    private Task _outputEnd = Task.CompletedTask;

    private BrokerProcess(IReadOnlyDictionary<string, string> settings, string? dataDirectory, ProcessConditions conditions)
    {
        _settings = settings;
        _conditions = conditions;
        Port = FindFreePort();
        DataDirectory = dataDirectory ?? Directory.CreateTempSubdirectory("ottla-system-test-").FullName;
    }

    /// <summary>The port on 127.0.0.1; the broker advertises it as localhost.</summary>
    public int Port { get; }

    /// <summary>The data directory (<c>log.dirs</c>).</summary>
    public string DataDirectory { get; }

    /// <summary>What clients are given as bootstrap server.</summary>
    public string Bootstrap => string.Create(CultureInfo.InvariantCulture, $"localhost:{Port}");

    /// <summary>What the process wrote to its standard output and error, the last of it.</summary>
    public string Output => _output.ToString();

    /// <summary>The resident set of the running process in bytes (VmRSS).</summary>
    public long ResidentBytes
    {
        get
        {
            const string label = "VmRSS:";
            var status = File.ReadAllLines($"/proc/{Running.Id}/status");
            var kibibytes = status.First(line => line.StartsWith(label, StringComparison.Ordinal))[label.Length..].Replace("kB", "");
            return long.Parse(kibibytes, CultureInfo.InvariantCulture) * 1024;
        }
    }

    private Process Running => _process ?? throw new InvalidOperationException("The broker does not run.");

    /// <summary>Starts a broker and waits until it answers.</summary>
    /// <param name="settings">Configs on top of those that every broker gets here.</param>
    /// <param name="dataDirectory">Where its data goes; removed with it.</param>
    /// <param name="conditions">What the process finds; null for what is usual.</param>
    public static async Task<BrokerProcess> StartAsync(
        IReadOnlyDictionary<string, string>? settings = null, string? dataDirectory = null, ProcessConditions? conditions = null)
    {
        var broker = new BrokerProcess(settings ?? new Dictionary<string, string>(), dataDirectory, conditions ?? new ProcessConditions());
        try
        {
            await broker.StartAgainAsync();
            return broker;
        }
        catch
        {
            await broker.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// A port that nothing listens on at this moment, and that no test was given before: below the ports that Linux gives to clients by
    /// itself, one of whom could have it by the time that the broker starts.
    /// </summary>
    public static int FindFreePort()
    {
        while (true)
        {
            var port = FirstPort + (Interlocked.Increment(ref s_portsGiven) % PortCount);
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Somebody has it: the next one.
            }
        }
    }

    /// <summary>The command line's arguments that start a broker with these settings.</summary>
    public static IReadOnlyList<string> StartArguments(int port, string dataDirectory, IReadOnlyDictionary<string, string> settings)
    {
        var all = new Dictionary<string, string>
        {
            ["listeners"] = string.Create(CultureInfo.InvariantCulture, $"PLAINTEXT://127.0.0.1:{port}"),
            ["advertised.listeners"] = string.Create(CultureInfo.InvariantCulture, $"PLAINTEXT://localhost:{port}"),
            ["log.dirs"] = dataDirectory,
            // Groups of one member need not wait for a second one.
            ["group.initial.rebalance.delay.ms"] = "0",
            // The records of the tests are years old: retention, which first looks after half a minute, would delete them under their
            // readers.
            ["log.retention.ms"] = "-1",
        };
        foreach (var (key, value) in settings)
            all[key] = value.Replace(PortPlaceholder, port.ToString(CultureInfo.InvariantCulture), StringComparison.Ordinal);
        return ["start", .. all.SelectMany(setting => new[] { "--set", $"{setting.Key}={setting.Value}" })];
    }

    /// <summary>Starts the stopped broker on its directory and port, and waits until it answers ApiVersions.</summary>
    public async Task StartAgainAsync()
    {
        if (_process is not null)
            throw new InvalidOperationException("The broker runs already.");
        var executable = _conditions.Root is null ? RepositoryPaths.BrokerExecutable : StaticExecutable.File;
        if (!File.Exists(executable))
            throw new FileNotFoundException($"There is no broker at {executable}: build it, or name it in OTTLA_EXECUTABLE.");

        _output = new OutputTail(OutputBytesMax);
        var (file, arguments) = _conditions.Apply(executable, StartArguments(Port, DataDirectory, _settings));
        _process = Process.Start(new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        }) ?? throw new InvalidOperationException($"{executable} did not start.");
        if (_conditions.IsOutputRead)
            ReadOutput();
        await WaitUntilItAnswersAsync();
    }

    /// <summary>Begins to read what the process writes; it has done so from its start, unless the conditions say otherwise.</summary>
    public void ReadOutput() => _outputEnd = Task.WhenAll(
        _output.ReadToEndAsync(Running.StandardOutput.BaseStream), _output.ReadToEndAsync(Running.StandardError.BaseStream));

    /// <summary>Sends SIGTERM and awaits the end. Returns the exit code.</summary>
    public async Task<int> TerminateAsync()
    {
        Signals.Terminate(Running.Id);
        return await WaitForExitAsync();
    }

    /// <summary>Sends SIGHUP to a broker that ignores it.</summary>
    public void SendIgnoredHangUp() => Signals.HangUp(Running.Id);

    /// <summary>Sends SIGHUP and awaits the end. Returns the exit code.</summary>
    public async Task<int> HangUpAsync()
    {
        Signals.HangUp(Running.Id);
        return await WaitForExitAsync();
    }

    /// <summary>Sends SIGKILL and awaits the end.</summary>
    public async Task KillAsync()
    {
        Running.Kill();
        await WaitForExitAsync();
    }

    /// <summary>Whether the broker answers an ApiVersions request on a new connection.</summary>
    public async Task<bool> AnswersAsync()
    {
        try
        {
            await using var connection = await RawConnection.OpenAsync(Port);
            await connection.ApiVersionsAsync();
            return true;
        }
        catch (Exception exception) when (exception is SocketException or IOException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await KillAsync();
        if (Environment.GetEnvironmentVariable("OTTLA_KEEP_DATA") is null)
            Directory.Delete(DataDirectory, recursive: true);
    }

    private async Task WaitUntilItAnswersAsync()
    {
        try
        {
            await Until.TrueAsync("the broker answers ApiVersions", TransitionLimit, async () =>
            {
                if (!Running.HasExited)
                    return await AnswersAsync();
                var exitCode = await WaitForExitAsync();
                throw new InvalidOperationException($"The broker ended with {exitCode}:\n{Output}");
            });
        }
        catch (TimeoutException exception)
        {
            throw new TimeoutException($"{exception.Message}\n{Output}");
        }
    }

    private async Task<int> WaitForExitAsync()
    {
        var process = Running;
        using var deadline = new CancellationTokenSource(TransitionLimit);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
            await _outputEnd.WaitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"The broker did not end within {TransitionLimit.TotalSeconds} s:\n{Output}");
        }

        var exitCode = process.ExitCode;
        process.Dispose();
        _process = null;
        return exitCode;
    }
}
