namespace Ottla.SystemTests.Clients;

/// <summary>A third-party client under test. Stateless: every call starts and ends its own connections (or its own process).</summary>
public abstract class KafkaClient
{
    /// <summary>Every codec of the record batch.</summary>
    public static readonly IReadOnlyList<string> AllCodecs = ["none", "gzip", "snappy", "lz4", "zstd"];

    /// <summary>The name that tests and their skip reasons use.</summary>
    public abstract string Name { get; }

    /// <summary>What the client cannot say.</summary>
    public virtual ClientLimits Limits => ClientLimits.None;

    /// <summary>The codecs that it has.</summary>
    public virtual IReadOnlyList<string> Codecs => AllCodecs;

    /// <summary>The admin operations that it lacks.</summary>
    public virtual IReadOnlySet<string> MissingOperations { get; } = new HashSet<string>();

    /// <summary>Why the client cannot run on this machine, or null when it can.</summary>
    public abstract string? FindMissing();

    /// <summary>Creates a topic with replication factor 1.</summary>
    public abstract Task CreateTopicAsync(string bootstrap, string topic, int partitions);

    /// <summary>Produces the records with acks=all, each to its partition, and returns when all are acknowledged.</summary>
    public abstract Task ProduceAsync(string bootstrap, string topic, string codec, IReadOnlyList<TestRecord> records);

    /// <summary>Reads all partitions from their beginnings to the high watermarks.</summary>
    public abstract Task<IReadOnlyList<ConsumedRecord>> ConsumeAsync(string bootstrap, string topic);

    /// <summary>Runs admin operations in order.</summary>
    public virtual Task<IReadOnlyList<AdminAnswer>> AdminAsync(string bootstrap, IReadOnlyList<AdminOperation> operations) =>
        throw new NotSupportedException($"{Name} has no admin operations here.");

    /// <summary>
    /// The command line of a member of a group; it lives until its input ends, and tells events as <see cref="GroupMember"/> reads them.
    /// </summary>
    /// <param name="bootstrap">The cluster.</param>
    /// <param name="group">The group's id.</param>
    /// <param name="topic">What to subscribe to.</param>
    /// <param name="instance">The static member's id; null for a dynamic member.</param>
    public virtual MemberCommand GroupMemberCommand(string bootstrap, string group, string topic, string? instance) =>
        throw new NotSupportedException($"{Name} has no groups here.");

    /// <inheritdoc/>
    public override string ToString() => Name;
}
