using System.Globalization;
using Ottla.Chaos;
using Ottla.Chaos.Machines;
using Ottla.Chaos.Scenarios;

const int clean = 0, found = 1, misused = 2, failed = 3;
const int shownCharsMax = 1500;

ChaosOptions options;
Scenario scenario;
try
{
    if (args.Contains("--help"))
    {
        Console.WriteLine(ChaosOptions.Usage);
        foreach (var known in ScenarioCatalog.All)
            Console.WriteLine($"  {known.Name,-18} {known.Description}");
        return clean;
    }

    options = ChaosOptions.Parse(args);
    scenario = options.Scenario is not { } wanted ? new RandomFaults(options)
        : ScenarioCatalog.All.FirstOrDefault(each => each.Name == wanted)
        ?? throw new UsageException($"there is no scenario {wanted}: {string.Join(", ", ScenarioCatalog.All.Select(each => each.Name))}");
}
catch (UsageException e)
{
    Console.Error.WriteLine(e.Message);
    Console.Error.WriteLine(ChaosOptions.Usage);
    return misused;
}

var name = string.Create(CultureInfo.InvariantCulture, $"{scenario.Name}-{options.Seed}-{DateTime.UtcNow:yyyyMMdd-HHmmss}");
var folder = Directory.CreateDirectory(options.Folder ?? Path.GetFullPath(Path.Combine("artifacts", "chaos", name))).FullName;
using var log = new RunLog(Path.Combine(folder, "run.log"));
log.Write($"{scenario.Name}: {scenario.Description} (seed {options.Seed}); everything is kept in {folder}");
try
{
    var executable = options.Executable ?? Path.GetFullPath("artifacts/bin/ottla");
    var anomalies = await new ChaosRun(options, scenario, executable, folder, log).RunAsync();
    File.WriteAllLines(Path.Combine(folder, "anomalies.txt"), anomalies);
    foreach (var anomaly in anomalies)
        log.Write($"ANOMALY: {(anomaly.Length > shownCharsMax ? $"{anomaly[..shownCharsMax]}... (see anomalies.txt)" : anomaly)}");
    log.Write(anomalies.Count == 0 ? "no anomalies" : $"{anomalies.Count} anomalies");
    return anomalies.Count == 0 ? clean : found;
}
catch (UsageException e)
{
    Console.Error.WriteLine(e.Message);
    return misused;
}
catch (Exception e) when (e is ToolException or UnhealthyException or IOException)
{
    log.Write($"the run failed: {e}");
    return failed;
}
