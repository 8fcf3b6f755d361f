using Ottla.Kernel;

namespace Ottla.StateMachines.Raft;

/// <summary>The voter set and <c>kraft.version</c> by the offset that set them, so that a truncation reverts them and a snapshot names those of its end.</summary>
/// <remarks>Immutable: readable from any thread. In Raft a voter set counts from the moment it is in the log, committed or not.</remarks>
public sealed class QuorumHistory
{
    /// <summary>The offset of what no record of the log set: the static configuration or the bootstrap snapshot.</summary>
    public const long BeforeLog = -1;

    private readonly (long Offset, VoterSet Voters)[] _voters;
    private readonly (long Offset, short Version)[] _versions;

    private QuorumHistory((long Offset, VoterSet Voters)[] voters, (long Offset, short Version)[] versions)
    {
        _voters = voters;
        _versions = versions;
    }

    /// <summary>Begins with the static voters (<c>controller.quorum.voters</c>; empty for a dynamic quorum) and <c>kraft.version</c> 0.</summary>
    public static QuorumHistory Begin(VoterSet staticVoters) => new([(BeforeLog, staticVoters)], [(BeforeLog, 0)]);

    /// <summary>The voters in force.</summary>
    public VoterSet Voters => _voters[^1].Voters;

    /// <summary>The offset of the record that set them; <see cref="BeforeLog"/> when none did.</summary>
    public long VotersOffset => _voters[^1].Offset;

    /// <summary>The <c>kraft.version</c> in force.</summary>
    public short KRaftVersion => _versions[^1].Version;

    /// <summary>The voters that were in force at the end of a log that ends at <paramref name="endOffset"/>.</summary>
    public VoterSet VotersAt(long endOffset) => At(_voters, endOffset);

    /// <summary>The <c>kraft.version</c> in force at the end of a log that ends at <paramref name="endOffset"/>.</summary>
    public short KRaftVersionAt(long endOffset) => At(_versions, endOffset);

    /// <summary>The history after a record at <paramref name="offset"/> set the voters.</summary>
    public QuorumHistory WithVoters(long offset, VoterSet voters) => new(Add(_voters, offset, voters), _versions);

    /// <summary>The history after a record at <paramref name="offset"/> set the <c>kraft.version</c>.</summary>
    public QuorumHistory WithKRaftVersion(long offset, short version) => new(_voters, Add(_versions, offset, version));

    /// <summary>The history of a log cut at <paramref name="endOffset"/>.</summary>
    public QuorumHistory TruncatedTo(long endOffset) =>
        new(Truncate(_voters, endOffset), Truncate(_versions, endOffset));

    /// <summary>Forgets what lies before <paramref name="startOffset"/>, but for what was in force there.</summary>
    public QuorumHistory TrimmedTo(long startOffset) => new(Trim(_voters, startOffset), Trim(_versions, startOffset));

    private static (long, T)[] Add<T>((long Offset, T Value)[] entries, long offset, T value)
    {
        Invariant.Check(offset >= entries[^1].Offset, "the log is read in order");
        return entries[^1].Offset == offset ? [.. entries[..^1], (offset, value)] : [.. entries, (offset, value)];
    }

    private static (long, T)[] Truncate<T>((long Offset, T Value)[] entries, long endOffset) =>
        entries[..(Math.Max(0, Array.FindLastIndex(entries, entry => entry.Offset < endOffset)) + 1)];

    private static T At<T>((long Offset, T Value)[] entries, long endOffset) =>
        entries[Math.Max(0, Array.FindLastIndex(entries, entry => entry.Offset < endOffset))].Value;

    private static (long, T)[] Trim<T>((long Offset, T Value)[] entries, long startOffset)
    {
        var first = Math.Max(0, Array.FindLastIndex(entries, entry => entry.Offset < startOffset));
        return entries[first..];
    }
}
