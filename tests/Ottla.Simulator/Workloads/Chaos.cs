using Ottla.Kernel;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Workloads;

/// <summary>
/// What goes wrong in a world while its workload runs: kills and restarts of the node, connections that break, bytes that are held up.
/// </summary>
internal sealed class Chaos
{
    private const int StepsToKillMax = 300;
    private const int FileOperationsToKillMax = 60;

    private readonly World _world;
    private readonly SimNode _node;
    private readonly Prng _random;

    /// <summary>Chaos that has not begun.</summary>
    /// <param name="world">Where.</param>
    /// <param name="node">The node that is killed.</param>
    public Chaos(World world, SimNode node)
    {
        _world = world;
        _node = node;
        _random = new Prng(world.Random.NextUInt64());
    }

    /// <summary>The longest quiet between two things that go wrong, in milliseconds.</summary>
    public int QuietMsMax { get; init; } = 2_000;

    /// <summary>Makes things go wrong for a time; afterwards everything is as it should be, and the node runs.</summary>
    public async Task RunAsync(SimProcess process, TimeSpan duration)
    {
        var end = process.Clock.GetUtcNow() + duration;
        while (process.Clock.GetUtcNow() < end)
        {
            await process.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, QuietMsMax)));
            switch (_random.NextInt(8))
            {
                case 0:
                    await RestartAsync();
                    break;
                case 1:
                    _node.Kill();
                    break;
                case 2 or 3:
                    _world.Scheduler.InterruptAfter(_random.NextInt(StepsToKillMax), _node.Kill);
                    break;
                case 4:
                    _node.KillAfterFileOperations(_random.NextInt(FileOperationsToKillMax));
                    break;
                default:
                    _world.Network.ResetAny();
                    break;
            }

            await StayUpAsync(process);
        }

        _world.Scheduler.InterruptAfter(0, static () => { }); // no kill is left over
        _node.KillAfterFileOperations(-1);
        _world.Network.Weather = _world.Network.Weather with { StallsPerThousand = 0 };
        await StayUpAsync(process);
    }

    /// <summary>Starts the node as often as it takes: it may be killed while it starts.</summary>
    private async Task StayUpAsync(SimProcess process)
    {
        while (!_node.IsRunning)
        {
            await process.Delay(TimeSpan.FromMilliseconds(_random.NextInt(1, QuietMsMax)));
            await _node.StartAsync();
        }
    }

    private async Task RestartAsync()
    {
        await _node.StopAsync();
        await _node.StartAsync();
    }
}
