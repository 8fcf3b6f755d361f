using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Reports;
using Ottla.Cli;

namespace Ottla.Benchmarks.Targets;

/// <summary>Starts processes of one kind, each on an empty directory and a free port.</summary>
internal sealed class TargetLauncher
{
    private readonly string _workDirectory;
    private readonly string _executable;
    private readonly Func<int, string, IEnumerable<string>> _arguments;

    private TargetLauncher(string name, string workDirectory, string executable, Func<int, string, IEnumerable<string>> arguments)
    {
        Name = name;
        _workDirectory = workDirectory;
        _executable = executable;
        _arguments = arguments;
    }

    public string Name { get; }

    /// <summary>Starts <c>ottla start</c> with a directory and a port of its own.</summary>
    /// <param name="options">What to measure.</param>
    /// <param name="workDirectory">Where the directory is made.</param>
    /// <param name="moreListeners">Listeners beside PLAINTEXT, with a comma before each; their protocols are among the configs.</param>
    public static TargetLauncher ForBroker(BenchOptions options, string workDirectory, string moreListeners = "")
    {
        if (!File.Exists(options.Executable))
            throw new BenchException($"There is no {options.Executable}: ./dev publish makes it.");
        return new TargetLauncher(ResultTable.BrokerName, workDirectory, options.Executable, (port, directory) =>
        [
            "start",
            "--set", $"listeners=PLAINTEXT://127.0.0.1:{port}{moreListeners}",
            "--set", $"log.dirs={directory}",
            "--set", "log.segment.delete.delay.ms=1000", // deleted topics make room before the next run
            .. options.Settings.SelectMany(setting => new[] { "--set", setting }),
        ]);
    }

    /// <summary>Starts this same tool as the floor.</summary>
    public static TargetLauncher ForFloor(string workDirectory)
    {
        var (process, prefix) = OwnCommand();
        return new TargetLauncher(ResultTable.FloorName, workDirectory, process, (port, directory) =>
            [.. prefix, "floor", port.ToString(CultureInfo.InvariantCulture), directory]);
    }

    /// <summary>How to start this same tool again.</summary>
    public static (string Program, string[] Arguments) OwnCommand()
    {
        var process = Environment.ProcessPath ?? throw new BenchException("The tool does not know its own path.");
        var isHosted = Path.GetFileNameWithoutExtension(process) == "dotnet";
        return (process, isHosted ? [Path.Combine(AppContext.BaseDirectory, "bench.dll")] : []);
    }

    /// <summary>Starts a process and waits for its first answer.</summary>
    /// <param name="firstAnswer">From just before the process was started until it had answered ApiVersions.</param>
    /// <exception cref="BenchException">It ended, or did not answer in time.</exception>
    public StartedTarget Start(out TimeSpan firstAnswer)
    {
        var directory = Directory.CreateDirectory(Path.Combine(_workDirectory, $"{Name}-{Guid.NewGuid():N}")).FullName;
        var data = Directory.CreateDirectory(Path.Combine(directory, "data")).FullName;
        var counters = Path.Combine(directory, "counters");
        var port = FreePort();
        var start = new ProcessStartInfo(
            _executable, _arguments(port, data))
        { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[RuntimeCounters.FileVariable] = counters;
        return StartedTarget.Start(Name, start, port, directory, new CountersFile(counters), out firstAnswer);
    }

    /// <summary>A port that nobody listens on at the moment.</summary>
    public static int FreePort()
    {
        using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        probe.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)probe.LocalEndPoint!).Port;
    }
}
