using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Ottla.Chaos.Network;

namespace Ottla.Chaos.Machines;

/// <summary>
/// A machine of the cluster: a network namespace with an address, two disks, and the broker's process, which may be started, stopped,
/// paused and killed. Owned by the cluster; one fault at a time works on it.
/// </summary>
internal sealed class Machine
{
    public const int ClientPort = 9092;
    public const int ControllerPort = 9093;
    public const int ReplicationPort = 9094;

    /// <summary>How long a node may take from SIGTERM to its end.</summary>
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(120);

    private readonly string _executable;
    private readonly RunLog _log;
    private Running? _running;

    public Machine(int id, bool isController, string folder, string executable, RunLog log)
    {
        Id = id;
        IsController = isController;
        _executable = executable;
        _log = log;
        Folder = Directory.CreateDirectory(Path.Combine(folder, Name)).FullName;
        Disks = [Disk.Create(Folder, "disk-a"), Disk.Create(Folder, "disk-b")];
    }

    public int Id { get; }

    /// <summary>Whether it is a controller beside a broker.</summary>
    public bool IsController { get; }

    public string Name => string.Create(CultureInfo.InvariantCulture, $"node{Id}");

    /// <summary>Where the others and the clients reach it.</summary>
    public string Address => IsInNamespace ? PacketSwitch.AddressOf(Id) : ProxyNetwork.ProxyAddressOf(Id);

    /// <summary>Where it listens.</summary>
    public string BindAddress => IsInNamespace ? Address : ProxyNetwork.NodeAddressOf(Id);

    /// <summary>Whether it has a network namespace of its own; else it is on loopback, behind proxies.</summary>
    public bool IsInNamespace { get; init; }

    /// <summary>The ports that it listens on.</summary>
    public IReadOnlyList<int> Ports => IsController ? [ClientPort, ReplicationPort, ControllerPort] : [ClientPort, ReplicationPort];

    /// <summary>Where its configuration, its log and its disks are.</summary>
    public string Folder { get; }

    /// <summary>Two disks with a log directory each; the first has the metadata log too.</summary>
    public IReadOnlyList<Disk> Disks { get; }

    public string ConfigurationFile => Path.Combine(Folder, "server.properties");

    public string OutputFile => Path.Combine(Folder, "node.log");

    public bool IsRunning => _running is { Process.HasExited: false };

    /// <summary>Whether the process may end by itself now, because its disk is full or fails.</summary>
    public bool MayEnd { get; set; }

    /// <summary>How often the process has ended though nobody made it.</summary>
    public int UnexpectedEnds { get; private set; }

    /// <summary>Starts the process.</summary>
    public void Start()
    {
        if (IsRunning)
            return;
        var start = Command("start", "--config", ConfigurationFile);
        var running = new Running(new Process { StartInfo = start, EnableRaisingEvents = true });
        running.Process.Exited += (_, _) => OnExit(running);
        running.Process.Start();
        _running = running;
    }

    /// <summary>Runs a command of the executable on this machine, to its end.</summary>
    public void RunCommand(params string[] arguments)
    {
        using var process = Process.Start(Command([.. arguments, "--config", ConfigurationFile]))!;
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new ToolException($"ottla {string.Join(' ', arguments)} failed on {Name}; see {OutputFile}");
    }

    /// <summary>SIGKILL: the process is gone at once, what it wrote is there.</summary>
    public async Task KillAsync()
    {
        ExpectEnd();
        Signal(NativeMethods.SignalKill);
        await WaitForExitAsync();
    }

    /// <summary>SIGTERM, and awaits the end.</summary>
    public async Task StopAsync()
    {
        ExpectEnd();
        Signal(NativeMethods.SignalTerminate);
        await WaitForExitAsync();
    }

    /// <summary>SIGSTOP: it does nothing, and does not know.</summary>
    public void Pause() => Signal(NativeMethods.SignalStop);

    /// <summary>SIGCONT.</summary>
    public void Continue() => Signal(NativeMethods.SignalContinue);

    /// <summary>The power goes: nothing runs from one moment to the next, and what was not synced is lost.</summary>
    public async Task LosePowerAsync()
    {
        Pause();
        foreach (var disk in Disks)
            disk.Fail();
        await KillAsync();
        foreach (var disk in Disks)
            disk.Restore();
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    private ProcessStartInfo Command(params string[] arguments)
    {
        const string script = "exec \"$@\" >>\"$0\" 2>&1 </dev/null";
        string[] inside = ["/bin/sh", "-c", script, OutputFile, _executable, .. arguments];
        return IsInNamespace
            ? new ProcessStartInfo("nsenter", [$"--net={ChaosCluster.Namespaces}/{Name}", "--", .. inside])
            : new ProcessStartInfo(inside[0], inside[1..]);
    }

    private void ExpectEnd()
    {
        if (_running is { } running)
            running.IsEndExpected = true;
    }

    private void OnExit(Running running)
    {
        if (running.IsEndExpected)
            return;
        var code = running.Process.ExitCode;
        if (!MayEnd)
            UnexpectedEnds++;
        _log.Write($"{(MayEnd ? "" : "ANOMALY: ")}{Name} has ended by itself with code {code}; its last lines:\n{Tail()}");
    }

    private string Tail() => string.Join('\n', File.ReadLines(OutputFile).TakeLast(5).Select(line => $"           {line}"));

    private void Signal(int signal)
    {
        if (_running is not { Process: { HasExited: false } process })
            return;
        if (NativeMethods.Kill(process.Id, signal) != 0 && !process.HasExited)
            throw new ToolException($"{Name} cannot be signalled: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    private async Task WaitForExitAsync()
    {
        if (_running is not { Process: var process })
            return;
        using var deadline = new CancellationTokenSource(StopLimit);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            UnexpectedEnds++;
            _log.Write($"ANOMALY: {Name} has not stopped within {StopLimit.TotalSeconds} s, and is killed");
            Signal(NativeMethods.SignalKill);
            await process.WaitForExitAsync(CancellationToken.None);
        }
    }

    /// <summary>A process, and whether somebody has made it end: told late of its end, one must not ask the next one.</summary>
    private sealed class Running(Process process)
    {
        public Process Process { get; } = process;

        public volatile bool IsEndExpected;
    }
}
