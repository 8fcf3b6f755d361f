using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups;

/// <summary>What the parts of a <see cref="GroupMachine"/> share: the groups of its partition, their deadlines, and the cluster around them.</summary>
/// <remarks>Owned by the machine; lives as long. Nothing in it is thread-safe.</remarks>
public sealed class GroupContext(Prng random)
{
    private readonly Dictionary<string, Group> _groups = new(StringComparer.Ordinal);
    private (IRecordMessage Value, Group Group)? _staged;

    /// <summary>All groups.</summary>
    public IReadOnlyCollection<Group> Groups => _groups.Values;

    /// <summary>What is to be done when. Owners cancel what has lost its sense, or ignore it when it is due.</summary>
    public GroupDeadlines Deadlines { get; } = new();

    /// <summary>Whether the log has been read to its end. Before, records are history: they start no sessions, and nobody waits.</summary>
    public bool IsLoaded { get; internal set; }

    /// <summary>The cluster's metadata; empty until the log is loaded.</summary>
    public MetadataImage Image { get; internal set; } = MetadataImage.Empty;

    /// <summary>The broker's configuration as it is now.</summary>
    /// <exception cref="InvariantViolationException">The log is not loaded yet.</exception>
    public BrokerConfig Config
    {
        get
        {
            Invariant.Check(field is not null, "nothing is decided before the log is loaded");
            return field;
        }

        internal set;
    }

    /// <summary>The group of that id; null when there is none.</summary>
    public Group? Find(string groupId) => _groups.GetValueOrDefault(groupId);

    /// <summary>The group of that id and kind; null when there is none.</summary>
    public TGroup? Find<TGroup>(string groupId)
        where TGroup : Group =>
        Find(groupId) as TGroup;

    /// <summary>Takes in a group; one of the same id gives way to it.</summary>
    public void Put(Group group) => _groups[group.GroupId] = group;

    /// <summary>Forgets a group, if there is one.</summary>
    public void Remove(string groupId) => _groups.Remove(groupId);

    /// <summary>Has a group come to be with a record: if that is not written, nothing has happened. At most one in a step.</summary>
    public void Stage(in CoordinatorRecord record, Group group) => _staged = (record.Value!, group);

    /// <summary>Takes in the group that was to come to be with this record.</summary>
    /// <returns>False when there is none.</returns>
    public bool TryPutStaged(in CoordinatorRecord record)
    {
        if (_staged is not { } staged || !ReferenceEquals(staged.Value, record.Value))
            return false;
        _staged = null;
        Put(staged.Group);
        return true;
    }

    /// <summary>A new id for a member: its group instance id or its client id, and a random UUID as Java writes it.</summary>
    public string NewMemberId(string clientIdOrInstanceId) => $"{clientIdOrInstanceId}-{NewUuidText()}";

    /// <summary>A new id for a member of the consumer protocol whose client has given none.</summary>
    public string NewUuid() => Uuid.NewRandom(random).ToString();

    private string NewUuidText()
    {
        Span<byte> bytes = stackalloc byte[16];
        random.NextBytes(bytes);
        bytes[6] = (byte)((bytes[6] & 0x0f) | 0x40);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new Guid(bytes, bigEndian: true).ToString("D");
    }
}
