namespace Ottla.StateMachines.Raft;

/// <summary>What a voter must not forget: the content of <c>quorum-state</c>.</summary>
/// <param name="Epoch">The quorum epoch.</param>
/// <param name="LeaderId">Its leader; -1 when none is known.</param>
/// <param name="Voted">Whom this replica voted for in it.</param>
public readonly record struct ElectionState(int Epoch, int LeaderId, ReplicaKey? Voted)
{
    /// <summary>A replica that never took part.</summary>
    public static readonly ElectionState None = new(0, -1, null);
}

/// <summary>A control record in the log that changes the quorum itself.</summary>
/// <param name="Offset">The record's offset.</param>
/// <param name="Voters">The voters from here on, if it is a voters record.</param>
/// <param name="KRaftVersion">The <c>kraft.version</c> from here on, if it is a version record.</param>
public readonly record struct QuorumChange(long Offset, VoterSet? Voters, short? KRaftVersion);

/// <summary>A batch that is now in the log.</summary>
/// <param name="BaseOffset">The offset of its first record.</param>
/// <param name="EndOffset">The offset after its last record.</param>
/// <param name="Epoch">The epoch it was written in.</param>
/// <param name="Changes">The quorum changes in it, in order.</param>
public readonly record struct AppendedBatch(long BaseOffset, long EndOffset, int Epoch, IReadOnlyList<QuorumChange> Changes);

/// <summary>What happens to a <see cref="RaftMachine"/>.</summary>
public abstract record RaftEvent
{
    private RaftEvent()
    {
    }

    /// <summary>The first event: what was found on disk. The machine owns <paramref name="Log"/> from now on.</summary>
    public sealed record Started(ElectionState Election, RaftLogShape Log, QuorumHistory History) : RaftEvent;

    /// <summary>A replica asks; the answer names <paramref name="RequestId"/>.</summary>
    public sealed record RequestReceived(long RequestId, RaftRequest Request) : RaftEvent;

    /// <summary>A replica answered the request <paramref name="CorrelationId"/>; late and repeated answers are ignored.</summary>
    public sealed record ResponseReceived(long CorrelationId, RaftResponse Response) : RaftEvent;

    /// <summary>The request <paramref name="CorrelationId"/> will get no answer: the connection failed.</summary>
    public sealed record RequestFailed(long CorrelationId) : RaftEvent;

    /// <summary>Batches were appended: this leader's own, or fetched ones (none when what was fetched could not be used).</summary>
    public sealed record Appended(IReadOnlyList<AppendedBatch> Batches) : RaftEvent;

    /// <summary>The log before <paramref name="EndOffset"/> is on disk.</summary>
    public sealed record Flushed(long EndOffset) : RaftEvent;

    /// <summary>This replica wrote a snapshot, and deleted what it made superfluous.</summary>
    public sealed record SnapshotWritten(LogPosition Earliest, LogPosition Latest, long LogStartOffset) : RaftEvent;

    /// <summary>The snapshot that <see cref="RaftEffects.FetchSnapshot"/> asked for took the place of the log.</summary>
    public sealed record SnapshotInstalled(LogPosition Id, QuorumHistory History) : RaftEvent;

    /// <summary>The snapshot could not be fetched: fetch again.</summary>
    public sealed record SnapshotFailed : RaftEvent;

    /// <summary>Time passed: <see cref="RaftMachine.NextDeadline"/> is due (or not; it does no harm).</summary>
    public sealed record Timer : RaftEvent;

    /// <summary>The node stops: a leader hands over. Done when <see cref="RaftMachine.IsShutdownComplete"/>.</summary>
    public sealed record Shutdown : RaftEvent;
}
