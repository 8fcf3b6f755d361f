using Ottla.Benchmarks;
using Ottla.Benchmarks.Floor;
using Ottla.Benchmarks.Results;

return args switch
{
    ["run", .. var rest] => Run(rest),
    ["show", .. var files] => Show(files),
    ["floor", var port, var directory] when int.TryParse(port, out var number) => await FloorServer.RunAsync(number, directory),
    _ => Fail(BenchOptions.Usage),
};

static int Run(string[] arguments)
{
    try
    {
        return BenchOptions.Parse(arguments) is { } options ? new BenchRun(options).Execute() : Fail(BenchOptions.Usage);
    }
    catch (BenchException e)
    {
        return Fail(e.Message);
    }
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
