using Ottla.Protocol;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Hosts;

/// <summary>What a <see cref="RaftHost"/> needs to know; the defaults are Kafka's.</summary>
public sealed record RaftHostOptions
{
    /// <summary>
    /// The log directory that holds <c>__cluster_metadata-0</c> (<c>metadata.log.dir</c>, or the first of <c>log.dirs</c>).
    /// </summary>
    public required string LogDirectory { get; init; }

    /// <summary>Who this replica is, and the quorum's timeouts.</summary>
    public required RaftOptions Raft { get; init; }

    /// <summary>
    /// <c>controller.quorum.voters</c>; empty for a dynamic quorum (KIP-853), whose voters are in the log and its snapshots.
    /// </summary>
    public VoterSet StaticVoters { get; init; } = VoterSet.Empty;

    /// <summary>Seed of the randomized timeouts.</summary>
    public ulong Seed { get; init; }

    /// <summary><c>metadata.log.segment.bytes</c>.</summary>
    public int SegmentBytes { get; init; } = 1024 * 1024 * 1024;

    /// <summary><c>metadata.log.segment.ms</c>.</summary>
    public long SegmentMs { get; init; } = 7L * 24 * 60 * 60 * 1000;

    /// <summary><c>metadata.max.retention.bytes</c>: log and snapshots together; -1 for no bound.</summary>
    public long RetentionBytesMax { get; init; } = 100 * 1024 * 1024;

    /// <summary><c>metadata.max.retention.ms</c>: older snapshots, and the log before the next one, are deleted; -1 keeps them.</summary>
    public long RetentionMs { get; init; } = 7L * 24 * 60 * 60 * 1000;

    /// <summary>
    /// <c>controller.quorum.append.linger.ms</c>: how long an append waits for others before all are written. Without it they gather only
    /// while the disk is at work, which costs no append any time.
    /// </summary>
    public int AppendLingerMs { get; init; }

    /// <summary>Encoded appends that may wait to be written; more are refused.</summary>
    public long PendingBytesMax { get; init; } = 64 * 1024 * 1024;
}

/// <summary>The metadata log refuses an append, or could not commit it.</summary>
/// <param name="errorCode">Kafka's error: NOT_CONTROLLER when another node leads.</param>
/// <param name="message">What is wrong.</param>
/// <param name="innerException">The failure underneath, if any.</param>
public sealed class MetadataLogException(ErrorCode errorCode, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>Kafka's error.</summary>
    public ErrorCode ErrorCode { get; } = errorCode;
}
