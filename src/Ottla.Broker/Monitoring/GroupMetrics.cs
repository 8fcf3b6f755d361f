using System.Globalization;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Groups;

namespace Ottla.Broker.Monitoring;

/// <summary>
/// The groups whose coordinator is this broker: how many there are, and how far each is behind, under the names of the exporters that
/// Kafka's users run for it.
/// </summary>
/// <remarks>
/// Partitions without a replica on this broker are asked of their leaders (<see cref="LogEnds"/>). One that no leader has told of lately is
/// counted as unknown.
/// </remarks>
/// <param name="groups">The coordinators.</param>
/// <param name="ends">Where partitions end for consumers.</param>
internal sealed class GroupMetrics(CoordinatorHost<GroupCommand> groups, LogEnds ends) : IMetricSource
{
    private static readonly MetricFamily Count = MetricFamily.Gauge(
        "kafka_server_group_coordinator_metrics_group_count", "Groups whose coordinator is this broker, by the type of the group.",
        "protocol");
    private static readonly MetricFamily ClassicCount = MetricFamily.Gauge(
        "kafka_server_group_coordinator_metrics_classic_group_count", "Classic groups whose coordinator is this broker.", "state");
    private static readonly MetricFamily ConsumerCount = MetricFamily.Gauge(
        "kafka_server_group_coordinator_metrics_consumer_group_count", "Groups of the consumer protocol whose coordinator is this broker.",
        "state");
    private static readonly MetricFamily Members = MetricFamily.Gauge(
        "kafka_consumergroup_members", "Members of a group.", "consumergroup");
    private static readonly MetricFamily OffsetCount = OfCoordinator("offset_count", "Committed offsets of these groups.");
    private static readonly MetricFamily Loaded = OfCoordinator(
        "num_partitions", "Partitions of __consumer_offsets whose coordinator is this broker: active ones, and those that are read still.",
        "state");
    private static readonly MetricFamily Queue = OfCoordinator("event_queue_size", "Requests that wait for the coordinators of groups.");
    private static readonly MetricFamily OffsetSum = MetricFamily.Gauge(
        "kafka_consumergroup_current_offset_sum", "The sum of a group's committed offsets.", "consumergroup", "topic");
    private static readonly MetricFamily LagSum = MetricFamily.Gauge(
        "kafka_consumergroup_lag_sum", "Records that a group has not read yet, by its committed offsets.", "consumergroup", "topic");
    private static readonly MetricFamily Unknown = MetricFamily.Gauge(
        "kafka_consumergroup_lag_unknown_partitions",
        "Partitions whose lag is not known: this broker has no replica of them, and their leader has not told lately.",
        "consumergroup", "topic");
    private static readonly MetricFamily Offset = MetricFamily.Gauge(
        "kafka_consumergroup_current_offset", "The committed offset of a group.", "consumergroup", "topic", "partition") with
    { IsDetailed = true };
    private static readonly MetricFamily Lag = MetricFamily.Gauge(
        "kafka_consumergroup_lag", "Records of a partition that a group has not read yet.", "consumergroup", "topic", "partition") with
    { IsDetailed = true };

    /// <inheritdoc/>
    public IReadOnlyList<MetricFamily> Families { get; } =
    [
        Count, ClassicCount, ConsumerCount, Members, OffsetCount, Loaded, Queue, OffsetSum, LagSum, Unknown, Offset, Lag,
    ];

    /// <inheritdoc/>
    public async ValueTask CollectAsync(IMetricOutput output, bool isDetailed)
    {
        var listed = new List<ListGroupsResponse.ListedGroup>();
        var members = new List<(string GroupId, int Members)>();
        var read = new List<PartitionProgress>();
        foreach (var partition in groups.Partitions)
        {
            try
            {
                listed.AddRange(await groups.SubmitAsync(partition, new ListGroupsCommand([], [])));
                members.AddRange(await groups.SubmitAsync(partition, new CountMembersCommand()));
            }
            catch (ApiException)
            {
                // It is being loaded, or has moved: its groups are told by whoever has them.
            }
        }

        foreach (var group in listed)
            await ReadAsync(group.GroupId, read);
        _ = ends.AskForNextAsync();
        GiveCounts(output, listed);
        output.Begin(Members);
        foreach (var (group, count) in members)
            output.Add(count, group);
        GiveCoordinators(output, read.Count);
        GiveProgress(output, read, isDetailed);
    }

    private async ValueTask ReadAsync(string groupId, List<PartitionProgress> read)
    {
        try
        {
            var ask = new OffsetFetchRequest.OffsetFetchRequestGroup { GroupId = groupId, Topics = null };
            var answer = await groups.SubmitAsync(groupId, new OffsetFetchCommand(ask, RequireStable: false));
            foreach (var topic in answer.Topics)
            {
                foreach (var partition in topic.Partitions.Where(each => each.CommittedOffset >= 0))
                {
                    var end = ends.Of(new TopicPartition(topic.Name, partition.PartitionIndex));
                    read.Add(new PartitionProgress(groupId, topic.Name, partition.PartitionIndex, partition.CommittedOffset, end));
                }
            }
        }
        catch (ApiException)
        {
            // The group has gone, or its coordinator has moved.
        }
    }

    private static void GiveCounts(IMetricOutput output, List<ListGroupsResponse.ListedGroup> listed)
    {
        output.Begin(Count);
        foreach (var type in listed.GroupBy(group => group.GroupType).OrderBy(type => type.Key, StringComparer.Ordinal))
            output.Add(type.Count(), type.Key);
        GiveStates(ClassicCount, "classic");
        GiveStates(ConsumerCount, "consumer");

        void GiveStates(MetricFamily family, string type)
        {
            output.Begin(family);
            var ofType = listed.Where(group => string.Equals(group.GroupType, type, StringComparison.OrdinalIgnoreCase));
            foreach (var state in ofType.GroupBy(group => group.GroupState).OrderBy(state => state.Key, StringComparer.Ordinal))
                output.Add(state.Count(), state.Key);
        }
    }

    private void GiveCoordinators(IMetricOutput output, int offsetCount)
    {
        var statuses = groups.Statuses;
        var loaded = statuses.Count(status => status.IsLoaded);
        output.Begin(OffsetCount);
        output.Add(offsetCount);
        output.Begin(Loaded);
        output.Add(loaded, "active");
        output.Add(statuses.Count - loaded, "loading");
        output.Begin(Queue);
        output.Add(statuses.Sum(status => status.QueueLength));
    }

    private static MetricFamily OfCoordinator(string what, string help, params IReadOnlyList<string> labels) =>
        MetricFamily.Gauge($"kafka_server_group_coordinator_metrics_{what}", help, labels);

    private static void GiveProgress(IMetricOutput output, List<PartitionProgress> read, bool isDetailed)
    {
        var topics = read.GroupBy(each => (each.Group, each.Topic)).ToList();
        GiveSums(OffsetSum, partitions => partitions.Sum(each => each.Committed));
        GiveSums(LagSum, partitions => partitions.Sum(each => each.Lag ?? 0));
        GiveSums(Unknown, partitions => partitions.Count(each => each.Lag is null));
        if (!isDetailed)
            return;
        GiveEach(Offset, each => each.Committed);
        GiveEach(Lag, each => each.Lag);

        void GiveSums(MetricFamily family, Func<IEnumerable<PartitionProgress>, long> sum)
        {
            output.Begin(family);
            foreach (var topic in topics)
                output.Add(sum(topic), topic.Key.Group, topic.Key.Topic);
        }

        void GiveEach(MetricFamily family, Func<PartitionProgress, long?> value)
        {
            output.Begin(family);
            foreach (var each in read)
            {
                if (value(each) is { } known)
                    output.Add(known, each.Group, each.Topic, each.Partition.ToString(CultureInfo.InvariantCulture));
            }
        }
    }

    /// <summary>How far a group has read a partition.</summary>
    /// <param name="Group">The group.</param>
    /// <param name="Topic">The topic.</param>
    /// <param name="Partition">The partition's index.</param>
    /// <param name="Committed">Where it goes on.</param>
    /// <param name="End">Where the partition ends; null when that is not known here.</param>
    private readonly record struct PartitionProgress(string Group, string Topic, int Partition, long Committed, long? End)
    {
        public long? Lag => End is { } end ? Math.Max(end - Committed, 0) : null;
    }
}
