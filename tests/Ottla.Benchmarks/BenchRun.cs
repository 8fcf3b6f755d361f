using System.Net.Sockets;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Reports;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;

namespace Ottla.Benchmarks;

/// <summary>
/// One run of the tool: every scenario in turn on every target, in rounds, in alternating order; then the table, and the result stored.
/// </summary>
internal sealed class BenchRun(BenchOptions options)
{
    private const int WarmUpDivisor = 10;

    private readonly Scenario[] _scenarios = ScenarioCatalog.Select(options.Only.ToArray(), options.IsQuick);
    private readonly Dictionary<(string Scenario, string Target), List<Sample>> _samples = [];
    private readonly DateTimeOffset _started = DateTimeOffset.UtcNow;
    private int _failures;

    /// <summary>Runs.</summary>
    /// <returns>The exit code: 0 when every scenario gave a number, 3 when the broker got dearer since the last stored result.</returns>
    public int Execute()
    {
        var workDirectory = Directory.CreateDirectory(Path.Combine(options.Directory, $"ottla-bench-{Guid.NewGuid():N}")).FullName;
        try
        {
            MeasureStarts(workDirectory);
            using var targets = new TargetSet(options, workDirectory);
            foreach (var scenario in _scenarios.OfType<IdleScenario>())
                MeasureAll(scenario, targets);
            if (!options.IsQuick)
                WarmUp(targets);
            MeasureLoads(targets);
            CountSystemCalls(targets, workDirectory);
            foreach (var scenario in _scenarios.OfType<ScaleScenario>())
                MeasureAll(scenario, targets);
            return Report(workDirectory);
        }
        finally
        {
            Directory.Delete(workDirectory, recursive: true);
        }
    }

    private void MeasureStarts(string workDirectory)
    {
        if (options.Broker is not null)
            return; // it runs already
        foreach (var scenario in _scenarios.OfType<StartScenario>())
        {
            var launchers = TargetSet.Launchers(options, workDirectory);
            for (var round = 0; round < options.Rounds; round++)
            {
                foreach (var launcher in round % 2 == 0 ? launchers : launchers.Reverse())
                    Attempt(scenario.Name, launcher.Name, () => Measurement.OfStart(scenario, launcher));
            }
        }
    }

    private void MeasureLoads(TargetSet targets)
    {
        var loads = _scenarios.Where(IsLoad).ToArray();
        for (var round = 0; round < options.Rounds; round++)
        {
            for (var i = 0; i < loads.Length; i++)
                MeasureAll(loads[i], targets, isReversed: (round + i) % 2 == 1);
        }
    }

    private static bool IsLoad(Scenario scenario) => scenario is not (IdleScenario or StartScenario or ScaleScenario);

    /// <summary>A pass of its own at the end: whoever is counted is slowed down.</summary>
    private void CountSystemCalls(TargetSet targets, string workDirectory)
    {
        if (!SystemCalls.CanCount)
            return;
        foreach (var scenario in _scenarios.Where(IsLoad))
        {
            foreach (var target in targets.All.Where(target => _samples.ContainsKey((scenario.Name, target.Name))))
            {
                var counted = Try(scenario.Name, target.Name, () => new Sample
                {
                    SystemCallsPerRequest = Measurement.SystemCallsOf(
                        ScenarioCatalog.Shrink(scenario, WarmUpDivisor), target, workDirectory),
                });
                var samples = _samples[(scenario.Name, target.Name)];
                samples[^1] = samples[^1] with { SystemCallsPerRequest = counted?.SystemCallsPerRequest };
            }
        }
    }

    private void MeasureAll(Scenario scenario, TargetSet targets, bool isReversed = false)
    {
        foreach (var target in (isReversed ? targets.All.Reverse() : targets.All)
            .Where(target => scenario is not ScaleScenario || target.Name != ResultTable.FloorName))
            Attempt(scenario.Name, target.Name, () => Measurement.Of(scenario, target));
    }

    /// <summary>Lets the runtimes compile what they will run, so that the first round is like the others.</summary>
    private void WarmUp(TargetSet targets)
    {
        foreach (var scenario in _scenarios.Where(IsLoad))
        {
            foreach (var target in targets.All)
                Try(scenario.Name, target.Name, () => Measurement.Of(ScenarioCatalog.Shrink(scenario, WarmUpDivisor), target));
        }
    }

    private void Attempt(string scenario, string target, Func<Sample> measure)
    {
        if (Try(scenario, target, measure) is not { } sample)
            return;
        if (!_samples.TryGetValue((scenario, target), out var samples))
            _samples[(scenario, target)] = samples = [];
        samples.Add(sample);
        Console.Error.WriteLine($"{scenario} {target}: {sample.Seconds:0.00} s");
    }

    private Sample? Try(string scenario, string target, Func<Sample> measure)
    {
        try
        {
            return measure();
        }
        catch (Exception e) when (e is BenchException or SocketException)
        {
            _failures++;
            Console.Error.WriteLine($"FAILED {scenario} {target}: {e.Message}");
            return null;
        }
    }

    private int Report(string workDirectory)
    {
        var scenarios = _scenarios
            .SelectMany(scenario => _samples.Where(entry => entry.Key.Scenario == scenario.Name))
            .Select(entry => new ScenarioResult(entry.Key.Scenario, entry.Key.Target, Sample.MedianOf(entry.Value), entry.Value))
            .ToArray();
        var result = new BenchResult(
            _started, Repository.Commit(), MachineInfo.Read(workDirectory), options.Rounds, options.IsQuick, scenarios);
        Console.WriteLine(ResultTable.Render(result));
        if (_failures > 0)
        {
            Console.Error.WriteLine($"{_failures} measurements failed; nothing is stored.");
            return 1;
        }

        var regressions = options.IsChecked
            && ResultStore.LatestOf(Repository.ResultsDirectory, result.Machine) is { } before ? RegressionCheck.Find(before, result) : [];
        if (options.IsStored)
            Console.WriteLine(
                $"Stored as {Path.GetRelativePath(Environment.CurrentDirectory, ResultStore.Write(Repository.ResultsDirectory, result))}");
        foreach (var regression in regressions)
            Console.Error.WriteLine($"REGRESSION {regression}");
        return regressions.Count == 0 ? 0 : 3;
    }
}
