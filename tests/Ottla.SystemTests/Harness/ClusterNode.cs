using System.Diagnostics;
using System.Globalization;

namespace Ottla.SystemTests.Harness;

/// <summary>
/// A node of a <see cref="LocalCluster"/>: the real executable on a configuration file of its own. Owned by the cluster; may be stopped,
/// killed and started again.
/// </summary>
public sealed class ClusterNode
{
    /// <summary>How long a node may take from SIGTERM to its end: its controlled shutdown has a bound of its own.</summary>
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(60);

    private const int OutputBytesMax = 64 * 1024;

    private OutputTail _output = new(OutputBytesMax);
    private Task _outputEnd = Task.CompletedTask;
    private Process? _process;

    internal ClusterNode(int id, int? brokerPort, int? controllerPort, string directory)
    {
        Id = id;
        BrokerPort = brokerPort;
        ControllerPort = controllerPort;
        Folder = directory;
    }

    public int Id { get; }

    /// <summary>The port of its PLAINTEXT listener on 127.0.0.1; null on a node that is no broker.</summary>
    public int? BrokerPort { get; }

    /// <summary>The port of its CONTROLLER listener on 127.0.0.1; null on a node that is no controller.</summary>
    public int? ControllerPort { get; }

    /// <summary>Where its configuration file and its data are.</summary>
    public string Folder { get; }

    public string DataDirectory => Path.Combine(Folder, "data");

    public string ConfigurationFile => Path.Combine(Folder, "server.properties");

    /// <summary>What the process wrote to its standard output and error, the last of it.</summary>
    public string Output => _output.ToString();

    public bool IsRunning => _process is { HasExited: false };

    /// <summary>Starts the node; it serves when the rest of the cluster lets it.</summary>
    public void Start()
    {
        if (_process is not null)
            throw new InvalidOperationException($"Node {Id} runs already.");
        _output = new OutputTail(OutputBytesMax);
        _process = Process.Start(new ProcessStartInfo(RepositoryPaths.BrokerExecutable, ["start", ConfigurationFile])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        }) ?? throw new InvalidOperationException("The executable did not start.");
        _outputEnd = Task.WhenAll(
            _output.ReadToEndAsync(_process.StandardOutput.BaseStream), _output.ReadToEndAsync(_process.StandardError.BaseStream));
    }

    /// <summary>Sends SIGKILL; the process is gone when the task is done.</summary>
    public async Task KillAsync()
    {
        _process!.Kill();
        await WaitForExitAsync();
    }

    /// <summary>Sends SIGTERM.</summary>
    public void Terminate() => Signals.Terminate(_process!.Id);

    /// <summary>Awaits the end of the process.</summary>
    /// <returns>Its exit code.</returns>
    public async Task<int> WaitForExitAsync()
    {
        var process = _process!;
        using var deadline = new CancellationTokenSource(EndLimit);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
            await _outputEnd.WaitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"Node {Id} did not end within {EndLimit.TotalSeconds} s:\n{Output}");
        }

        var exitCode = process.ExitCode;
        process.Dispose();
        _process = null;
        return exitCode;
    }

    /// <summary>Runs a command of the executable on the node's configuration.</summary>
    public Task<ToolResult> RunAsync(params string[] arguments) =>
        ClientTool.RunAsync(RepositoryPaths.BrokerExecutable, [.. arguments, "--config", ConfigurationFile]);

    /// <inheritdoc/>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"node {Id}");
}
