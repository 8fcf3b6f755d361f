using Ottla.Protocol.Metadata;

namespace Ottla.StateMachines.Metadata;

/// <summary>How far an image has come in the metadata log.</summary>
/// <param name="LastOffset">The offset of the last record (or control record) that counts; -1 when there is none.</param>
/// <param name="LastEpoch">The quorum epoch of that record.</param>
/// <param name="LastTimestampMs">When it was written.</param>
public readonly record struct MetadataProvenance(long LastOffset, int LastEpoch, long LastTimestampMs)
{
    /// <summary>Before the first record.</summary>
    public static readonly MetadataProvenance Empty = new(-1, -1, -1);
}

/// <summary>Everything that the metadata log says, at one offset. Immutable: whoever has one may read it from any thread for ever.</summary>
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

    /// <summary>The first producer id that no broker was given yet; -1 before the first block.</summary>
    public long NextProducerId { get; init; } = -1;

    public AclsImage Acls { get; init; } = AclsImage.Empty;

    public ScramImage Scram { get; init; } = ScramImage.Empty;

    public DelegationTokensImage DelegationTokens { get; init; } = DelegationTokensImage.Empty;

    /// <summary>The image after a batch of records, which all count at once.</summary>
    /// <param name="records">The records, in order; no transaction markers (see <see cref="MetadataReplayer"/>).</param>
    /// <param name="baseOffset">The offset of the first record.</param>
    /// <param name="provenance">How far the result has come.</param>
    /// <exception cref="MetadataException">A record cannot be applied.</exception>
    public MetadataImage Apply(IEnumerable<MetadataRecord> records, long baseOffset, MetadataProvenance provenance) =>
        ApplyWithDelta(records, baseOffset, provenance).New;

    /// <summary>As <see cref="Apply"/>, and says what changed.</summary>
    public MetadataDelta ApplyWithDelta(IEnumerable<MetadataRecord> records, long baseOffset, MetadataProvenance provenance)
    {
        ArgumentNullException.ThrowIfNull(records);
        var builder = new MetadataImageBuilder(this);
        var offset = baseOffset;
        foreach (var record in records)
            builder.Replay(record.Message, offset++);
        return builder.Build(provenance);
    }

    /// <summary>The records of a snapshot: applied to <see cref="Empty"/>, they give an equal image.</summary>
    /// <exception cref="MetadataException">There is no metadata.version yet.</exception>
    public IEnumerable<MetadataRecord> ToRecords() => MetadataSnapshot.Records(this);

    /// <summary>Whether two images say the same, wherever they come from.</summary>
    public bool ContentEquals(MetadataImage? other) => other is not null && (this with { Provenance = other.Provenance }).Equals(other);
}
