using Ottla.Kernel;

namespace Ottla.StateMachines.Raft;

/// <summary>
/// The history of the voter set and <c>kraft.version</c>: each value with the offset of the record that set it. A truncation reverts to
/// older values, and a snapshot stores the values at its end.
/// </summary>
/// <remarks>Immutable: any thread may read it. In Raft a voter set takes effect when it is appended, before it is committed.</remarks>
public sealed class QuorumHistory
{
    /// <summary>
    /// The offset of values that no record of the log set: they come from the static configuration or the bootstrap snapshot.
    /// </summary>
    public const long BeforeLog = -1;

    private readonly (long Offset, VoterSet Voters)[] _voters;
    private readonly (long Offset, short Version)[] _versions;

    private QuorumHistory((long Offset, VoterSet Voters)[] voters, (long Offset, short Version)[] versions)
    {
        _voters = voters;
        _versions = versions;
    }

    /// <summary>
    /// Starts with the static voters (<c>controller.quorum.voters</c>; empty for a dynamic quorum) and <c>kraft.version</c> 0.
    /// </summary>
    public static QuorumHistory Begin(VoterSet staticVoters) => new([(BeforeLog, staticVoters)], [(BeforeLog, 0)]);

    /// <summary>The current voters.</summary>
    public VoterSet Voters => _voters[^1].Voters;

    /// <summary>The offset of the record that set the current voters; <see cref="BeforeLog"/> when no record did.</summary>
    public long VotersOffset => _voters[^1].Offset;

    /// <summary>The current <c>kraft.version</c>.</summary>
    public short KRaftVersion => _versions[^1].Version;

    /// <summary>The voters at the end of a log that ends at <paramref name="endOffset"/>.</summary>
    public VoterSet VotersAt(long endOffset) => At(_voters, endOffset);

    /// <summary>Whether a replica is a voter at <paramref name="endOffset"/>, or by any record from there on.</summary>
    public bool IsVoterFrom(long endOffset, ReplicaKey replica) =>
        Array.Exists(_voters[IndexAt(_voters, endOffset)..], entry => entry.Voters.Contains(replica));

    /// <summary>The <c>kraft.version</c> at the end of a log that ends at <paramref name="endOffset"/>.</summary>
    public short KRaftVersionAt(long endOffset) => At(_versions, endOffset);

    /// <summary>Returns the history after a record at <paramref name="offset"/> that sets the voters.</summary>
    public QuorumHistory WithVoters(long offset, VoterSet voters) => new(Add(_voters, offset, voters), _versions);

    /// <summary>Returns the history after a record at <paramref name="offset"/> that sets <c>kraft.version</c>.</summary>
    public QuorumHistory WithKRaftVersion(long offset, short version) => new(_voters, Add(_versions, offset, version));

    /// <summary>Returns the history of the log truncated to <paramref name="endOffset"/>.</summary>
    public QuorumHistory TruncatedTo(long endOffset) =>
        new(Truncate(_voters, endOffset), Truncate(_versions, endOffset));

    /// <summary>
    /// Returns the history without the values before <paramref name="startOffset"/>, except for the last one, which is in force there.
    /// </summary>
    public QuorumHistory TrimmedTo(long startOffset) => new(Trim(_voters, startOffset), Trim(_versions, startOffset));

    private static (long, T)[] Add<T>((long Offset, T Value)[] entries, long offset, T value)
    {
        Invariant.Check(offset >= entries[^1].Offset, "entries are added in offset order");
        return entries[^1].Offset == offset ? [.. entries[..^1], (offset, value)] : [.. entries, (offset, value)];
    }

    private static (long, T)[] Truncate<T>((long Offset, T Value)[] entries, long endOffset) =>
        entries[..(IndexAt(entries, endOffset) + 1)];

    private static T At<T>((long Offset, T Value)[] entries, long endOffset) => entries[IndexAt(entries, endOffset)].Value;

    private static (long, T)[] Trim<T>((long Offset, T Value)[] entries, long startOffset) => entries[IndexAt(entries, startOffset)..];

    /// <summary>The entry that is in force at the end of a log.</summary>
    private static int IndexAt<T>((long Offset, T Value)[] entries, long endOffset) =>
        Math.Max(0, Array.FindLastIndex(entries, entry => entry.Offset < endOffset));
}
