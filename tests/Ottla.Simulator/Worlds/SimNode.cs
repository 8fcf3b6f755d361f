using System.Net;
using Ottla.Broker;
using Ottla.Broker.Replicas;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Simulator.Disk;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Worlds;

/// <summary>
/// A broker node in a world: started, stopped, killed between any two steps or file operations, and started again on what it left behind.
/// </summary>
/// <remarks>
/// A kill is that of a process: what was written stays written, flushed or not. Where its host loses power, its disk keeps what was
/// flushed, and of the rest what chance leaves. Each start is a process of its own; the node is one. While its disk fails
/// (<see cref="FailDirectory"/>, <see cref="FillDisk"/>), its process may end by itself, as Kafka's does without a metadata log.
/// </remarks>
public sealed class SimNode
{
    /// <summary>Where its broker listens.</summary>
    public const int Port = 9092;

    /// <summary>Where its controller listens.</summary>
    public const int ControllerPort = 9093;

    /// <summary>The cluster that its directories are formatted for.</summary>
    private const string ClusterId = "4L6g3nShT-eMCtK--X86sw";

    private readonly World _world;
    private readonly Dictionary<string, string> _configs;
    private readonly Prng _random;
    private SimDisk _disk;
    private SimProcess? _process;
    private BrokerNode? _node;
    private TaskCompletionSource _ended = new();
    private Task? _stopping;
    private int _fileOperationsLeft = -1;
    private string? _failedDirectory;
    private bool _failsOnce;

    /// <summary>A node that was never started, on an empty disk.</summary>
    /// <param name="world">Where it lives.</param>
    /// <param name="address">Its host.</param>
    /// <param name="configs">What is configured otherwise than for development.</param>
    public SimNode(World world, IPAddress address, IReadOnlyDictionary<string, string> configs)
    {
        _world = world;
        EndPoint = new IPEndPoint(address, Port);
        _random = new Prng(world.Random.NextUInt64());
        // of its own: what it loses does not change what the world does
        _disk = new SimDisk(world.NewProcess("disk").Clock, new Prng(~world.Seed));
        _configs = new Dictionary<string, string>
        {
            ["log.dirs"] = "/data",
            ["listeners"] = $"PLAINTEXT://{EndPoint},CONTROLLER://{address}:{ControllerPort}",
            ["controller.quorum.voters"] = $"0@{address}:{ControllerPort}",
            ["num.recovery.threads.per.data.dir"] = "1", // more would be threads of nobody's
        };
        foreach (var (name, value) in configs)
            _configs[name] = value;
    }

    /// <summary>Its id in a cluster.</summary>
    public int Id { get; init; }

    /// <summary>What it is called in what is told.</summary>
    public string Name { get; init; } = "node";

    /// <summary>The node while it serves; null while it starts, and when it does not run.</summary>
    internal BrokerNode? Serving => IsRunning ? _node : null;

    /// <summary>The replicas that it serves; none while it does not, and when it is no broker.</summary>
    internal IEnumerable<PartitionReplica> Replicas =>
        Serving is { } serving && _configs.GetValueOrDefault("process.roles") != "controller" ? serving.Topics.Replicas : [];

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>Whether it was started and neither stopped nor killed.</summary>
    public bool IsRunning => _process is { IsAlive: true };

    /// <summary>Whether it is being stopped in order.</summary>
    public bool IsStopping => _stopping is { IsCompleted: false };

    /// <summary>Its disk, as it is now.</summary>
    internal SimDisk Disk => _disk;

    /// <summary>Whether it runs and stands still.</summary>
    public bool IsPaused => _process is { IsAlive: true, IsPaused: true };

    /// <summary>What goes wrong with its disk. A node that was killed, or lost power, goes on with the same.</summary>
    public SimDiskFaults DiskFaults => _disk.Faults;

    /// <summary>Of a hundred kills, how many take the power of the whole host.</summary>
    public int PowerLossPercent { get; init; }

    /// <summary>Whether its disk fails, or has failed since it was started.</summary>
    public bool IsDiskInTrouble { get; private set; }

    /// <summary>Asked before it dies of a sudden whether it may, and whether its host may lose power; null: both, always.</summary>
    internal IDeathGate? Gate { get; init; }

    /// <summary>Called when it is about to cut a segment of a log, or to delete one.</summary>
    internal Action? OnLogCut { get; set; }

    /// <summary>How often it was started.</summary>
    public int Starts { get; private set; }

    /// <summary>Completes when it runs no more: stopped or killed.</summary>
    public Task Ended => _ended.Task;

    /// <summary>Starts it on its disk. Completes when clients are served, or when it was killed on the way.</summary>
    /// <exception cref="SimulationException">It does not start, or fails later.</exception>
    public async Task StartAsync()
    {
        Invariant.Check(!IsRunning, "a node runs once");
        var process = _world.NewProcess($"{Name}.{++Starts}", EndPoint.Address);
        _process = process;
        _node = null;
        IsDiskInTrouble = DiskFaults.CapacityBytes < SimDiskFaults.UnlimitedBytes;
        _ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _failedDirectory = null; // as after another mount of it
        _disk.Faults.Fault = (operation, path) =>
        {
            if (SynchronizationContext.Current is not SimProcess)
                _world.Fail(new SimulationException($"{Name} works on {path} on another thread, and would in another order the next time"));
            CountFileOperation();
            if (operation is FileOperation.SetLength or FileOperation.Rename
                && path.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal))
                OnLogCut?.Invoke();
            if (_failedDirectory is not { } failed || !path.StartsWith(failed, StringComparison.Ordinal))
                return null;
            if (_failsOnce)
            {
                if (operation is not (FileOperation.Write or FileOperation.Flush))
                    return null;
                _failedDirectory = null;
            }

            return new IOException($"Input/output error : '{path}'");
        };
        var platform = new NodePlatform(_disk, process.Transport, process.Clock, new SimLog(process.Tell), _random.NextUInt64())
        {
            DirectoriesAtOnceMax = 1,
        };
        var started = process.Start(async () =>
        {
            var node = await BrokerNode.StartAsync(
                BrokerConfig.LoadDevMode([KeyValuePair.Create("CLUSTER_ID", ClusterId)], _configs), mayFormat: true, platform);
            _node = node;
            _ = WatchAsync(process, node);
        });
        _world.Tell(process.Name, $"starts");
        await FirstOf(started, _ended.Task);
        if (!process.IsAlive)
            return;
        try
        {
            await started;
            _world.Tell(process.Name, $"serves clients");
        }
        catch (Exception e) when (IsDiskInTrouble)
        {
            _world.Tell(process.Name, $"does not start: {e.Message}");
            Die(losesPower: false);
        }
    }

    /// <summary>Stops it in order.</summary>
    public Task StopAsync() => _stopping is { IsCompleted: false } ? _stopping : _stopping = StopOnceAsync();

    private async Task StopOnceAsync()
    {
        if (_process is not { IsAlive: true } process)
            return; // it was killed before
        _world.Tell(process.Name, $"stops");
        var stopped = process.Start(async () =>
        {
            await _node!.StopAsync();
            await _node.DisposeAsync();
        });
        await FirstOf(stopped, _ended.Task);
        if (!process.IsAlive)
            return; // killed on the way
        await stopped;
        _world.Tell(process.Name, $"is stopped");
        Gate?.OnEnd(this);
        End(process);
    }

    /// <summary>Kills it now: the process, or the whole host. Unless its gate says that it must not.</summary>
    public void Kill()
    {
        if (_process is not { IsAlive: true } process)
            return;
        if (Gate?.MayDie(this) == false)
        {
            _world.Tell(process.Name, $"is not killed: too much would be lost");
            return;
        }

        Die(losesPower: PowerLossPercent > 0 && _random.NextChance(PowerLossPercent) && Gate?.MayLosePower(this) != false);
    }

    /// <summary>Has it do nothing until <see cref="Resume"/>.</summary>
    public void Pause()
    {
        if (_process is not { IsAlive: true, IsPaused: false } process)
            return;
        _world.Tell(process.Name, $"is paused");
        process.Pause();
    }

    /// <summary>Has it go on.</summary>
    public void Resume()
    {
        if (_process is not { IsAlive: true, IsPaused: true } process)
            return;
        _world.Tell(process.Name, $"goes on");
        process.Resume();
    }

    /// <summary>
    /// From now on every operation in a directory fails, until the next start; or only the next write or flush, which is no better for who
    /// must not go on with the directory.
    /// </summary>
    public void FailDirectory(string directory, bool isOnce = false)
    {
        _world.Tell(Name, $"{directory} fails{(isOnce ? " once" : "")}");
        (_failedDirectory, _failsOnce, IsDiskInTrouble) = (directory, isOnce, true);
    }

    /// <summary>Leaves its disk this much room from now on.</summary>
    public void FillDisk(long bytesLeft)
    {
        _world.Tell(Name, $"its disk is full but for {bytesLeft} bytes");
        IsDiskInTrouble = true;
        DiskFaults.CapacityBytes = _disk.UsedBytes + bytesLeft;
    }

    /// <summary>Ends the troubles of its disk. A directory that failed stays offline until the next start.</summary>
    public void HealDisk()
    {
        _failedDirectory = null;
        DiskFaults.CapacityBytes = SimDiskFaults.UnlimitedBytes;
    }

    /// <summary>Kills it before the file operation after so many.</summary>
    public void KillAfterFileOperations(int count) => _fileOperationsLeft = count;

    private void Die(bool losesPower)
    {
        _world.Tell(_process!.Name, $"{(losesPower ? "loses power" : "is killed")}");
        Gate?.OnDeath(this, losesPower);
        End(_process);
        // the old one does nothing of what its code still tries on the way out
        _disk = losesPower ? _disk.AfterPowerLoss() : _disk.AfterProcessDeath();
    }

    private void End(SimProcess process)
    {
        _fileOperationsLeft = -1;
        process.Kill();
        _ended.TrySetResult();
    }

    /// <exception cref="PowerLossException">The node is killed instead.</exception>
    private void CountFileOperation()
    {
        if (_fileOperationsLeft < 0 || _fileOperationsLeft-- > 0)
            return;
        Kill();
        if (!IsRunning)
            throw new PowerLossException(); // no I/O error: nobody lives to see the operation fail
    }

    private async Task WatchAsync(SimProcess process, BrokerNode node)
    {
        var failure = await node.Failure;
        if (!process.IsAlive)
            return;
        if (!IsDiskInTrouble)
            _world.Fail(new SimulationException($"{process.Name} cannot go on: {failure}", failure));
        _world.Tell(process.Name, $"cannot go on: {failure.Message}");
        Die(losesPower: false);
    }

    private static Task FirstOf(Task one, Task other)
    {
        var first = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var task in new[] { one, other })
            _ = CompleteWithAsync(task);
        return first.Task;

        async Task CompleteWithAsync(Task task)
        {
            try
            {
                await task;
            }
            finally
            {
                first.TrySetResult();
            }
        }
    }
}
