using Ottla.Protocol.Metadata;

namespace Ottla.StateMachines.Metadata;

/// <summary>The position of an image in the metadata log.</summary>
/// <param name="LastOffset">The offset of the last record (or control record) in the image; -1 when there is none.</param>
/// <param name="LastEpoch">The quorum epoch of that record.</param>
/// <param name="LastTimestampMs">The time at which that record was written.</param>
public readonly record struct MetadataProvenance(long LastOffset, int LastEpoch, long LastTimestampMs)
{
    /// <summary>The position before the first record.</summary>
    public static readonly MetadataProvenance Empty = new(-1, -1, -1);
}

/// <summary>The content of the metadata log up to one offset. Immutable: any thread may read it at any time.</summary>
public sealed record MetadataImage
{
    /// <summary>The image of an empty log.</summary>
    public static readonly MetadataImage Empty = new();

    public MetadataProvenance Provenance { get; init; } = MetadataProvenance.Empty;

    public FeaturesImage Features { get; init; } = FeaturesImage.Empty;

    public ClusterImage Cluster { get; init; } = ClusterImage.Empty;

    public TopicsImage Topics { get; init; } = TopicsImage.Empty;

    public ConfigsImage Configs { get; init; } = ConfigsImage.Empty;

    public ClientQuotasImage ClientQuotas { get; init; } = ClientQuotasImage.Empty;

    /// <summary>The first producer id that was never allocated to a broker; -1 before the first allocation.</summary>
    public long NextProducerId { get; init; } = -1;

    public AclsImage Acls { get; init; } = AclsImage.Empty;

    public ScramImage Scram { get; init; } = ScramImage.Empty;

    public DelegationTokensImage DelegationTokens { get; init; } = DelegationTokensImage.Empty;

    /// <summary>Returns the image after a batch of records, all of which take effect together.</summary>
    /// <param name="records">The records, in order, without transaction markers (see <see cref="MetadataReplayer"/>).</param>
    /// <param name="baseOffset">The offset of the first record.</param>
    /// <param name="provenance">The position of the new image.</param>
    /// <exception cref="MetadataException">A record cannot be applied.</exception>
    public MetadataImage Apply(IEnumerable<MetadataRecord> records, long baseOffset, MetadataProvenance provenance) =>
        ApplyWithDelta(records, baseOffset, provenance).New;

    /// <summary>Like <see cref="Apply"/>, but also returns what changed.</summary>
    public MetadataDelta ApplyWithDelta(IEnumerable<MetadataRecord> records, long baseOffset, MetadataProvenance provenance)
    {
        ArgumentNullException.ThrowIfNull(records);
        var builder = new MetadataImageBuilder(this);
        var offset = baseOffset;
        foreach (var record in records)
            builder.Replay(record.Message, offset++);
        return builder.Build(provenance);
    }

    /// <summary>The records of a snapshot. Applying them to <see cref="Empty"/> gives an equal image.</summary>
    /// <exception cref="MetadataException">The image has no metadata.version yet.</exception>
    public IEnumerable<MetadataRecord> ToRecords() => MetadataSnapshot.Records(this);

    /// <summary>Whether two images have the same content, whatever their positions in the log.</summary>
    public bool ContentEquals(MetadataImage? other) => other is not null && (this with { Provenance = other.Provenance }).Equals(other);
}
