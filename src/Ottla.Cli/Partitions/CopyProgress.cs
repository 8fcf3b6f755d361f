using System.Globalization;
using Ottla.Cli.KafkaTools;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.Partitions;

/// <summary>How much of a plan is copied, by the sizes of replicas on the brokers that get and have them. Used by one command.</summary>
internal sealed class CopyProgress(ClusterReader reader, TimeProvider time)
{
    /// <summary>A broker that does not answer must not hold up the line for long.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    /// <summary>The rate is that of about so long a time.</summary>
    private static readonly TimeSpan RateWindow = TimeSpan.FromSeconds(30);

    private readonly Queue<(long At, long Copied)> _history = new();
    private readonly Dictionary<TopicPartition, long> _sizes = [];

    /// <summary>What the moves have to copy, and have copied.</summary>
    /// <param name="Total">All of it.</param>
    /// <param name="Copied">What is there.</param>
    /// <param name="Silent">Brokers that did not answer: what they have got counts as nothing.</param>
    public sealed record State(long Total, long Copied, IReadOnlyList<int> Silent);

    /// <summary>Asks the brokers that moves are under way from and to.</summary>
    /// <param name="moves">All moves of the plan.</param>
    /// <param name="brokers">The brokers of the cluster.</param>
    public async Task<State> LookAsync(IReadOnlyList<ScheduledMove> moves, IReadOnlyList<BrokerState> brokers)
    {
        var copying = moves.Where(move => move.Copies && move.Stage != MoveStage.Failed).ToList();
        var unknown = copying.Where(move => move.Stage == MoveStage.Moving || !_sizes.ContainsKey(move.Entry.Id)).ToList();
        var silent = new List<int>();
        var there = new Dictionary<(TopicPartition, int), long>();
        foreach (var broker in brokers.Where(broker => unknown.Any(move => Involves(move, broker.Id))))
        {
            try
            {
                List<TopicPartition> wanted = [.. unknown.Where(move => Involves(move, broker.Id)).Select(move => move.Entry.Id)];
                if (broker.IsFenced)
                {
                    silent.Add(broker.Id);
                    continue;
                }

                foreach (var (partition, bytes) in (await reader.DisksAsync(broker, wanted, Patience)).Sizes)
                    there[(partition, broker.Id)] = bytes;
            }
            catch (Exception e) when (e is ToolException or KafkaException) // it is told of
            {
                silent.Add(broker.Id);
            }
        }

        foreach (var move in unknown)
        {
            var complete = move.Stage == MoveStage.Done ? move.Entry.Replicas : move.Sources;
            var size = complete.Max(id => there.GetValueOrDefault((move.Entry.Id, id)));
            if (size > 0 || !_sizes.ContainsKey(move.Entry.Id))
                _sizes[move.Entry.Id] = size;
        }

        return new State(
            copying.Sum(move => Size(move) * move.Destinations.Count()),
            copying.Sum(move => move.Stage == MoveStage.Done
                ? Size(move) * move.Destinations.Count()
                : move.Destinations.Sum(id => Math.Min(Size(move), there.GetValueOrDefault((move.Entry.Id, id))))),
            silent);
    }

    /// <summary>A line of it.</summary>
    public string Text(MoveSchedule schedule, State state)
    {
        var now = time.GetTimestamp();
        while (_history.TryPeek(out var first) && _history.Count > 1 && time.GetElapsedTime(first.At, now) > RateWindow)
            _history.Dequeue();
        var text = string.Create(
            CultureInfo.InvariantCulture,
            $"{schedule.Count(MoveStage.Done)} of {schedule.Moves.Count} partitions are done, "
            + $"{schedule.Count(MoveStage.Moving)} are moving; "
            + $"{ByteText.Of(state.Copied)} of {ByteText.Of(state.Total)} are copied");
        if (_history.TryPeek(out var oldest) && state.Copied > oldest.Copied)
        {
            var rate = (state.Copied - oldest.Copied) / time.GetElapsedTime(oldest.At, now).TotalSeconds;
            var left = TimeSpan.FromSeconds(Math.Ceiling((state.Total - state.Copied) / rate));
            text += string.Create(CultureInfo.InvariantCulture, $", {ByteText.Of((long)rate)}/s, about {left:c} left");
        }

        _history.Enqueue((now, state.Copied));
        if (state.Silent.Count > 0)
            text += $" (no answer from {string.Join(", ", state.Silent)})";
        return text;
    }

    private static bool Involves(ScheduledMove move, int broker) => move.Sources.Contains(broker) || move.Destinations.Contains(broker);

    private long Size(ScheduledMove move) => _sizes.GetValueOrDefault(move.Entry.Id);
}
