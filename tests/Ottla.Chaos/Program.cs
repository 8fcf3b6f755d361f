using System.Globalization;
using Ottla.Chaos;
using Ottla.Chaos.Machines;

const int clean = 0, found = 1, misused = 2, failed = 3;

ChaosOptions options;
try
{
    options = ChaosOptions.Parse(args);
}
catch (UsageException e)
{
    Console.Error.WriteLine(e.Message);
    Console.Error.WriteLine(ChaosOptions.Usage);
    return misused;
}

var name = string.Create(CultureInfo.InvariantCulture, $"{options.Seed}-{DateTime.UtcNow:yyyyMMdd-HHmmss}");
var folder = Directory.CreateDirectory(options.Folder ?? Path.GetFullPath(Path.Combine("artifacts", "chaos", name))).FullName;
using var log = new RunLog(Path.Combine(folder, "run.log"));
log.Write($"seed {options.Seed}, {options.Seconds} s; everything is kept in {folder}");
try
{
    var executable = options.Executable ?? Path.GetFullPath("artifacts/bin/ottla");
    var anomalies = await new ChaosRun(options, executable, folder, log).RunAsync();
    foreach (var anomaly in anomalies)
        log.Write($"ANOMALY: {anomaly}");
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
