using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Cli.Partitions;
using Ottla.Client;
using Ottla.Protocol;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla logdir</c>: the log directories of brokers.</summary>
internal static class LogdirNoun
{
    public static Command Create() =>
        ClusterCommand.Noun("logdir", "See the log directories of brokers, and move replicas between them.", CreateList(),
            CreateReplicas(), CreateMove());

    private static Option<string[]> Brokers() => CommonOptions.Texts("--broker", "Only this broker; may be repeated.", "ID");

    private static ClusterCommand CreateList()
    {
        var brokers = Brokers();
        return new ClusterCommand("list", "List directories with their sizes and the room that is left.", "logdir list", async context =>
        {
            var rows = context.Rows("broker", "directory", "replicas", "bytes", "totalBytes", "usableBytes", "cordoned", "error");
            foreach (var (broker, path, directory) in await DescribeAsync(context, brokers))
            {
                rows.Add(
                    broker, path, directory.Replicas.Count, Size(context, directory.Replicas.Values.Sum(replica => replica.SizeBytes)),
                    Size(context, directory.TotalBytes), Size(context, directory.UsableBytes), directory.IsCordoned,
                    directory.Error == ErrorCode.None ? null : directory.Error.ToKafkaName());
            }

            rows.End("There are no directories.");
        }, brokers);
    }

    private static ClusterCommand CreateReplicas()
    {
        var brokers = Brokers();
        var topics = CommonOptions.Topics(mayBeNone: true);
        return new ClusterCommand(
            "replicas", "List the replicas in each directory with their sizes, the largest first.", "logdir replicas orders --broker 1",
            async context =>
            {
                var names = context.Value(topics)!;
                var rows = context.Rows("broker", "directory", "topic", "partition", "bytes", "lag", "future");
                var found = from each in await DescribeAsync(context, brokers)
                            from replica in each.Directory.Replicas
                            where names.Length == 0 || names.Contains(replica.Key.Topic)
                            orderby replica.Value.SizeBytes descending, each.Broker, replica.Key.Topic, replica.Key.Partition
                            select (each.Broker, each.Path, replica.Key, replica.Value);
                foreach (var (broker, path, partition, replica) in found)
                {
                    rows.Add(
                        broker, path, partition.Topic, partition.Partition, Size(context, replica.SizeBytes), replica.OffsetLag,
                            replica.IsFuture);
                }

                rows.End("There are no replicas.");
            }, topics, brokers);
    }

    private static ClusterCommand CreateMove()
    {
        var partition = new Argument<string>("partition") { Description = "The partition, as orders:0.", HelpName = "TOPIC:PARTITION" };
        var broker = new Option<int>("--broker") { Description = "The broker.", HelpName = "ID", Required = true };
        var directory = CommonOptions.Text("--to", "The path of the new directory on that broker.", "DIRECTORY");
        directory.Required = true;
        return new ClusterCommand(
            "move", "Move a replica to another directory of its broker.", "logdir move orders:0 --broker 1 --to /var/lib/kafka-2",
                async context =>
            {
                var replicas = CommonOptions.Partitions(context.Value(partition)!, "partition")
                    .Select(each => new PartitionReplica(each, context.Value(broker))).ToList();
                var results =
                    await context.Admin.AlterReplicaLogDirsAsync(replicas.ToDictionary(each => each, _ => context.Value(directory)!));
                foreach (var (replica, result) in results)
                {
                    if (!context.Failed($"{replica}", result))
                    {
                        context.Done(
                            $"{replica} is being moved to {context.Value(directory)}; 'ottla logdir replicas' shows how far it is.",
                            ("topic", replica.Partition.Topic), ("partition", replica.Partition.Partition), ("broker", replica.BrokerId));
                    }
                }
            }, partition, broker, directory);
    }

    private static object? Size(CommandContext context, long? bytes) =>
        bytes is { } size && context.Format == RowFormat.Text ? ByteText.Of(size) : bytes;

    private static async Task<IReadOnlyList<(int Broker, string Path, LogDirDescription Directory)>> DescribeAsync(
        CommandContext context, Option<string[]> brokers)
    {
        var ids = (context.Value(brokers) ?? []).SelectMany(text => CommonOptions.Numbers(text, "--broker")).Distinct().ToList();
        if (ids.Count == 0)
            ids = [.. (await context.Admin.DescribeClusterAsync()).Brokers.Select(broker => broker.Id)];
        var found = new List<(int, string, LogDirDescription)>();
        foreach (var (broker, result) in (await context.Admin.DescribeLogDirsAsync(ids)).OrderBy(each => each.Key))
        {
            if (!context.Failed($"broker {broker}", result))
                found.AddRange(result.Value.OrderBy(each => each.Key, StringComparer.Ordinal)
                    .Select(each => (broker, each.Key, each.Value)));
        }

        return found;
    }
}
