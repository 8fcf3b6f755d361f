using Ottla.Chaos.Machines;
using Ottla.Chaos.Network;
using Ottla.Kernel;

namespace Ottla.Chaos.Faults;

/// <summary>
/// Draws the faults of a run from its seed: the same options give the same schedule on every machine that allows its faults.
/// </summary>
internal sealed class FaultSchedule
{
    /// <summary>What breaks by the names of <c>--faults</c>.</summary>
    public static readonly IReadOnlyList<string> Kinds =
        ["kill", "kill-all", "pause", "cut", "slow", "disk-full", "dir-fail", "restart", "roll", "reassign", "power"];

    /// <summary>Those that need a disk which can fail.</summary>
    public static readonly IReadOnlyList<string> KindsOfDisks = ["disk-full", "dir-fail", "power"];

    /// <summary>Those that need a second replica.</summary>
    public static readonly IReadOnlyList<string> KindsOfReplicas = ["dir-fail", "power", "reassign"];

    /// <summary>The part of the time between two faults for which one holds, in percent.</summary>
    private const int HoldPercentMin = 20;
    private const int HoldPercentMax = 70;

    /// <summary>A killed node is started again within this part: it has to register and catch up before the next one goes.</summary>
    private const int DownPercentMax = 30;

    private readonly Prng _random;
    private readonly ChaosOptions _options;

    private FaultSchedule(ChaosOptions options)
    {
        _options = options;
        _random = new Prng(options.Seed);
    }

    public static List<PlannedFault> Create(ChaosOptions options, IReadOnlyList<string> kinds)
    {
        var schedule = new FaultSchedule(options);
        var every = TimeSpan.FromSeconds(options.EverySeconds);
        var faults = new List<PlannedFault>();
        for (var at = TimeSpan.Zero; kinds.Count > 0 && at + every <= TimeSpan.FromSeconds(options.Seconds); at += every)
        {
            var fault = schedule.Draw(kinds[schedule._random.NextInt(kinds.Count)]);
            var percent = fault is Kill or KillAll or PowerCut
                ? schedule._random.NextInt(DownPercentMax + 1)
                : schedule._random.NextInt(HoldPercentMin, HoldPercentMax);
            faults.Add(new PlannedFault(faults.Count + 1, at, every * percent / 100, fault));
        }

        return faults;
    }

    private Fault Draw(string kind)
    {
        var machine = DrawMachine();
        return kind switch
        {
            "kill" => new Kill(machine),
            "kill-all" => new KillAll(),
            "pause" => new Pause(machine),
            "cut" => new Cut(DrawCut(machine)),
            "slow" => new Slow(
                machine, new SlowLink(TimeSpan.FromMilliseconds(_random.NextInt(5, 150)), _random.NextInt(200, 4000) * 1000)),
            "disk-full" => new FullDisk(machine, _random.NextInt(2)),
            "dir-fail" => new FailingDirectory(machine),
            "restart" => new Restart(machine),
            "roll" => new RollingRestart([.. Shuffled()]),
            "reassign" => DrawReassignment(),
            "power" => new PowerCut(machine),
            _ => throw new UsageException($"there is no fault {kind}: {string.Join(", ", Kinds)}"),
        };
    }

    /// <summary>Who is cut from whom, of which connections, and in which direction.</summary>
    private List<LinkRule> DrawCut(int machine)
    {
        int?[] ports = [null, null, Machine.ClientPort, Machine.ControllerPort, Machine.ReplicationPort];
        var port = ports[_random.NextInt(ports.Length)];
        var others = Enumerable.Range(1, _options.Nodes).Where(id => id != machine).ToList();
        var peers = _random.NextInt(4) switch
        {
            0 => [null], // from everybody
            1 => others.Select(id => (int?)id), // from the other machines
            2 when others.Count > 0 => [others[_random.NextInt(others.Count)]], // from one of them: the third sees both
            _ => port is null or Machine.ClientPort ? [PacketSwitch.Clients] : [null],
        };
        var direction = _random.NextInt(4); // both ways twice as often
        return
        [
            .. peers.SelectMany(peer => new[] { new LinkRule(machine, peer, port), new LinkRule(peer, machine, port) }
                .Where((_, way) => direction > 1 || way == direction)),
        ];
    }

    private Reassignment DrawReassignment()
    {
        var partitions = Enumerable.Range(0, _options.Partitions).Where(_ => _random.NextChance(50)).ToList();
        if (partitions.Count == 0)
            partitions.Add(0);
        var there = Shuffled().Take(Math.Max(1, _options.Replication - 1)).ToList();
        return new Reassignment(partitions, there, [.. Shuffled().Take(_options.Replication)]);
    }

    private int DrawMachine() => 1 + _random.NextInt(_options.Nodes);

    private List<int> Shuffled()
    {
        var machines = Enumerable.Range(1, _options.Nodes).ToList();
        for (var i = machines.Count - 1; i > 0; i--)
        {
            var j = _random.NextInt(i + 1);
            (machines[i], machines[j]) = (machines[j], machines[i]);
        }

        return machines;
    }
}
