using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Raft;

/// <summary>A replica: its node and its directory (KIP-853), so that a replaced disk is a different replica.</summary>
/// <param name="Id">The node id.</param>
/// <param name="DirectoryId">The id of the log directory; <see cref="Uuid.Zero"/> when unknown (static voters).</param>
public readonly record struct ReplicaKey(int Id, Uuid DirectoryId)
{
    /// <summary>Whether this names <paramref name="replica"/>: the same node, and its directory if this says one.</summary>
    public bool Names(ReplicaKey replica) => Id == replica.Id && (DirectoryId == Uuid.Zero || DirectoryId == replica.DirectoryId);

    /// <inheritdoc/>
    public override string ToString() => DirectoryId == Uuid.Zero ? $"{Id}" : $"{Id}:{DirectoryId}";
}

/// <summary>An endpoint of a voter.</summary>
/// <param name="Name">The listener's name.</param>
/// <param name="Host">Its host.</param>
/// <param name="Port">Its port.</param>
public readonly record struct RaftEndpoint(string Name, string Host, ushort Port);

/// <summary>A voter of the quorum.</summary>
/// <param name="Key">The replica.</param>
/// <param name="Endpoints">The endpoints of its controller listeners.</param>
/// <param name="KRaftVersionMin">The lowest <c>kraft.version</c> it supports.</param>
/// <param name="KRaftVersionMax">The highest <c>kraft.version</c> it supports.</param>
public sealed record Voter(
    ReplicaKey Key, IReadOnlyList<RaftEndpoint> Endpoints, short KRaftVersionMin = 0, short KRaftVersionMax = Voter.KRaftVersionSupported)
{
    /// <summary>The highest <c>kraft.version</c> that this node supports: dynamic voters (KIP-853).</summary>
    public const short KRaftVersionSupported = 1;

    /// <summary>Where the voter is reached on a listener; null when it has no such endpoint.</summary>
    public RaftNode? NodeOn(string listenerName)
    {
        foreach (var endpoint in Endpoints)
        {
            if (endpoint.Name == listenerName)
                return new RaftNode(Key.Id, endpoint.Host, endpoint.Port);
        }

        return null;
    }

    /// <summary>Whether the record of <paramref name="other"/> would differ. The order of the endpoints says nothing.</summary>
    public bool DiffersFrom(Voter other) =>
        Key != other.Key || KRaftVersionMin != other.KRaftVersionMin || KRaftVersionMax != other.KRaftVersionMax
            || Endpoints.Count != other.Endpoints.Count || Endpoints.Any(endpoint => !other.Endpoints.Contains(endpoint));

    /// <summary>Whether it supports a level of <c>kraft.version</c>.</summary>
    public bool Supports(short kraftVersion) => kraftVersion >= KRaftVersionMin && kraftVersion <= KRaftVersionMax;
}

/// <summary>The voters of the quorum. Immutable.</summary>
public sealed class VoterSet
{
    private readonly Voter[] _voters;

    /// <summary>Makes a set of voters with unique ids.</summary>
    public VoterSet(IEnumerable<Voter> voters)
    {
        _voters = [.. voters.OrderBy(voter => voter.Key.Id)];
        for (var i = 1; i < _voters.Length; i++)
            Invariant.Check(_voters[i - 1].Key.Id != _voters[i].Key.Id, "a node is in the voter set once");
    }

    /// <summary>No voters: an observer that does not know the voters yet.</summary>
    public static VoterSet Empty { get; } = new([]);

    /// <summary>The voters by ascending id.</summary>
    public IReadOnlyList<Voter> Voters => _voters;

    /// <summary>The number of voters that form a majority.</summary>
    public int Majority => _voters.Length / 2 + 1;

    /// <summary>The voter with an id; null when there is none.</summary>
    public Voter? Find(int id) => Array.Find(_voters, voter => voter.Key.Id == id);

    /// <summary>
    /// Whether <paramref name="key"/> is a voter: its id is in the set, and its directory is the known one (or none is known).
    /// </summary>
    public bool Contains(ReplicaKey key) => Find(key.Id) is { } voter && voter.Key.Names(key);

    /// <summary>Whether <paramref name="key"/> is the only voter.</summary>
    public bool IsOnlyVoter(ReplicaKey key) => _voters.Length == 1 && Contains(key);

    /// <summary>Returns the set with <paramref name="voter"/> instead of the voter with the same id.</summary>
    public VoterSet With(Voter voter) => new(_voters.Select(old => old.Key.Id == voter.Key.Id ? voter : old));

    /// <summary>Returns the set with one more voter.</summary>
    public VoterSet Add(Voter voter) => new([.. _voters, voter]);

    /// <summary>Returns the set without the voter of this id and directory; null when it is not in the set, or the last one.</summary>
    public VoterSet? Without(ReplicaKey key) =>
        _voters.Length > 1 && Find(key.Id)?.Key == key ? new VoterSet(_voters.Where(voter => voter.Key != key)) : null;

    /// <summary>The control record with this set.</summary>
    public VotersRecord ToRecord() => new()
    {
        Voters =
        [
            .. _voters.Select(voter => new VotersRecord.Voter
            {
                VoterId = voter.Key.Id,
                VoterDirectoryId = voter.Key.DirectoryId,
                Endpoints = [.. voter.Endpoints.Select(e => new VotersRecord.Endpoint { Name = e.Name, Host = e.Host, Port = e.Port })],
                KRaftVersionFeature = new() { MinSupportedVersion = voter.KRaftVersionMin, MaxSupportedVersion = voter.KRaftVersionMax },
            }),
        ],
    };

    /// <summary>Reads the set from a control record.</summary>
    public static VoterSet FromRecord(VotersRecord record) => new(record.Voters.Select(voter => new Voter(
        new ReplicaKey(voter.VoterId, voter.VoterDirectoryId),
        [.. voter.Endpoints.Select(e => new RaftEndpoint(e.Name, e.Host, e.Port))],
        voter.KRaftVersionFeature.MinSupportedVersion,
        voter.KRaftVersionFeature.MaxSupportedVersion)));
}
