using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Monitoring;

/// <summary>The metadata quorum and the metadata as this node sees them: Kafka's raft-metrics and MetadataLoader.</summary>
/// <param name="raft">The metadata log.</param>
/// <param name="metadata">The committed metadata.</param>
internal sealed class QuorumMetrics(RaftHost raft, MetadataCache metadata) : MetricSource
{
    private static readonly MetricFamily State = MetricFamily.Gauge(
        "kafka_server_raft_metrics_current_state", "1 for the role that this node has in the metadata quorum.", "state");
    private static readonly MetricFamily Leader = OfRaft("current_leader", "The leader of the metadata quorum; -1 when none is known.");
    private static readonly MetricFamily Epoch = OfRaft("current_epoch", "The epoch of the metadata quorum.");
    private static readonly MetricFamily Voters = OfRaft("number_of_voters", "Voters of the metadata quorum.");
    private static readonly MetricFamily HighWatermark = OfRaft("high_watermark", "The offset up to which the metadata log is committed.");
    private static readonly MetricFamily LogEnd = OfRaft("log_end_offset", "The offset behind the last record of the metadata log here.");
    private static readonly MetricFamily Snapshot = MetricFamily.Gauge(
        "kafka_server_snapshotemitter_latestsnapshotendoffset", "The offset up to which the newest snapshot of the metadata goes.");
    private static readonly MetricFamily Lag = MetricFamily.Gauge(
        "kafka_server_metadataloader_lag", "Committed records of the metadata log that this node has not taken over yet.");
    private static readonly MetricFamily CurrentVersion = MetricFamily.Gauge(
        "kafka_server_metadataloader_currentmetadataversion", "The level of metadata.version.");
    private static readonly MetricFamily FinalizedLevel = MetricFamily.Gauge(
        "kafka_server_metadataloader_finalizedlevel", "The level of a feature that is finalized.", "featureName");

    /// <inheritdoc/>
    public override IReadOnlyList<MetricFamily> Families { get; } =
        [State, Leader, Epoch, Voters, HighWatermark, LogEnd, Snapshot, Lag, CurrentVersion, FinalizedLevel];

    /// <inheritdoc/>
    protected override void Collect(IMetricOutput output, bool isDetailed)
    {
        var quorum = raft.Quorum;
        output.Begin(State);
        output.Add(1, NameOf(quorum.Role));
        Give(output, Leader, quorum.LeaderId);
        Give(output, Epoch, quorum.Epoch);
        Give(output, Voters, quorum.VoterSet.Voters.Count);
        Give(output, HighWatermark, raft.HighWatermark);
        Give(output, LogEnd, raft.EndOffset);
        Give(output, Snapshot, raft.LatestSnapshot?.Offset ?? 0);
        Give(output, Lag, Math.Max(raft.HighWatermark - 1 - metadata.PublishedOffset, 0));
        var features = metadata.Current.Features;
        var version = features.MetadataVersion?.Level ?? 0;
        Give(output, CurrentVersion, version);
        output.Begin(FinalizedLevel);
        output.Add(version, NameOf(MetadataVersion.FeatureName));
        output.Add(quorum.KRaftVersion, NameOf(Feature.KRaftVersion));
        foreach (var (feature, level) in features.Levels)
            output.Add(level, NameOf(feature));
    }

    /// <summary>The name of a feature as Kafka's metrics have it: <c>groupVersion</c> for <c>group.version</c>.</summary>
    private static string NameOf(string feature)
    {
        var words = feature.Split('.');
        return words[0] + string.Concat(words.Skip(1).Select(word => char.ToUpperInvariant(word[0]) + word[1..]));
    }

    /// <summary>The role, as Kafka calls it: <c>leader</c>, <c>follower</c>.</summary>
    private static string NameOf(RaftRole role) => role.ToString().ToLowerInvariant();

    private static MetricFamily OfRaft(string what, string help) => MetricFamily.Gauge($"kafka_server_raft_metrics_{what}", help);
}
