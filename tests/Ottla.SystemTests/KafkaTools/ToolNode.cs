using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.KafkaTools;

/// <summary>
/// The node that Kafka's tools were recorded against: broker and controller, with ports of four digits, so that columns are as wide. Owned
/// by one test; disposing it kills the process and removes its folder.
/// </summary>
public sealed class ToolNode : IAsyncDisposable
{
    private const int OutputBytesMax = 64 * 1024;
    private const int FirstPort = 1_100;
    private const int PortCount = 8_800;

    private readonly string _folder = Directory.CreateTempSubdirectory("ottla-tools-").FullName;
    private readonly OutputTail _output = new(OutputBytesMax);
    private Process? _process;

    private ToolNode()
    {
        Port = FreePort(9_092);
        ControllerPort = FreePort(9_093);
    }

    /// <summary>The broker's port.</summary>
    public int Port { get; }

    /// <summary>The controller's port.</summary>
    public int ControllerPort { get; }

    /// <summary>The log directory.</summary>
    public string DataDirectory => Path.Combine(_folder, "data");

    /// <summary>Formats and starts a node, and waits until it answers.</summary>
    /// <param name="settings">More configs.</param>
    public static async Task<ToolNode> StartAsync(params string[] settings)
    {
        var node = new ToolNode();
        try
        {
            await node.StartProcessAsync(settings);
            return node;
        }
        catch
        {
            await node.DisposeAsync();
            throw;
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill();
            await _process.WaitForExitAsync();
        }

        _process?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    private async Task StartProcessAsync(string[] settings)
    {
        var file = Path.Combine(_folder, "server.properties");
        await File.WriteAllLinesAsync(file,
        [
            "process.roles=broker,controller", "node.id=1", $"controller.quorum.bootstrap.servers=localhost:{ControllerPort}",
            $"listeners=PLAINTEXT://127.0.0.1:{Port},CONTROLLER://127.0.0.1:{ControllerPort}",
            $"advertised.listeners=PLAINTEXT://localhost:{Port},CONTROLLER://localhost:{ControllerPort}",
            "controller.listener.names=CONTROLLER", $"log.dirs={DataDirectory}", "group.initial.rebalance.delay.ms=0",
            "offsets.topic.num.partitions=4", "offsets.topic.replication.factor=1", "transaction.state.log.num.partitions=4",
            "transaction.state.log.replication.factor=1", "transaction.state.log.min.isr=1",
                "share.coordinator.state.topic.num.partitions=4",
            "share.coordinator.state.topic.replication.factor=1", "share.coordinator.state.topic.min.isr=1", .. settings,
        ]);
        var executable = RepositoryPaths.BrokerExecutable;
        (await ClientTool.RunAsync(executable, ["format", "--standalone", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", file])).OrFail();
        _process = Process.Start(new ProcessStartInfo(executable, ["start", "--config", file])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        _ = _output.ReadToEndAsync(_process.StandardOutput.BaseStream);
        _ = _output.ReadToEndAsync(_process.StandardError.BaseStream);
        await Until.TrueAsync("the node answers", BrokerProcess.TransitionLimit, async () =>
        {
            if (_process.HasExited)
                throw new InvalidOperationException($"The node ended with {_process.ExitCode}:\n{_output}");
            try
            {
                await using var connection = await RawConnection.OpenAsync(Port);
                await connection.ApiVersionsAsync();
                return true;
            }
            catch (Exception e) when (e is SocketException or IOException)
            {
                return false;
            }
        });
    }

    /// <summary>The port that Kafka had, or another one of four digits that is free.</summary>
    private static int FreePort(int wanted)
    {
        for (var port = wanted; ; port = FirstPort + Random.Shared.Next(PortCount))
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                socket.Bind(new IPEndPoint(IPAddress.Loopback, port));
                return port;
            }
            catch (SocketException)
            {
                // Somebody has it: another one.
            }
        }
    }
}
