using System.Collections.Immutable;
using Ottla.Cli.Partitions;
using Ottla.Kernel;

namespace Ottla.UnitTests.Cli.Partitions;

/// <summary>What of a plan is done and what is next, by what the cluster looks like.</summary>
public sealed class MoveScheduleTests
{
    private readonly Dictionary<TopicPartition, PartitionState> _partitions = [];
    private readonly Dictionary<TopicPartition, OngoingReassignment> _ongoing = [];

    [Fact]
    public void As_many_as_may_begin_when_others_end()
    {
        var schedule = Schedule((0, [1, 2], [1, 3]), (1, [1, 2], [3, 2]), (2, [1, 2], [1, 3]), (3, [1, 2], [2, 1]));
        Look(schedule);
        Assert.Equal([0, 1], Begin(schedule, 2));
        Look(schedule);
        Assert.Empty(schedule.Next(2));

        End(1, [3, 2]);
        Look(schedule);
        Assert.Equal((1, 1, 2), (schedule.Count(MoveStage.Done), schedule.Count(MoveStage.Moving), schedule.Count(MoveStage.Waiting)));
        Assert.Equal([2], Begin(schedule, 2));
        // Nothing that copies waits any more: what only changes the order need not wait either.
        Assert.Equal([3], Begin(schedule, 2));

        End(0, [1, 3]);
        End(2, [1, 3]);
        End(3, [2, 1]);
        Look(schedule);
        Assert.True(schedule.IsOver);
        Assert.Equal(4, schedule.Count(MoveStage.Done));
    }

    [Fact]
    public void A_plan_that_was_interrupted_is_gone_on_with()
    {
        var plan = Schedule((0, [1, 2], [1, 3]), (1, [1, 2], [3, 2]), (2, [1, 2], [1, 3]));
        End(0, [1, 3]);
        _partitions[P(1)] = new PartitionState(P(1), 1, [3, 2, 1]);
        _ongoing[P(1)] = new OngoingReassignment([3, 2, 1], [3], [1]);
        Look(plan);
        Assert.Equal([MoveStage.Done, MoveStage.Moving, MoveStage.Waiting], plan.Moves.Select(move => move.Stage));
        Assert.Equal([1, 2], plan.Moves[1].Sources.Order());
        Assert.Equal([3], plan.Moves[1].Destinations);
        Assert.Equal([3], plan.Moves[0].Destinations); // the file says where it was
    }

    [Fact]
    public void What_does_not_fit_the_plan_is_told()
    {
        var schedule = Schedule((0, [1, 2], [1, 3]), (1, [1, 2], [3, 2]), (2, [1, 2], [1, 3]));
        _partitions[P(0)] = new PartitionState(P(0), 1, [4, 2]);
        _partitions.Remove(P(1));
        _ongoing[P(2)] = new OngoingReassignment([4, 2, 1], [4], [1]);
        Look(schedule);
        Assert.Equal(
            [
                "its replicas are 4,2, and the plan was made for 1,2: make a new plan", "there is no such partition",
                "it is being moved to 4,2 already",
            ],
            schedule.Moves.Select(move => move.Problem));
        Assert.True(schedule.IsOver);
    }

    [Fact]
    public void A_file_that_does_not_say_where_replicas_were_fits_any()
    {
        var schedule = new MoveSchedule(new PlanFile([new PlanEntry(P(0), [1, 3], From: null)], []));
        _partitions[P(0)] = new PartitionState(P(0), 7, [7, 8]);
        Look(schedule);
        Assert.Equal(MoveStage.Waiting, schedule.Moves[0].Stage);
        Assert.Equal([1, 3], schedule.Moves[0].Destinations);
    }

    [Fact]
    public void A_broker_that_tells_of_the_old_replicas_for_a_while_ends_nothing_and_a_cancellation_does()
    {
        var schedule = Schedule((0, [1, 2], [1, 3]));
        Look(schedule);
        Begin(schedule, 1);
        Look(schedule);
        _ongoing.Clear();
        _partitions[P(0)] = new PartitionState(P(0), 1, [1, 2]);
        for (var look = 1; look < 15; look++)
        {
            Look(schedule);
            Assert.Equal(MoveStage.Moving, schedule.Moves[0].Stage);
        }

        Look(schedule);
        Assert.Equal(
            (MoveStage.Failed, "its reassignment was cancelled, or replaced by another: its replicas are 1,2"),
            (schedule.Moves[0].Stage, schedule.Moves[0].Problem));
    }

    private static TopicPartition P(int index) => new("t", index);

    private MoveSchedule Schedule(params (int Index, ImmutableArray<int> From, ImmutableArray<int> To)[] moves)
    {
        foreach (var (index, from, _) in moves)
            _partitions[P(index)] = new PartitionState(P(index), from[0], from);
        return new MoveSchedule(new PlanFile([.. moves.Select(move => new PlanEntry(P(move.Index), move.To, move.From))], []));
    }

    private void Look(MoveSchedule schedule) => schedule.Observe(_partitions.Values, _ongoing);

    private int[] Begin(MoveSchedule schedule, int parallelMax)
    {
        var begun = schedule.Next(parallelMax);
        foreach (var move in begun)
        {
            move.Stage = MoveStage.Moving;
            var (from, to) = (move.Sources, move.Entry.Replicas);
            _ongoing[move.Entry.Id] = new OngoingReassignment([.. to, .. from.Except(to)], [.. to.Except(from)], [.. from.Except(to)]);
        }

        return [.. begun.Select(move => move.Entry.Id.Partition)];
    }

    private void End(int index, ImmutableArray<int> replicas)
    {
        _ongoing.Remove(P(index));
        _partitions[P(index)] = new PartitionState(P(index), replicas[0], replicas);
    }
}
