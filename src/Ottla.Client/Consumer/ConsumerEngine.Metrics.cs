using Ottla.Client.Consumers.Fetching;
using Ottla.Client.Push;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Consumers;

/// <summary>What is measured for the cluster.</summary>
internal sealed partial class ConsumerEngine
{
    /// <summary>The member's id, also when it has left. Owned by the loop that pushes.</summary>
    private string _memberIdTold = "";

    private IEnumerable<MetricLabel> Labels()
    {
        if (_options.GroupId is { } group)
            yield return new MetricLabel("group_id", group);
        if (_options.GroupInstanceId is { } instance)
            yield return new MetricLabel("group_instance_id", instance);
        if (Identity is { MemberId.Length: > 0 } member)
            _memberIdTold = member.MemberId;
        if (_memberIdTold.Length > 0)
            yield return new MetricLabel("group_member_id", _memberIdTold);
        if (_client.Options.ClientRack is { } rack)
            yield return new MetricLabel("client_rack", rack);
    }

    /// <summary>Metrics are collected now.</summary>
    private void MeasureNow()
    {
        lock (_lock)
        {
            _metrics!.AssignedPartitions = _membership is null ? 0 : _partitions.Count;
            _metrics.Distances.Clear();
            foreach (var partition in _partitions.Values)
            {
                TellTaken(partition);
                if (partition is { Position: >= 0, HighWatermark: >= 0, LogStartOffset: >= 0 })
                {
                    _metrics.Distances.Add(new ConsumerMetrics.PartitionDistance(
                        partition.Partition, Math.Max(0, partition.HighWatermark - partition.Position),
                        Math.Max(0, partition.Position - partition.LogStartOffset)));
                }
            }
        }
    }

    /// <summary>Counts what the application has taken of a partition since the last call. Called under the lock.</summary>
    private void TellTaken(ConsumedPartition partition)
    {
        if (_metrics is null || partition.TakenRecords == 0)
            return;
        _metrics.OnConsumed(partition.Partition.Topic, partition.TakenRecords, partition.TakenBytes);
        (partition.TakenRecords, partition.TakenBytes) = (0, 0);
    }

    private void MeasureFetch(TimeSpan latency, FetchResponse answer)
    {
        if (_metrics is null)
            return;
        var bytes = 0;
        foreach (var topic in answer.Responses)
        {
            foreach (var partition in topic.Partitions)
                bytes += partition.Records.Length;
        }

        _metrics.OnFetched(latency, bytes, answer.ThrottleTimeMs);
    }
}
