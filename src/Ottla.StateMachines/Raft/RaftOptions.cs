namespace Ottla.StateMachines.Raft;

/// <summary>Who a replica is, and the timeouts of the quorum; the defaults are Kafka's.</summary>
public sealed record RaftOptions
{
    /// <summary>This replica.</summary>
    public required ReplicaKey Local { get; init; }

    /// <summary>Where it listens for the quorum.</summary>
    public IReadOnlyList<RaftEndpoint> Endpoints { get; init; } = [];

    /// <summary><c>controller.quorum.election.timeout.ms</c>: the least time without a leader before an election; the most is twice this.</summary>
    public int ElectionTimeoutMs { get; init; } = 1000;

    /// <summary><c>controller.quorum.fetch.timeout.ms</c>: a follower that got no answer for this long wants to lead.</summary>
    public int FetchTimeoutMs { get; init; } = 2000;

    /// <summary><c>controller.quorum.election.backoff.max.ms</c>: the most that a follower waits after its leader resigned.</summary>
    public int ElectionBackoffMaxMs { get; init; } = 1000;

    /// <summary><c>controller.quorum.request.timeout.ms</c>: a request not answered for this long is given up.</summary>
    public int RequestTimeoutMs { get; init; } = 2000;

    /// <summary><c>controller.quorum.retry.backoff.ms</c>: the wait after an error.</summary>
    public int RetryBackoffMs { get; init; } = 20;

    /// <summary>How long a leader may hold a fetch without news (Kafka's constant).</summary>
    public int FetchMaxWaitMs { get; init; } = 500;
}
