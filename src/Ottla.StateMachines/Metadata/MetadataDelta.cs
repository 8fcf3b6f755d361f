using Ottla.Kernel;

namespace Ottla.StateMachines.Metadata;

/// <summary>Collects which objects the records of a batch touched. Lives for one batch.</summary>
internal sealed class MetadataTouched
{
    public HashSet<Uuid> Topics { get; } = [];

    public HashSet<string> Features { get; } = new(StringComparer.Ordinal);

    public HashSet<int> Brokers { get; } = [];

    public HashSet<int> Controllers { get; } = [];

    public HashSet<ConfigResource> Configs { get; } = [];

    public HashSet<ClientQuotaEntity> Quotas { get; } = [];

    public HashSet<Uuid> Acls { get; } = [];

    public HashSet<ScramKey> Scram { get; } = [];

    public HashSet<string> Tokens { get; } = new(StringComparer.Ordinal);

    public bool IsEmpty => Topics.Count == 0 && Features.Count == 0 && Brokers.Count == 0 && Controllers.Count == 0 && Configs.Count == 0
        && Quotas.Count == 0 && Acls.Count == 0 && Scram.Count == 0 && Tokens.Count == 0;
}

/// <summary>A partition before and after.</summary>
/// <param name="TopicId">The topic's id.</param>
/// <param name="Partition">The topic's name and the partition's index.</param>
/// <param name="Old">The partition before; null when it is new.</param>
/// <param name="New">The partition after; null when it was deleted.</param>
public readonly record struct PartitionDelta(
    Uuid TopicId, TopicPartition Partition, PartitionRegistration? Old, PartitionRegistration? New);

/// <summary>A topic before and after.</summary>
/// <param name="Id">The topic's id.</param>
/// <param name="Old">The topic before; null when it is new.</param>
/// <param name="New">The topic after; null when it was deleted.</param>
public readonly record struct TopicDelta(Uuid Id, TopicImage? Old, TopicImage? New)
{
    /// <summary>The topic's name.</summary>
    public string Name => (New ?? Old)!.Name;

    /// <summary>The partitions that were created, changed or deleted.</summary>
    public IEnumerable<PartitionDelta> Partitions()
    {
        var count = Math.Max(Old?.Partitions.Length ?? 0, New?.Partitions.Length ?? 0);
        for (var i = 0; i < count; i++)
        {
            var before = Old?.Partition(i);
            var after = New?.Partition(i);
            if (!ReferenceEquals(before, after) && (before is null || !before.Equals(after)))
                yield return new PartitionDelta(Id, new TopicPartition(Name, i), before, after);
        }
    }
}

/// <summary>The changes to the replicas of one broker.</summary>
/// <param name="Deleted">Partitions that have no replica on the broker any more, or no longer exist.</param>
/// <param name="Leaders">Changed partitions that the broker leads.</param>
/// <param name="Followers">Changed partitions with a replica on the broker that another broker leads, or none.</param>
public sealed record LocalReplicaChanges(
    IReadOnlyList<PartitionDelta> Deleted, IReadOnlyList<PartitionDelta> Leaders, IReadOnlyList<PartitionDelta> Followers);

/// <summary>Two metadata images and the differences between them, for publishers. Immutable.</summary>
public sealed class MetadataDelta
{
    private static readonly MetadataTouched s_nothing = new();
    private readonly MetadataTouched _touched;

    internal MetadataDelta(MetadataImage old, MetadataImage @new, MetadataTouched touched)
    {
        Old = old;
        New = @new;
        _touched = touched;
        Topics = [.. touched.Topics
            .Select(id => new TopicDelta(id, old.Topics.Find(id), @new.Topics.Find(id)))
            .Where(topic => !ReferenceEquals(topic.Old, topic.New))];
    }

    /// <summary>Makes the delta of an image that only moved on in the log.</summary>
    internal static MetadataDelta OfNothing(MetadataImage old, MetadataImage @new) => new(old, @new, s_nothing);

    /// <summary>Whether nothing differs but the place in the log.</summary>
    public bool IsEmpty => _touched.IsEmpty && Old.NextProducerId == New.NextProducerId;

    /// <summary>The image before.</summary>
    public MetadataImage Old { get; }

    /// <summary>The image after.</summary>
    public MetadataImage New { get; }

    /// <summary>The topics that were created, changed or deleted.</summary>
    public IReadOnlyList<TopicDelta> Topics { get; }

    /// <summary>The features whose level was set.</summary>
    public IReadOnlySet<string> Features => _touched.Features;

    /// <summary>The brokers whose registration was set or removed.</summary>
    public IReadOnlySet<int> Brokers => _touched.Brokers;

    /// <summary>The controllers whose registration was set or removed.</summary>
    public IReadOnlySet<int> Controllers => _touched.Controllers;

    /// <summary>
    /// The resources whose configs were set, even to the same value: a broker then reloads the files that its configs name.
    /// </summary>
    public IReadOnlySet<ConfigResource> Configs => _touched.Configs;

    /// <summary>The entities whose quotas were set or removed.</summary>
    public IReadOnlySet<ClientQuotaEntity> ClientQuotas => _touched.Quotas;

    /// <summary>The access control entries that were created or removed.</summary>
    public IReadOnlySet<Uuid> Acls => _touched.Acls;

    /// <summary>The SCRAM credentials that were set or removed.</summary>
    public IReadOnlySet<ScramKey> Scram => _touched.Scram;

    /// <summary>The delegation tokens that were set or removed.</summary>
    public IReadOnlySet<string> DelegationTokens => _touched.Tokens;

    /// <summary>The partitions that were created, changed or deleted.</summary>
    public IEnumerable<PartitionDelta> Partitions() => Topics.SelectMany(topic => topic.Partitions());

    /// <summary>The changes that a broker's replica manager must carry out.</summary>
    public LocalReplicaChanges LocalChanges(int brokerId)
    {
        List<PartitionDelta> deleted = [], leaders = [], followers = [];
        foreach (var partition in Partitions())
        {
            if (partition.New is null || !partition.New.Replicas.Contains(brokerId))
            {
                if (partition.Old is not null && partition.Old.Replicas.Contains(brokerId))
                    deleted.Add(partition);
            }
            else if (partition.New.Leader == brokerId)
            {
                leaders.Add(partition);
            }
            else
            {
                followers.Add(partition);
            }
        }

        return new LocalReplicaChanges(deleted, leaders, followers);
    }

    /// <summary>Computes the difference between any two images, for example before and after a snapshot. It compares everything.</summary>
    public static MetadataDelta Between(MetadataImage old, MetadataImage @new)
    {
        var touched = new MetadataTouched();
        Differing(old.Topics.ById, @new.Topics.ById, touched.Topics);
        Differing(old.Features.Levels, @new.Features.Levels, touched.Features);
        if (old.Features.MetadataVersion != @new.Features.MetadataVersion)
            touched.Features.Add(MetadataVersion.FeatureName);
        Differing(old.Cluster.Brokers, @new.Cluster.Brokers, touched.Brokers);
        Differing(old.Cluster.Controllers, @new.Cluster.Controllers, touched.Controllers);
        Differing(old.Configs.ByResource, @new.Configs.ByResource, touched.Configs, static (a, b) => ContentEquality.Entries(a, b));
        Differing(old.ClientQuotas.ByEntity, @new.ClientQuotas.ByEntity, touched.Quotas, static (a, b) => ContentEquality.Entries(a, b));
        Differing(old.Acls.ById, @new.Acls.ById, touched.Acls);
        Differing(old.Scram.ByUser, @new.Scram.ByUser, touched.Scram);
        Differing(old.DelegationTokens.ById, @new.DelegationTokens.ById, touched.Tokens);
        return new MetadataDelta(old, @new, touched);
    }

    private static void Differing<TKey, TValue>(
        IReadOnlyDictionary<TKey, TValue> old, IReadOnlyDictionary<TKey, TValue> @new,
            HashSet<TKey> into, Func<TValue, TValue, bool>? same = null)
    {
        same ??= EqualityComparer<TValue>.Default.Equals;
        foreach (var (key, value) in @new)
        {
            if (!old.TryGetValue(key, out var before) || !same(before, value))
                into.Add(key);
        }

        foreach (var key in old.Keys)
        {
            if (!@new.ContainsKey(key))
                into.Add(key);
        }
    }
}
