namespace Ottla.StateMachines.Raft;

/// <summary>The identity of a replica and the timeouts of its quorum. The defaults are Kafka's.</summary>
public sealed record RaftOptions
{
    /// <summary>This replica.</summary>
    public required ReplicaKey Local { get; init; }

    /// <summary>The endpoints of this replica's controller listeners; empty for a broker.</summary>
    public IReadOnlyList<RaftEndpoint> Endpoints { get; init; } = [];

    /// <summary>The first of <c>controller.listener.names</c>: the listener that voters are reached on.</summary>
    public string ListenerName { get; init; } = "CONTROLLER";

    /// <summary>Whether <c>process.roles</c> has <c>controller</c>. A broker alone is always an observer.</summary>
    public bool CanBecomeVoter { get; init; } = true;

    /// <summary>
    /// <c>controller.quorum.bootstrap.servers</c>, made with <see cref="RaftNode.Bootstrap"/>: where a replica asks for the leader while
    /// it knows none.
    /// </summary>
    public IReadOnlyList<RaftNode> BootstrapServers { get; init; } = [];

    /// <summary><c>controller.quorum.auto.join.enable</c>: a controller that is no voter asks the leader to make it one.</summary>
    public bool AutoJoin { get; init; }

    /// <summary>
    /// <c>controller.quorum.election.timeout.ms</c>: the shortest time without a leader before an election; the longest is twice this.
    /// </summary>
    public int ElectionTimeoutMs { get; init; } = 1000;

    /// <summary><c>controller.quorum.fetch.timeout.ms</c>: a follower without a response for this long starts an election.</summary>
    public int FetchTimeoutMs { get; init; } = 2000;

    /// <summary><c>controller.quorum.election.backoff.max.ms</c>: the longest that a follower waits after its leader resigned.</summary>
    public int ElectionBackoffMaxMs { get; init; } = 1000;

    /// <summary><c>controller.quorum.request.timeout.ms</c>: a request without a response for this long fails.</summary>
    public int RequestTimeoutMs { get; init; } = 2000;

    /// <summary><c>controller.quorum.retry.backoff.ms</c>: the wait after an error.</summary>
    public int RetryBackoffMs { get; init; } = 20;

    /// <summary><c>controller.quorum.fetch.max.bytes</c>: how many bytes of records a fetch asks for, and a leader gives.</summary>
    public int FetchBytesMax { get; init; } = 1024 * 1024;

    /// <summary><c>controller.quorum.fetch.snapshot.max.bytes</c>: the longest piece of a snapshot that is asked for and given.</summary>
    public int FetchSnapshotBytesMax { get; init; } = 1024 * 1024;

    /// <summary>How long a leader may delay a fetch response while there are no new records (Kafka's constant).</summary>
    public int FetchMaxWaitMs { get; init; } = 500;

    /// <summary>How long a leader that stops waits for its successor (Kafka's constant).</summary>
    public int ShutdownTimeoutMs { get; init; } = 5000;
}
