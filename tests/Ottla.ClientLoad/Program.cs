using System.Diagnostics;
using System.Globalization;
using Ottla.ClientLoad;
using Ottla.ConfluentDriver;

try
{
    var arguments = LoadArguments.Parse(args);
    if (arguments.Client == "confluent")
        NativeClient.Load();
    var warmUp = Stopwatch.StartNew();
    while (arguments.IsRead && warmUp.Elapsed.TotalSeconds < arguments.WarmUpSecondsMin)
    {
        await using var reader = Open(arguments); // the same records again, in another group
        await reader.RunAsync(arguments.WarmUpRecords);
    }

    await using var load = Open(arguments);
    do
        await load.RunAsync(arguments.WarmUpRecords);
    while (warmUp.Elapsed.TotalSeconds < arguments.WarmUpSecondsMin);
    var process = Process.GetCurrentProcess();
    var cpuBefore = process.TotalProcessorTime;
    var allocatedBefore = GC.GetTotalAllocatedBytes(precise: true);
    var collectionsBefore = GC.CollectionCount(0);
    var started = Stopwatch.GetTimestamp();
    await load.RunAsync(arguments.Records);
    var elapsed = Stopwatch.GetElapsedTime(started);
    process.Refresh();
    Console.Out.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"seconds={elapsed.TotalSeconds:0.000000} cpu={(process.TotalProcessorTime - cpuBefore).TotalSeconds:0.000} "
            + $"allocated={GC.GetTotalAllocatedBytes(precise: true) - allocatedBefore} "
            + $"collections={GC.CollectionCount(0) - collectionsBefore} peak={process.PeakWorkingSet64}"));
    return 0;
}
catch (FormatException e)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}

static ILoad Open(LoadArguments arguments) => arguments switch
{
    { Client: "ottla", Load: "consume" or "consume-batches" or "consume-raw" } => new OttlaConsumeLoad(arguments),
    { Client: "ottla" } => new OttlaProduceLoad(arguments),
    { Client: "confluent", Load: "consume" } => new ConfluentConsumeLoad(arguments),
    { Client: "confluent", Load: not ("consume-batches" or "consume-raw") } => new ConfluentProduceLoad(arguments),
    _ => throw new FormatException($"There is no load {arguments.Load} of {arguments.Client}."),
};
