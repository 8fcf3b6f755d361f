using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>
/// What the active controller does by itself: it looks for silent brokers, writes no-op records, elects leaders, and removes delegation
/// tokens that have ended.
/// </summary>
/// <remarks>
/// The loop of the active controller owns it. Each duty is due a while after it was done. One that may have more to do is due again almost
/// at once, so that commands come in between.
/// </remarks>
internal sealed class PeriodicWork
{
    /// <summary>The most elections of one run, so that a large cluster does not move all its leaders in one batch.</summary>
    private const int ElectionsPerRunMax = 1_000;

    /// <summary>How soon a duty that has more to do is done again.</summary>
    private const int AgainMs = 10;

    private readonly QuorumController _controller;
    private readonly List<Duty> _duties = [];
    private readonly Duty _fencing;
    private bool _isActive;

    public PeriodicWork(QuorumController controller)
    {
        _controller = controller;
        var config = controller.Settings.Config;
        _fencing = Add(Math.Max(1, config.BrokerSessionTimeoutMs), FenceSilentBroker);
        if (config.MetadataMaxIdleIntervalMs > 0)
            Add(config.MetadataMaxIdleIntervalMs, WriteNoOp);
        if (config.AutoLeaderRebalanceEnable)
            Add(config.LeaderImbalanceCheckIntervalSeconds * 1000L, ElectPreferredLeaders);
        Add(config.UncleanLeaderElectionIntervalMs, ElectUncleanLeaders);
        if (controller.Tokens.IsEnabled)
            Add(config.DelegationTokenExpiryCheckIntervalMs, RemoveEndedTokens);
    }

    private delegate Outcome Work(in ControllerState state);

    /// <summary>When the next duty is due; null while the controller is not active.</summary>
    public Instant? NextDeadline => _isActive ? _duties.MinBy(duty => duty.DueAt)!.DueAt : null;

    /// <summary>The controller became active: every duty waits for its interval, and no session is over before that.</summary>
    public void Begin(Instant now)
    {
        _isActive = true;
        foreach (var duty in _duties)
            duty.DueAt = now.AddMilliseconds(duty.IntervalMs);
    }

    /// <summary>The session of a broker is over: it is fenced now, and not when it is next looked for.</summary>
    public void FenceAt(Instant now) => _fencing.DueAt = now < _fencing.DueAt ? now : _fencing.DueAt;

    /// <summary>The controller is not active any more.</summary>
    public void End() => _isActive = false;

    /// <summary>Does the duty that is due for longest; nothing when none is.</summary>
    /// <returns>The records, and what is to be told of them.</returns>
    public Decision<MetadataRecord, string?> OnDeadline(in ControllerState state)
    {
        if (!_isActive || _duties.MinBy(duty => duty.DueAt) is not { } due || due.DueAt > state.Now)
            return new([], null, false);

        // First: a duty that fails must not be due for ever.
        due.DueAt = state.Now.AddMilliseconds(due.IntervalMs);
        var outcome = due.Work(state);
        if (outcome.HasMore)
            due.DueAt = state.Now.AddMilliseconds(Math.Min(AgainMs, due.IntervalMs));
        return outcome.Decision;
    }

    private Duty Add(long intervalMs, Work work)
    {
        var duty = new Duty(intervalMs, work);
        _duties.Add(duty);
        return duty;
    }

    /// <remarks>Kafka looks eight times in a session. When the next one may be over is known, and heartbeats only put it off.</remarks>
    private Outcome FenceSilentBroker(in ControllerState state)
    {
        if (_controller.Heartbeats.FenceSilentBroker(state) is { } fencing)
            return new(fencing, true);
        _fencing.DueAt = _controller.Sessions.NextExpiration(state.Now);
        return new(new([], null, false), false);
    }

    private static Outcome WriteNoOp(in ControllerState state) =>
        new(new([new MetadataRecord(new Protocol.Messages.NoOpRecord(), 0)], null, false), false);

    private static Outcome RemoveEndedTokens(in ControllerState state)
    {
        var (records, hasMore) = TokenDecisions.Sweep(state);
        var told = records.Count == 0 ? null : $"{records.Count} delegation tokens have ended and were removed";
        return new(new(records, told, false), hasMore);
    }

    private Outcome ElectPreferredLeaders(in ControllerState state) => Elect(
        state, "back to their preferred replicas", Election.Preferred, (partition, _) => partition.Leader != partition.PreferredLeader);

    private Outcome ElectUncleanLeaders(in ControllerState state) => Elect(
        state,
        "to replicas that may lack records, as nobody else could lead and unclean.leader.election.enable allows it",
        Election.Unclean,
        (partition, rules) => partition.Leader == PartitionRegistration.NoLeader && rules().AllowsUncleanElection);

    private Outcome Elect(
        in ControllerState state, string how, Election election,
        Func<PartitionRegistration, Func<PartitionDecisions.TopicRules>, bool> needs)
    {
        var image = state.Image;
        var draft = new PartitionDraft(_controller, image, isBounded: false);
        foreach (var topic in image.Topics.ById.Values)
        {
            for (var index = 0; index < topic.Partitions.Length; index++)
            {
                if (!needs(topic.Partitions[index], () => draft.RulesOf(topic)))
                    continue;
                draft.TryAdd(draft.Begin(topic, topic.Partitions[index], index) with { Election = election });
                if (draft.Records.Count >= ElectionsPerRunMax)
                    return new(new(draft.Records, DescribeMoves(draft.Records.Count, how), false), true);
            }
        }

        return new(new(draft.Records, DescribeMoves(draft.Records.Count, how), false), false);
    }

    private static string? DescribeMoves(int count, string how) =>
        count == 0 ? null : $"The leadership of {count} partitions was moved {how}";

    private readonly record struct Outcome(Decision<MetadataRecord, string?> Decision, bool HasMore);

    private sealed class Duty(long intervalMs, Work work)
    {
        public long IntervalMs => intervalMs;

        public Work Work => work;

        public Instant DueAt { get; set; }
    }
}
