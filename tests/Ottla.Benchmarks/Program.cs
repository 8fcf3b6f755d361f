using Ottla.Benchmarks;
using Ottla.Benchmarks.Churn;
using Ottla.Benchmarks.Clients;
using Ottla.Benchmarks.Compaction;
using Ottla.Benchmarks.Coordinators;
using Ottla.Benchmarks.Floor;
using Ottla.Benchmarks.Metadata;
using Ottla.Benchmarks.Monitoring;
using Ottla.Benchmarks.Neighbours;
using Ottla.Benchmarks.Reports;
using Ottla.Benchmarks.Restart;
using Ottla.Benchmarks.Security;

try
{
    return args switch
    {
        ["run", .. var rest] => BenchOptions.Parse(rest) is { } options ? new BenchRun(options).Execute() : Fail(BenchOptions.Usage),
        ["show", .. var files] => Show(files),
        ["group-storm", .. var rest] =>
            BenchOptions.Parse(rest) is { } options ? new GroupStorm(options).Execute() : Fail(BenchOptions.Usage),
        ["coordinators", .. var rest] =>
            BenchOptions.Parse(rest) is { } options ? new CoordinatorBench(options).Execute() : Fail(BenchOptions.Usage),
        ["floor", var port, var directory] when int.TryParse(port, out var number) => FloorServer.Run(number, directory),
        ["restart", .. var rest] =>
            BenchOptions.Parse(rest) is { } options ? new RestartBench(options).Execute() : Fail(BenchOptions.Usage),
        ["churn", .. var rest] => ChurnBench.Run(rest) ?? Fail(BenchOptions.Usage),
        ["neighbours", .. var rest] =>
            BenchOptions.Parse(rest) is { } options ? new NeighbourBench(options).Execute() : Fail(BenchOptions.Usage),
        ["metrics", .. var rest] =>
            BenchOptions.Parse(rest) is { } options ? new MetricsBench(options).Execute() : Fail(BenchOptions.Usage),
        ["metadata", .. var rest] => MetadataBench.Run(rest),
        ["authorization"] => AuthorizationBench.Run(),
        ["tls", .. var rest] => BenchOptions.Parse(rest) is { } options ? new TlsBench(options).Execute() : Fail(BenchOptions.Usage),
        ["tls-floor", var port, var file] when int.TryParse(port, out var number) => TlsFloor.Run(number, file),
        ["hostile", .. var rest] => HostileBench.Run(rest) ?? Fail(BenchOptions.Usage),
        ["attack", .. var rest] => Attack.Run(rest),
        ["client", .. var rest] => ClientBench.Run(rest) ?? Fail(BenchOptions.Usage),
        ["compaction", .. var rest] => await CompactionBench.RunAsync(rest),
        _ => Fail(BenchOptions.Usage),
    };
}
catch (BenchException e)
{
    return Fail(e.Message);
}

static int Show(string[] files)
{
    if (files.Length == 0)
        files = ResultStore.List(Repository.ResultsDirectory);
    foreach (var file in files)
        Console.WriteLine(ResultTable.Render(ResultStore.Read(file)));
    return files.Length > 0 ? 0 : Fail("No results are stored.");
}

static int Fail(string message)
{
    Console.Error.WriteLine(message);
    return 2;
}
