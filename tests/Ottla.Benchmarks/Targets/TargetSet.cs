using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Reports;

namespace Ottla.Benchmarks.Targets;

/// <summary>
/// The targets of a run: the broker, one to compare it with, and the floor beside them. All run throughout; only one at a time has work.
/// </summary>
internal sealed class TargetSet : IDisposable
{
    private readonly List<Target> _targets = [];

    /// <summary>Starts what is to be started.</summary>
    public TargetSet(BenchOptions options, string workDirectory)
    {
        try
        {
            if (options.Broker is { } running)
            {
                var counters = options.CountersFile is { } file ? new CountersFile(file) : null;
                _targets.Add(new Target(ResultTable.BrokerName, running.Host, running.Port, running.ProcessId, counters));
            }

            if (options.Compared is { } compared)
                _targets.Add(new Target(ResultTable.ComparedName, compared.Host, compared.Port, compared.ProcessId, counters: null));

            foreach (var launcher in Launchers(options, workDirectory))
                _targets.Add(launcher.Start(out _));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public IEnumerable<Target> All => _targets;

    /// <summary>What a run starts by itself: not the broker, when it runs already.</summary>
    public static IReadOnlyList<TargetLauncher> Launchers(BenchOptions options, string workDirectory)
    {
        var launchers = new List<TargetLauncher>();
        if (options.Broker is null)
            launchers.Add(TargetLauncher.ForBroker(options, workDirectory));
        if (options.HasFloor)
            launchers.Add(TargetLauncher.ForFloor(workDirectory));
        return launchers;
    }

    public void Dispose()
    {
        foreach (var target in _targets)
            target.Dispose();
    }
}
