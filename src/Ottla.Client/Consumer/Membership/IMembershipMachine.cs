using Ottla.Client.Consumers.Assignors;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Consumers.Membership;

/// <summary>What a member is called by its group and how it behaves.</summary>
internal sealed record MembershipSettings
{
    /// <summary>The group.</summary>
    public required string GroupId { get; init; }

    /// <summary>The instance id of a static member (KIP-345); null for a dynamic one.</summary>
    public string? InstanceId { get; init; }

    /// <summary>The rack; null for none.</summary>
    public string? Rack { get; init; }

    /// <summary>After how many ms without a heartbeat the coordinator takes a member of a classic group for dead.</summary>
    public int SessionTimeoutMs { get; init; } = 45_000;

    /// <summary>The ms between heartbeats of a member of a classic group; in the other protocol the coordinator says it.</summary>
    public int HeartbeatIntervalMs { get; init; } = 3_000;

    /// <summary>The most ms between two polls, which is also the time to give partitions up in.</summary>
    public int PollIntervalMaxMs { get; init; } = 300_000;

    /// <summary>The ms between attempts.</summary>
    public int RetryBackoffMs { get; init; } = 100;

    /// <summary>The assignors of a classic group, the preferred one first.</summary>
    public IReadOnlyList<IConsumerAssignor> Assignors { get; init; } = [new RangeAssignor(), new CooperativeStickyAssignor()];

    /// <summary>The assignor of the coordinator; null for the group's.</summary>
    public string? ServerAssignor { get; init; }
}

/// <summary>What a member subscribes to.</summary>
/// <param name="Topics">The topics.</param>
/// <param name="Regex">A regular expression that the coordinator resolves (RE2/J), besides the topics; null for none.</param>
internal sealed record GroupSubscription(IReadOnlySet<string> Topics, string? Regex = null)
{
    /// <summary>Whether it names the same.</summary>
    public bool Equals(GroupSubscription? other) => other is not null && Regex == other.Regex && Topics.SetEquals(other.Topics);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Topics.Count, Regex);
}

/// <summary>What a machine wants done by its host.</summary>
internal abstract record MembershipAction
{
    /// <summary>Find the group's coordinator anew, and say so to <see cref="IMembershipMachine.OnCoordinatorFound"/>.</summary>
    public sealed record FindCoordinator : MembershipAction;

    /// <summary>Send a request to the coordinator, and hand its answer or failure over.</summary>
    /// <param name="Request">The request.</param>
    /// <param name="Attempt">Comes back with the answer; an answer to an older attempt is ignored.</param>
    /// <param name="TimeoutMs">How long it may take; null for the usual time.</param>
    public sealed record Send(IMessage Request, int Attempt, int? TimeoutMs = null) : MembershipAction;

    /// <summary>
    /// Commit what is to be committed, call the application back, and then take the partitions away. Say so to
    /// <see cref="IMembershipMachine.OnCallbackDone"/>.
    /// </summary>
    /// <param name="Partitions">The partitions.</param>
    public sealed record Revoke(IReadOnlyList<TopicPartition> Partitions) : MembershipAction;

    /// <summary>As <see cref="Revoke"/>, but others may have the partitions already: nothing can be committed.</summary>
    /// <param name="Partitions">The partitions.</param>
    public sealed record Lose(IReadOnlyList<TopicPartition> Partitions) : MembershipAction;

    /// <summary>Assign partitions and call the application back. Say so to <see cref="IMembershipMachine.OnCallbackDone"/>.</summary>
    /// <param name="All">All that the member has from now on.</param>
    /// <param name="Added">Those that are new.</param>
    public sealed record Assign(IReadOnlyList<TopicPartition> All, IReadOnlyList<TopicPartition> Added) : MembershipAction;

    /// <summary>Learn about topics, and hand them over to <see cref="IMembershipMachine.OnTopics"/>.</summary>
    /// <param name="Names">The names; empty when only ids are known.</param>
    /// <param name="Ids">The ids of topics whose names are unknown.</param>
    public sealed record LearnTopics(IReadOnlySet<string> Names, IReadOnlySet<Uuid> Ids) : MembershipAction;

    /// <summary>Tell the application that it cannot go on like this.</summary>
    /// <param name="Error">What happened.</param>
    public sealed record Fail(KafkaException Error) : MembershipAction;
}

/// <summary>What is known of topics, as far as assignments need it. Immutable.</summary>
/// <param name="Topics">The topics by name.</param>
/// <param name="Names">Their names by id.</param>
/// <param name="IsFresh">Whether it was asked for after the last <see cref="MembershipAction.LearnTopics"/>.</param>
internal sealed record TopicKnowledge(
    IReadOnlyDictionary<string, AssignorTopic> Topics, IReadOnlyDictionary<Uuid, string> Names, bool IsFresh);

/// <summary>Identifies a member towards coordinators: in commits, and for transactions.</summary>
/// <param name="GroupId">The group.</param>
/// <param name="GenerationOrEpoch">The generation of a classic group or the epoch of the member; -1 outside of a group.</param>
/// <param name="MemberId">The member; empty outside of a group.</param>
/// <param name="InstanceId">The instance id of a static member.</param>
internal sealed record MemberIdentity(string GroupId, int GenerationOrEpoch, string MemberId, string? InstanceId);

/// <summary>
/// The life of one member of one group, as a function of what happens: no clock, socket or lock. The host calls <see cref="Advance"/> after
/// every other call and at <see cref="NextDeadline"/>, and carries the actions out.
/// </summary>
/// <remarks>
/// One action that calls the application back is under way at a time. Inputs that do not fit any more, such as the answer to a request from
/// before a fencing, change nothing.
/// </remarks>
internal interface IMembershipMachine
{
    /// <summary>How the coordinator knows the member now.</summary>
    MemberIdentity Identity { get; }

    /// <summary>Whether the member is in the group, and no rebalance is under way that it knows of.</summary>
    bool IsStable { get; }

    /// <summary>Whether the machine has something for the application that it may only be told while it polls.</summary>
    bool WaitsForPoll { get; }

    /// <summary>Whether the member has left, or a failure ended its membership.</summary>
    bool IsOver { get; }

    /// <summary>When <see cref="Advance"/> has something to do if nothing else happens; null for never.</summary>
    Instant? NextDeadline { get; }

    /// <summary>Does what is due.</summary>
    /// <param name="now">The time.</param>
    /// <param name="actions">Receives what the host has to do.</param>
    void Advance(Instant now, List<MembershipAction> actions);

    /// <summary>The application subscribes, from now on, to something else.</summary>
    void OnSubscription(GroupSubscription subscription);

    /// <summary>The topics of the cluster have changed, or were asked for.</summary>
    void OnTopics(TopicKnowledge topics);

    /// <summary>The application waits for records; time does not count against it until it has some.</summary>
    void OnPollBegun(Instant now);

    /// <summary>The application has records to work on.</summary>
    void OnPollEnded(Instant now);

    /// <summary>The coordinator is known.</summary>
    void OnCoordinatorFound(Instant now);

    /// <summary>There is no coordinator for this client.</summary>
    void OnCoordinatorRefused(Instant now, KafkaException failure);

    /// <summary>
    /// Somebody else found that the coordinator is another one, or that it does not know the member by its identity any more.
    /// </summary>
    void OnCommitRefused(Instant now, MemberIdentity identity, ErrorCode error);

    /// <summary>A request was answered.</summary>
    void OnAnswer(Instant now, int attempt, IMessage answer);

    /// <summary>A request got no answer.</summary>
    void OnRequestFailed(Instant now, int attempt, KafkaException failure);

    /// <summary>The application has been called back.</summary>
    void OnCallbackDone(Instant now);

    /// <summary>The application wants to leave: its partitions are given up, and then the group is told.</summary>
    /// <param name="tellGroup">
    /// Whether the group is told, so that others get the partitions at once; null for the default: a static member of a classic group does
    /// not tell, since it may come back within its session time-out.
    /// </param>
    void OnLeave(bool? tellGroup);
}
