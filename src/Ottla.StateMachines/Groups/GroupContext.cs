using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups;

/// <summary>
/// The state that the parts of a <see cref="GroupMachine"/> share: the groups of its partition, their deadlines, and the cluster's
/// metadata.
/// </summary>
/// <remarks>Owned by the machine; lives as long. Not thread-safe.</remarks>
public sealed class GroupContext(Prng random)
{
    private readonly Dictionary<string, Group> _groups = new(StringComparer.Ordinal);
    private (IRecordMessage Value, Group Group)? _staged;

    /// <summary>All groups.</summary>
    public IReadOnlyCollection<Group> Groups => _groups.Values;

    /// <summary>The deadlines of the groups. Their owners cancel or ignore deadlines that no longer matter.</summary>
    public GroupDeadlines Deadlines { get; } = new();

    /// <summary>Whether the log is loaded completely. Before that, records start no sessions, and no request waits.</summary>
    public bool IsLoaded { get; internal set; }

    /// <summary>The cluster's metadata; empty until the log is loaded.</summary>
    public MetadataImage Image { get; internal set; } = MetadataImage.Empty;

    /// <summary>The current configuration of the broker.</summary>
    /// <exception cref="InvariantViolationException">The log is not loaded yet.</exception>
    public BrokerConfig Config
    {
        get
        {
            Invariant.Check(field is not null, "the log is loaded before the first command");
            return field;
        }

        internal set;
    }

    /// <summary>The group with an id; null when there is none.</summary>
    public Group? Find(string groupId) => _groups.GetValueOrDefault(groupId);

    /// <summary>The group with an id and of a kind; null when there is none.</summary>
    public TGroup? Find<TGroup>(string groupId)
        where TGroup : Group =>
        Find(groupId) as TGroup;

    /// <summary>Adds a group, and replaces one with the same id.</summary>
    public void Put(Group group) => _groups[group.GroupId] = group;

    /// <summary>Removes a group, if it exists.</summary>
    public void Remove(string groupId) => _groups.Remove(groupId);

    /// <summary>
    /// Creates a group together with a record: the group is added when the record is applied, and dropped if the write fails. At most one
    /// per step.
    /// </summary>
    public void Stage(in CoordinatorRecord record, Group group) => _staged = (record.Value!, group);

    /// <summary>Adds the group that was staged with this record.</summary>
    /// <returns>False when no group was staged with it.</returns>
    public bool TryPutStaged(in CoordinatorRecord record)
    {
        if (_staged is not { } staged || !ReferenceEquals(staged.Value, record.Value))
            return false;
        _staged = null;
        Put(staged.Group);
        return true;
    }

    /// <summary>Makes a member id: the instance id or client id, and a random UUID in Java's form.</summary>
    public string NewMemberId(string clientIdOrInstanceId) => $"{clientIdOrInstanceId}-{NewUuidText()}";

    /// <summary>Makes an id for a member of the consumer protocol whose client did not choose one.</summary>
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
