using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.Partitions;

/// <summary>Tells which reassignments are under way, how far they are, and which throttles are set. Used by one command.</summary>
internal sealed class PartitionStatus(IAdmin admin, TimeProvider time)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly ClusterReader _reader = new(admin, time);
    private readonly ReplicationThrottle _throttle = new(admin);

    /// <summary>What is known of the cluster's reassignments.</summary>
    /// <param name="Moves">Those that are under way.</param>
    /// <param name="Throttle">The throttles that are set on brokers, and on the topics of the moves and of the plan.</param>
    /// <param name="Plan">How far a plan has got; null when none was given.</param>
    internal sealed record State(IReadOnlyList<Move> Moves, ThrottleState Throttle, MoveSchedule? Plan);

    /// <summary>A reassignment that is under way.</summary>
    /// <param name="Id">The partition.</param>
    /// <param name="Reassignment">Its replicas.</param>
    /// <param name="Bytes">The size of its largest replica.</param>
    /// <param name="Copied">How much the new replicas have of it.</param>
    internal sealed record Move(TopicPartition Id, OngoingReassignment Reassignment, long Bytes, long Copied);

    /// <summary>Asks the cluster.</summary>
    /// <param name="plan">A plan to compare with; null for none.</param>
    public async Task<State> FindAsync(PlanFile? plan)
    {
        var brokers = await _reader.BrokersAsync();
        var ongoing = await _reader.OngoingAsync();
        MoveSchedule? schedule = null;
        if (plan is not null)
        {
            schedule = new MoveSchedule(plan);
            schedule.Observe(await _reader.PartitionsAsync(plan.Entries.Select(entry => entry.Id.Topic)), ongoing);
        }

        var topics = ongoing.Keys.Select(partition => partition.Topic).Concat(plan?.Entries.Select(entry => entry.Id.Topic) ?? []);
        return new State(await SizesAsync(ongoing, brokers), await _throttle.FindAsync(brokers, topics), schedule);
    }

    /// <summary>For people.</summary>
    public static string Text(State state)
    {
        var text = new StringBuilder();
        if (state.Moves.Count == 0)
        {
            text.Append("No partition is being moved.\n");
        }
        else
        {
            text.Append(TextTable.Of(
            [
                ["PARTITION", "REPLICAS", "ADDING", "REMOVING", "COPIED"],
                .. state.Moves.Select(move => (string[])
                [
                    move.Id.ToString(), Ids(move.Reassignment.Replicas), Ids(move.Reassignment.Adding), Ids(move.Reassignment.Removing),
                    move.Reassignment.Adding.IsEmpty
                        ? "-"
                        : $"{ByteText.Of(move.Copied)} of {ByteText.Of(move.Bytes * move.Reassignment.Adding.Length)}",
                ]),
            ]));
            text.Append(CultureInfo.InvariantCulture, $"{state.Moves.Count} partitions are being moved.\n");
        }

        foreach (var rate in state.Throttle.Brokers.GroupBy(broker => broker.Rate))
        {
            text.Append(
                CultureInfo.InvariantCulture,
                $"Throttle: {ByteText.Of(rate.Key)}/s on brokers {string.Join(", ", rate.Select(each => each.Broker.Id))}.\n");
        }

        if (state.Throttle.Topics.Count > 0)
            text.Append(CultureInfo.InvariantCulture, $"Throttled replicas are named by: {string.Join(", ", state.Throttle.Topics)}.\n");
        if (state.Moves.Count == 0 && !state.Throttle.IsNone)
            text.Append("Nothing needs the throttle any more: 'ottla partition cancel --all' removes it.\n");
        if (state.Plan is { } plan)
            text.Append(PlanLines(plan));
        return text.ToString();
    }

    /// <summary>For programs.</summary>
    public static string Json(State state)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteStartArray("reassignments");
            foreach (var move in state.Moves)
            {
                json.WriteStartObject();
                json.WriteString("topic", move.Id.Topic);
                json.WriteNumber("partition", move.Id.Partition);
                WriteIds(json, "replicas", move.Reassignment.Replicas);
                WriteIds(json, "adding", move.Reassignment.Adding);
                WriteIds(json, "removing", move.Reassignment.Removing);
                json.WriteNumber("bytes", move.Bytes);
                json.WriteNumber("copied", move.Copied);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteStartArray("throttles");
            foreach (var (broker, rate) in state.Throttle.Brokers)
            {
                json.WriteStartObject();
                json.WriteNumber("broker", broker.Id);
                json.WriteNumber("bytesPerSecond", rate);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            if (state.Plan is { } plan)
                WritePlan(json, plan);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan) + "\n";
    }

    private static string PlanLines(MoveSchedule plan)
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"Plan: {plan.Count(MoveStage.Done)} of {plan.Moves.Count} partitions are done, {plan.Count(MoveStage.Moving)} are moving, "
            + $"{plan.Count(MoveStage.Waiting)} have not begun.\n");
        foreach (var move in plan.Moves.Where(move => move.Stage == MoveStage.Failed))
            text.Append(CultureInfo.InvariantCulture, $"{move.Entry.Id} does not follow the plan: {move.Problem}.\n");
        return text.ToString();
    }

    private static void WritePlan(Utf8JsonWriter json, MoveSchedule plan)
    {
        json.WriteStartArray("plan");
        foreach (var move in plan.Moves)
        {
            json.WriteStartObject();
            json.WriteString("topic", move.Entry.Id.Topic);
            json.WriteNumber("partition", move.Entry.Id.Partition);
            json.WriteString("state", move.Stage switch
            {
                MoveStage.Waiting => "waiting",
                MoveStage.Moving => "moving",
                MoveStage.Done => "done",
                _ => "differs",
            });
            if (move.Problem is not null)
                json.WriteString("problem", move.Problem);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private async Task<IReadOnlyList<Move>> SizesAsync(
        IReadOnlyDictionary<TopicPartition, OngoingReassignment> ongoing, IReadOnlyList<BrokerState> brokers)
    {
        var sizes = new Dictionary<int, IReadOnlyDictionary<TopicPartition, long>>();
        foreach (var broker in brokers.Where(broker => !broker.IsFenced))
        {
            List<TopicPartition> wanted = [.. ongoing.Where(each => each.Value.Replicas.Contains(broker.Id)).Select(each => each.Key)];
            if (wanted.Count > 0)
                sizes[broker.Id] = (await _reader.DisksAsync(broker, wanted, Patience)).Sizes;
        }

        return
        [
            .. ongoing.OrderBy(each => each.Key.Topic, StringComparer.Ordinal).ThenBy(each => each.Key.Partition).Select(each =>
            {
                var bytes = each.Value.Replicas.Except(each.Value.Adding).Select(id => SizeOn(id, each.Key)).DefaultIfEmpty().Max();
                return new Move(each.Key, each.Value, bytes, each.Value.Adding.Sum(id => Math.Min(bytes, SizeOn(id, each.Key))));
            }),
        ];

        long SizeOn(int broker, TopicPartition partition) =>
            sizes.TryGetValue(broker, out var there) ? there.GetValueOrDefault(partition) : 0;
    }

    private static void WriteIds(Utf8JsonWriter json, string name, IEnumerable<int> ids)
    {
        json.WriteStartArray(name);
        foreach (var id in ids)
            json.WriteNumberValue(id);
        json.WriteEndArray();
    }

    private static string Ids(IReadOnlyCollection<int> ids) => ids.Count == 0 ? "-" : string.Join(',', ids);
}
