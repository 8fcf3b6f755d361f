using Ottla.Kernel;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Replication;

/// <summary>What a look at the whole cluster found, at one moment between two steps.</summary>
/// <param name="Image">The newest metadata that any node has published.</param>
/// <param name="Partitions">The partitions in it.</param>
internal sealed record ClusterView(MetadataImage Image, IReadOnlyList<PartitionView> Partitions);

/// <summary>A partition: what the metadata says of it, and its replicas.</summary>
/// <param name="Partition">Which.</param>
/// <param name="Registration">The metadata.</param>
/// <param name="MinInSync">How many replicas must be in sync for a record to be committed.</param>
/// <param name="Replicas">Every log that there is of it, whether its node runs or not.</param>
/// <param name="Brokers">The brokers, as the same metadata has them.</param>
/// <param name="HasLostRecords">Of a node, with a log or without: whether a power cut may have cost it records.</param>
internal sealed record PartitionView(
    TopicPartition Partition, PartitionRegistration Registration, int MinInSync, IReadOnlyList<ReplicaView> Replicas, ClusterImage Brokers,
    Func<int, bool> HasLostRecords)
{
    /// <inheritdoc/>
    public override string ToString() => $"Metadata: leader {Registration.Leader} in epoch {Registration.LeaderEpoch}, partition epoch "
        + $"{Registration.PartitionEpoch}, ISR {string.Join(',', Registration.Isr)}, ELR "
        + $"{string.Join(',', Registration.EligibleLeaderReplicas)}. Replicas: {string.Join("; ", Replicas)}";

    /// <summary>Those who lead as far as they know, those of the newest epoch first.</summary>
    public IEnumerable<ReplicaView> Leaders =>
        Replicas.Where(replica => replica.Live is { IsLeader: true }).OrderByDescending(replica => replica.Live!.LeaderEpoch);

    /// <summary>
    /// Whether the leader knows more of the partition than any metadata that is published: then nobody can say what must hold.
    /// </summary>
    public bool IsBehindLeader =>
        Replicas.Any(replica => replica.Live is { IsLeader: true } live && live.PartitionEpoch > Registration.PartitionEpoch);
}

/// <summary>A replica.</summary>
/// <param name="NodeId">Whose.</param>
/// <param name="Batches">What lies in its log, running or not.</param>
/// <param name="ChangedFrom">From which batch on it is not as at the last look.</param>
/// <param name="Dropped">What was in its log at the last look, and is not any more.</param>
/// <param name="HasLostRecords">
/// Whether its host lost power with what was not flushed, and the controller does not know that yet: it may lack anything.
/// </param>
/// <param name="Live">What its node knows; null when it does not serve it.</param>
internal sealed record ReplicaView(
    int NodeId, IReadOnlyList<StoredBatch> Batches, int ChangedFrom, IReadOnlyList<StoredBatch> Dropped, bool HasLostRecords,
    LiveReplica? Live)
{
    /// <summary>Whether its log has a batch.</summary>
    public bool Has(StoredBatch batch) => PlaceOf(batch.BaseOffset) is var place && place < Batches.Count
        && ReferenceEquals(Batches[place], batch);

    /// <summary>The place of the batch that begins at an offset, or of the first behind it.</summary>
    public int PlaceOf(long offset)
    {
        var (low, high) = (0, Batches.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (Batches[middle].BaseOffset < offset)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    /// <inheritdoc/>
    public override string ToString() => $"node {NodeId} (log end {(Batches.Count == 0 ? 0 : Batches[^1].NextOffset)}, "
        + $"{(Live is null ? "not live" : Live)}{(HasLostRecords ? ", lost power" : "")})";
}

/// <summary>What a node that runs knows of its replica.</summary>
/// <param name="Start">Which of its node's lives.</param>
/// <param name="IsLeader">Whether it believes that it leads.</param>
/// <param name="LeaderEpoch">In which epoch.</param>
/// <param name="PartitionEpoch">Which state of the metadata it goes by.</param>
/// <param name="InSync">Who is in sync, by that state.</param>
/// <param name="Proposal">The change of the ISR that it asks the controller for; null for none.</param>
/// <param name="FetchedBy">Who has fetched from it as from the leader, and with which broker epoch.</param>
/// <param name="LogStart">Its first offset.</param>
/// <param name="End">The offset of its next record.</param>
/// <param name="HighWatermark">Up to where it takes records for committed.</param>
/// <param name="LastStable">Up to where no transaction is open.</param>
/// <param name="Epochs">Its leader epochs.</param>
/// <param name="IsTorn">Whether its files have bytes that are no batch.</param>
/// <param name="Gap">Where a power loss left a gap in its log, which is cut there once there is a leader; null for none.</param>
internal sealed record LiveReplica(
    int Start, bool IsLeader, int LeaderEpoch, int PartitionEpoch, IReadOnlyList<int> InSync, IsrProposal? Proposal,
    IReadOnlyList<(int ReplicaId, long BrokerEpoch)> FetchedBy, long LogStart, long End, long HighWatermark, long LastStable,
    IReadOnlyList<EpochEntry> Epochs, bool IsTorn, long? Gap)
{
    /// <summary>Whether a replica is in sync, or may be once the controller has answered.</summary>
    public bool MayBeInSync(int replica) => InSync.Contains(replica) || Proposal?.Added == replica;

    /// <inheritdoc/>
    public override string ToString() => $"{(IsLeader ? "leader" : "follower")} in epoch {LeaderEpoch}, partition epoch {PartitionEpoch}, "
        + $"ISR {string.Join(',', InSync)}{(Proposal is null ? "" : $" (asks for {Proposal})")}, "
        + $"start {LogStart}, last stable {LastStable}, high watermark {HighWatermark}, end {End}";
}
