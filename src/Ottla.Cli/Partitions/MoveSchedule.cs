using System.Globalization;
using Ottla.Kernel;

namespace Ottla.Cli.Partitions;

/// <summary>How far a partition of a plan has got.</summary>
internal enum MoveStage
{
    /// <summary>It has not begun.</summary>
    Waiting,

    /// <summary>Its reassignment is under way.</summary>
    Moving,

    /// <summary>Its replicas are where the plan wants them.</summary>
    Done,

    /// <summary>It goes no further: see <see cref="ScheduledMove.Problem"/>.</summary>
    Failed,
}

/// <summary>A partition of a plan, and how far it has got.</summary>
internal sealed class ScheduledMove(PlanEntry entry)
{
    public PlanEntry Entry => entry;

    public MoveStage Stage { get; set; }

    /// <summary>Why it goes no further.</summary>
    public string? Problem { get; set; }

    /// <summary>The replicas at the last look; empty before the first.</summary>
    public IReadOnlyList<int> Current { get; set; } = [];

    /// <summary>How often in a row it was neither under way nor done, after it had begun.</summary>
    public int LooksWithout { get; set; }

    /// <summary>The brokers that a replica is copied to.</summary>
    public IEnumerable<int> Destinations => Entry.Replicas.Except(Sources);

    /// <summary>The brokers that have it before the move.</summary>
    public IReadOnlyList<int> Sources => FirstReplicas ?? Current;

    /// <summary>Whether anything is copied for it.</summary>
    public bool Copies => Destinations.Any();

    /// <summary>The replicas without those that the move adds, as seen while it had not begun or was under way.</summary>
    public IReadOnlyList<int>? FirstReplicas { get; set; }
}

/// <summary>
/// What of a plan is done, and what is next. Pure: it is told what the cluster looks like. It needs no memory of an earlier run, since
/// all that matters is in the cluster: so a plan that was interrupted is gone on with.
/// </summary>
internal sealed class MoveSchedule
{
    /// <summary>
    /// A broker may tell of the old replicas shortly after the controller has ended the reassignment: so often is it asked again before
    /// the reassignment counts as cancelled.
    /// </summary>
    private const int LooksUntilGone = 15;

    private readonly Dictionary<TopicPartition, ScheduledMove> _byId;

    public MoveSchedule(PlanFile plan)
    {
        Moves = [.. plan.Entries.Select(entry => new ScheduledMove(entry))];
        _byId = Moves.ToDictionary(move => move.Entry.Id);
    }

    /// <summary>The partitions in the order of the plan.</summary>
    public IReadOnlyList<ScheduledMove> Moves { get; }

    /// <summary>Whether nothing is left that waits or moves.</summary>
    public bool IsOver => Moves.All(move => move.Stage is MoveStage.Done or MoveStage.Failed);

    /// <summary>Whether a partition is in the plan.</summary>
    public bool Has(TopicPartition partition) => _byId.ContainsKey(partition);

    /// <summary>How many partitions have got so far.</summary>
    public int Count(MoveStage stage) => Moves.Count(move => move.Stage == stage);

    /// <summary>Takes note of what the cluster looks like.</summary>
    /// <param name="partitions">The partitions of the plan's topics.</param>
    /// <param name="ongoing">The reassignments under way, which were asked for before the partitions.</param>
    public void Observe(
        IEnumerable<PartitionState> partitions, IReadOnlyDictionary<TopicPartition, OngoingReassignment> ongoing)
    {
        var known = partitions.Where(partition => _byId.ContainsKey(partition.Id)).ToDictionary(partition => partition.Id);
        foreach (var move in Moves.Where(move => move.Stage is MoveStage.Waiting or MoveStage.Moving))
            Observe(move, known.GetValueOrDefault(move.Entry.Id), ongoing.GetValueOrDefault(move.Entry.Id));
    }

    /// <summary>The partitions to begin with now.</summary>
    /// <param name="parallelMax">How many may be copied at a time. Changes of order copy nothing, and follow when all have begun.</param>
    public IReadOnlyList<ScheduledMove> Next(int parallelMax)
    {
        var free = parallelMax - Moves.Count(move => move.Stage == MoveStage.Moving && move.Copies);
        var waiting = Moves.Where(move => move.Stage == MoveStage.Waiting).ToList();
        var copying = waiting.Where(move => move.Copies).Take(Math.Max(free, 0)).ToList();
        return waiting.Any(move => move.Copies) ? copying : waiting;
    }

    private static void Observe(ScheduledMove move, PartitionState? partition, OngoingReassignment? ongoing)
    {
        if (partition is null)
        {
            Fail(move, "there is no such partition");
            return;
        }

        move.Current = partition.Replicas;
        if (ongoing is not null)
        {
            if (!ongoing.Target.SequenceEqual(move.Entry.Replicas))
            {
                Fail(move, $"it is being moved to {Text(ongoing.Target)} already");
                return;
            }

            move.FirstReplicas = [.. ongoing.Replicas.Except(ongoing.Adding)];
            (move.Stage, move.LooksWithout) = (MoveStage.Moving, 0);
        }
        else if (partition.Replicas.SequenceEqual(move.Entry.Replicas))
        {
            move.FirstReplicas ??= move.Entry.From ?? partition.Replicas;
            move.Stage = MoveStage.Done;
        }
        else if (move.Stage == MoveStage.Moving)
        {
            if (++move.LooksWithout >= LooksUntilGone)
                Fail(move, $"its reassignment was cancelled, or replaced by another: its replicas are {Text(partition.Replicas)}");
        }
        else if (move.Entry.From is { } from && !from.SequenceEqual(partition.Replicas))
        {
            Fail(move, $"its replicas are {Text(partition.Replicas)}, and the plan was made for {Text(from)}: make a new plan");
        }
        else
        {
            move.FirstReplicas = partition.Replicas;
        }
    }

    private static void Fail(ScheduledMove move, string problem) => (move.Stage, move.Problem) = (MoveStage.Failed, problem);

    private static string Text(IEnumerable<int> ids) => string.Join(',', ids.Select(id => id.ToString(CultureInfo.InvariantCulture)));
}
