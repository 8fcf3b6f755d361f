using System.CommandLine;
using System.Globalization;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Kernel;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla top</c>: which topics are written to, and which groups are behind; again and again.</summary>
internal static class TopCommand
{
    private const string ClearScreen = "\u001b[H\u001b[J";

    public static Command Create()
    {
        var interval = CommonOptions.Text("--interval", "How long between two looks. Default: 2s.", "DURATION");
        var times = CommonOptions.Number("--times", "End after so many looks. Default: go on until it is interrupted.", "-n");
        var most = CommonOptions.Number("--most", "How many topics are shown. Default: 20.");
        return new ClusterCommand(
            "top", "Show which topics are written to fastest, again and again: by their end offsets, so it works with every Kafka.",
            "top --interval 5s", async context =>
            {
                const int intervalSeconds = 2;
                const int mostDefault = 20;
                var wait = context.Value(interval) is { } text ? ConnectionOptions.Duration(text, "--interval")
                    : TimeSpan.FromSeconds(intervalSeconds);
                if (wait <= TimeSpan.Zero)
                    throw new ConfigException("--interval: more than zero is expected.");
                var left = context.Value(times) ?? int.MaxValue;
                var before = await EndsAsync(context);
                var at = context.Time.GetTimestamp();
                while (left-- > 0)
                {
                    await Task.Delay(wait, context.Time, context.Stopped);
                    var now = await EndsAsync(context);
                    var seconds = context.Time.GetElapsedTime(at).TotalSeconds;
                    at = context.Time.GetTimestamp();
                    if (context.Format == RowFormat.Text && !Console.IsOutputRedirected)
                        context.Output.Write(ClearScreen);
                    Print(context, Rates(before, now, seconds).Take(context.Value(most) ?? mostDefault), now);
                    await context.Output.FlushAsync(context.Stopped);
                    before = now;
                }
            }, interval, times, most);
    }

    /// <summary>The records a second that topics got, the most first.</summary>
    public static IReadOnlyList<(string Topic, double Rate)> Rates(
        IReadOnlyDictionary<TopicPartition, long> before, IReadOnlyDictionary<TopicPartition, long> now, double seconds) =>
    [
        .. now.GroupBy(each => each.Key.Topic).Select(topic => (
                Topic: topic.Key,
                Rate: topic.Sum(each => Math.Max(0, each.Value - before.GetValueOrDefault(each.Key, each.Value))) / seconds))
            .OrderByDescending(each => each.Rate).ThenBy(each => each.Topic, StringComparer.Ordinal),
    ];

    private static void Print(
        CommandContext context, IEnumerable<(string Topic, double Rate)> rates, IReadOnlyDictionary<TopicPartition, long> ends)
    {
        var rows = context.Rows("topic", "recordsPerSecond", "partitions", "end");
        foreach (var (topic, rate) in rates)
        {
            var partitions = ends.Where(each => each.Key.Topic == topic).ToList();
            rows.Add(
                topic, context.Format == RowFormat.Text ? rate.ToString("0.0", CultureInfo.InvariantCulture) : rate, partitions.Count,
                partitions.Sum(each => each.Value));
        }

        rows.End("There are no topics.");
    }

    private static async Task<IReadOnlyDictionary<TopicPartition, long>> EndsAsync(CommandContext context)
    {
        var names = await TopicNames.ResolveAsync(context, []);
        var partitions = await TopicNames.PartitionsAsync(context, names);
        if (partitions.Count == 0)
            return new Dictionary<TopicPartition, long>();
        var ends = await context.Admin.ListOffsetsAsync(partitions.ToDictionary(each => each, _ => OffsetSpec.Latest));
        return ends.Where(each => each.Value.IsSuccess).ToDictionary(each => each.Key, each => each.Value.Value.Offset);
    }
}
