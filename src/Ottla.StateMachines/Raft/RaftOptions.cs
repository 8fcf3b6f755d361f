namespace Ottla.StateMachines.Raft;

/// <summary>The identity of a replica and the timeouts of its quorum. The defaults are Kafka's.</summary>
public sealed record RaftOptions
{
    /// <summary>This replica.</summary>
    public required ReplicaKey Local { get; init; }

    /// <summary>The endpoints of this replica's quorum listeners.</summary>
    public IReadOnlyList<RaftEndpoint> Endpoints { get; init; } = [];

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

    /// <summary>How long a leader may delay a fetch response while there are no new records (Kafka's constant).</summary>
    public int FetchMaxWaitMs { get; init; } = 500;
}
