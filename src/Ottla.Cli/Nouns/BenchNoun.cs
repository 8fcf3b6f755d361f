using System.CommandLine;
using System.Globalization;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla bench</c>: how fast a cluster is for this machine, by the tools that Kafka has for it.</summary>
internal static class BenchNoun
{
    public static Command Create() => ClusterCommand.Noun(
        "bench", "Measure how fast a cluster is for this machine. Records are written to a topic that should be there for it.",
        CreateProduce(), CreateConsume(), CreateLatency());

    private static ClusterCommand CreateProduce()
    {
        var topic = CommonOptions.Topic();
        var count = Count(1_000_000);
        var size = Size(1000);
        var rate = CommonOptions.Number("--rate", "At most so many records a second. Default: as fast as it goes.");
        return new ClusterCommand(
            "produce", "Send records; print the rate and how long records take.", "bench produce speed --records 1000000 --size 1000",
            context => RunAsync(
                context, "kafka-producer-perf-test",
                [
                    "--topic", context.Value(topic)!, "--num-records", Text(context.Value(count)), "--record-size",
                    Text(context.Value(size)), "--throughput", Text(context.Value(rate) ?? -1),
                ]), topic, count, size, rate);
    }

    private static ClusterCommand CreateConsume()
    {
        var topic = CommonOptions.Topic();
        var count = Count(1_000_000);
        return new ClusterCommand(
            "consume", "Read records; print the rate.", "bench consume speed --records 1000000",
            context => RunAsync(
                context, "kafka-consumer-perf-test",
                ["--topic", context.Value(topic)!, "--num-records", Text(context.Value(count)), "--hide-header"]), topic, count);
    }

    private static ClusterCommand CreateLatency()
    {
        var topic = CommonOptions.Topic();
        var count = Count(10_000);
        var size = Size(100);
        return new ClusterCommand(
            "latency", "Send records one by one; print how long each takes until it is read.", "bench latency speed --records 10000",
            context => RunAsync(
                context, "kafka-e2e-latency",
                [
                    "--topic", context.Value(topic)!, "--num-records", Text(context.Value(count)), "--producer-acks", "all",
                    "--record-size", Text(context.Value(size)),
                ]), topic, count, size);
    }

    private static Option<int> Count(int standard) =>
        new("--records", "-n")
        {
            Description = $"How many records. Default: {standard}.",
            DefaultValueFactory = _ => standard,
            HelpName = "N"
        };

    private static Option<int> Size(int standard) =>
        new("--size")
        {
            Description = $"The bytes of a record. Default: {standard}.",
            DefaultValueFactory = _ => standard,
            HelpName = "BYTES"
        };

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Runs a tool of Kafka's with the properties of this command.</summary>
    private static async Task RunAsync(CommandContext context, string tool, IReadOnlyList<string> arguments) =>
        context.ExitWith(await KafkaToolRunner.RunAsync(
            context.Tool(tool, ["--bootstrap-server", context.Servers, .. arguments]) with { Properties = context.Properties }));
}
