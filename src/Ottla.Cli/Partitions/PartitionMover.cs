using System.Collections.Immutable;
using Ottla.Cli.KafkaTools;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.Partitions;

/// <summary>How a plan is carried out.</summary>
/// <param name="ThrottleBytesPerSecond">What each broker sends and receives at most; null for no bound.</param>
/// <param name="ParallelMax">How many partitions are copied at a time.</param>
/// <param name="KeepsThrottle">Whether throttles stay at the end.</param>
internal sealed record MoveOptions(long? ThrottleBytesPerSecond, int ParallelMax, bool KeepsThrottle);

/// <summary>
/// Carries out a plan: sets the throttle, begins reassignments as others end, tells how far it is, elects the preferred leaders, and
/// removes the throttle. Used by one command.
/// </summary>
/// <remarks>
/// All state is in the cluster. A run that is interrupted leaves what has begun under way, with its throttle, and the next one goes on.
/// </remarks>
internal sealed class PartitionMover(IAdmin admin, TextWriter output, TimeProvider time)
{
    private static readonly TimeSpan PollInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ReportInterval = TimeSpan.FromSeconds(5);

    /// <summary>So long without a byte or a partition more, and it is said for whom the rest may wait.</summary>
    private static readonly TimeSpan StallTime = TimeSpan.FromSeconds(60);

    private readonly ClusterReader _reader = new(admin, time);
    private readonly Reassigner _reassigner = new(admin);
    private readonly ReplicationThrottle _throttle = new(admin);
    private readonly CopyProgress _progress = new(new ClusterReader(admin, time), time);

    private IReadOnlyList<BrokerState> _brokers = [];
    private CopyProgress.State? _lastState;
    private int _lastDone;
    private long _lastChangeAt;

    /// <summary>Carries out a plan.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="options">How.</param>
    /// <param name="stop">Ends it early; what is under way goes on in the cluster.</param>
    /// <returns>Whether everything is where the plan wants it.</returns>
    /// <exception cref="ToolException">The plan does not fit the cluster, or the cluster does not answer.</exception>
    public async Task<bool> MoveAsync(PlanFile plan, MoveOptions options, CancellationToken stop)
    {
        if (plan.NamesDirectories)
            output.WriteLine("The plan names log directories. They are passed over: brokers choose the directory of a new replica.");
        var schedule = new MoveSchedule(plan);
        _brokers = await _reader.BrokersAsync();
        var ongoing = await LookAsync(schedule);
        CheckFits(schedule);
        var others = ongoing.Where(each => !schedule.Has(each.Key)).ToList();
        if (options.ThrottleBytesPerSecond is { } rate && !schedule.IsOver)
            await SetThrottleAsync(schedule, others, rate);
        output.WriteLine(Summary(schedule));
        try
        {
            await MoveAllAsync(schedule, options, stop);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            output.WriteLine(
                $"Stopped. {schedule.Count(MoveStage.Moving)} partitions are still being moved"
                + (options.ThrottleBytesPerSecond is null ? "" : ", under the throttle")
                + ": the same command goes on, 'ottla partition cancel' with the same plan takes back what is not done.");
            return false;
        }

        await ElectAsync(plan, schedule);
        if (!options.KeepsThrottle)
            await ClearThrottleAsync(schedule, others.Select(other => other.Key.Topic));
        return Report(schedule);
    }

    private async Task<IReadOnlyDictionary<TopicPartition, OngoingReassignment>> LookAsync(MoveSchedule schedule)
    {
        // In this order: what is not under way any more may be told of as done, but not the other way round.
        var ongoing = await _reader.OngoingAsync();
        schedule.Observe(await _reader.PartitionsAsync(schedule.Moves.Select(move => move.Entry.Id.Topic)), ongoing);
        return ongoing;
    }

    /// <summary>Nothing is begun of a plan that does not fit.</summary>
    private void CheckFits(MoveSchedule schedule)
    {
        var alive = _brokers.Where(broker => !broker.IsFenced).Select(broker => broker.Id).ToHashSet();
        foreach (var move in schedule.Moves.Where(move => move.Stage == MoveStage.Waiting))
        {
            foreach (var id in move.Destinations.Where(id => !alive.Contains(id)))
            {
                throw new ToolException(
                    $"{move.Entry.Id} cannot go to broker {id}, which {(Knows(id) ? "is fenced" : "is not in the cluster")}.");
            }
        }

        var failed = schedule.Moves.Where(move => move.Stage == MoveStage.Failed).ToList();
        if (failed.Count > 0)
        {
            var more = failed.Count > 1 ? $" The like holds for {failed.Count - 1} more." : "";
            throw new ToolException($"The plan does not fit the cluster. {failed[0].Entry.Id}: {failed[0].Problem}.{more}");
        }
    }

    private bool Knows(int id) => _brokers.Any(broker => broker.Id == id);

    private async Task SetThrottleAsync(
        MoveSchedule schedule, IReadOnlyCollection<KeyValuePair<TopicPartition, OngoingReassignment>> others, long rate)
    {
        List<(TopicPartition Partition, IEnumerable<int> Sources, IEnumerable<int> Destinations)> moves =
        [
            .. schedule.Moves.Where(move => move.Stage is MoveStage.Waiting or MoveStage.Moving && move.Copies)
                .Select(move => (move.Entry.Id, (IEnumerable<int>)move.Sources, move.Destinations)),
            .. others.Select(other => (other.Key, other.Value.Replicas.Except(other.Value.Adding), other.Value.Adding.AsEnumerable())),
        ];
        var involved = moves.SelectMany(move => move.Sources.Concat(move.Destinations)).ToHashSet();
        List<BrokerState> brokers = [.. _brokers.Where(broker => !broker.IsFenced && involved.Contains(broker.Id))];
        if (brokers.Count == 0)
            return;
        await _throttle.SetAsync(moves, brokers, rate);
        output.WriteLine($"The brokers {Ids(brokers)} copy at most {ByteText.Of(rate)}/s each, in each direction.");
    }

    private async Task MoveAllAsync(MoveSchedule schedule, MoveOptions options, CancellationToken stop)
    {
        var reportedAt = time.GetTimestamp();
        _lastChangeAt = reportedAt;
        while (!schedule.IsOver)
        {
            stop.ThrowIfCancellationRequested();
            await BeginAsync(schedule, options.ParallelMax);
            await Task.Delay(PollInterval, time, stop);
            await LookAsync(schedule).UntilCanceled(stop);
            if (time.GetElapsedTime(reportedAt) < ReportInterval && !schedule.IsOver)
                continue;
            reportedAt = time.GetTimestamp();
            _brokers = await _reader.BrokersAsync().UntilCanceled(stop);
            var state = await _progress.LookAsync(schedule.Moves, _brokers).UntilCanceled(stop);
            output.WriteLine(_progress.Text(schedule, state));
            WarnWhenStalled(schedule, state);
        }
    }

    private async Task BeginAsync(MoveSchedule schedule, int parallelMax)
    {
        var next = schedule.Next(parallelMax);
        if (next.Count == 0)
            return;
        var refused = await _reassigner.AlterAsync(next.Select(move => (move.Entry.Id, (ImmutableArray<int>?)move.Entry.Replicas)));
        foreach (var move in next)
        {
            if (refused.TryGetValue(move.Entry.Id, out var problem))
                (move.Stage, move.Problem) = (MoveStage.Failed, problem);
            else
                move.Stage = MoveStage.Moving;
        }
    }

    private void WarnWhenStalled(MoveSchedule schedule, CopyProgress.State state)
    {
        var done = schedule.Count(MoveStage.Done);
        if (done != _lastDone || state.Copied != _lastState?.Copied)
        {
            (_lastDone, _lastState, _lastChangeAt) = (done, state, time.GetTimestamp());
            return;
        }

        if (time.GetElapsedTime(_lastChangeAt) < StallTime)
            return;
        _lastChangeAt = time.GetTimestamp();
        var moving = schedule.Moves.Where(move => move.Stage == MoveStage.Moving).ToList();
        var fenced = _brokers.Where(broker => broker.IsFenced).Select(broker => broker.Id)
            .Intersect(moving.SelectMany(move => move.Entry.Replicas)).Order().ToList();
        output.WriteLine(
            $"Nothing was copied for {StallTime.TotalSeconds} s. {Reassigner.Names([.. moving.Select(move => move.Entry.Id)])} wait"
            + (fenced.Count > 0
                ? $" for the brokers {string.Join(", ", fenced)}, which are fenced."
                : " for their new replicas to catch up."));
    }

    private async Task ElectAsync(PlanFile plan, MoveSchedule schedule)
    {
        var preferred = schedule.Moves.Where(move => move.Stage == MoveStage.Done).Select(move => move.Entry.Id)
            .Concat(plan.Elections).ToHashSet();
        if (preferred.Count == 0)
            return;
        var partitions = await _reader.PartitionsAsync(preferred.Select(partition => partition.Topic));
        List<TopicPartition> others =
        [
            .. from partition in partitions
               where preferred.Contains(partition.Id) && partition.Leader != partition.Replicas[0]
               select partition.Id,
        ];
        var refused = await _reassigner.ElectPreferredAsync(others);
        if (others.Count > refused.Count)
            output.WriteLine($"{others.Count - refused.Count} partitions are led by their preferred replica again.");
        if (refused.Count > 0)
            output.WriteLine($"The preferred replica cannot lead {Reassigner.Names([.. refused.Keys])}: {refused.Values.First()}.");
    }

    private async Task ClearThrottleAsync(MoveSchedule schedule, IEnumerable<string> otherTopics)
    {
        var state = await _throttle.FindAsync(_brokers, schedule.Moves.Select(move => move.Entry.Id.Topic).Concat(otherTopics));
        if (state.IsNone)
            return;
        var others = (await _reader.OngoingAsync()).Keys.Where(partition => !schedule.Has(partition)).ToList();
        if (others.Count > 0)
        {
            output.WriteLine(
                $"The throttle stays, because other partitions are still being moved: {Reassigner.Names(others)}. "
                + "'ottla partition cancel --all' removes it, and takes them back.");
            return;
        }

        await _throttle.ClearAsync(state);
        output.WriteLine("The throttle is removed.");
    }

    private bool Report(MoveSchedule schedule)
    {
        var failed = schedule.Moves.Where(move => move.Stage == MoveStage.Failed).ToList();
        foreach (var move in failed)
            output.WriteLine($"{move.Entry.Id} was not moved: {move.Problem}.");
        output.WriteLine(failed.Count == 0
            ? $"All {schedule.Moves.Count} partitions are where the plan wants them."
            : $"{schedule.Count(MoveStage.Done)} of {schedule.Moves.Count} partitions are where the plan wants them.");
        return failed.Count == 0;
    }

    private static string Summary(MoveSchedule schedule) =>
        $"{schedule.Moves.Count} partitions: {schedule.Count(MoveStage.Done)} are done, {schedule.Count(MoveStage.Moving)} are moving, "
        + $"{schedule.Count(MoveStage.Waiting)} are to be moved.";

    private static string Ids(IEnumerable<BrokerState> brokers) => string.Join(", ", brokers.Select(broker => broker.Id));
}
