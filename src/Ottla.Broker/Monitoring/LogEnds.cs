using System.Collections.Concurrent;
using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Monitoring;

/// <summary>
/// Where partitions end for consumers: those with a replica here are read, the others are asked of their leaders by ListOffsets, in the
/// background and only while somebody scrapes.
/// </summary>
/// <remarks>
/// A scrape never waits for another broker: it gets what was heard at the last one. An answer counts for <see cref="HeardMax"/>. One scrape
/// at a time; lives as long as the broker.
/// </remarks>
/// <param name="topics">The replicas of this broker.</param>
/// <param name="channels">The way to another broker; null while it is not known.</param>
/// <param name="image">The metadata: who leads what.</param>
/// <param name="time">The clock.</param>
internal sealed class LogEnds(
    HostedTopics topics, Func<int, RequestChannel?> channels, Func<MetadataImage> image, TimeProvider time)
{
    /// <summary>The most partitions of other brokers that are asked for.</summary>
    public const int PartitionsMax = 20_000;

    private const int PartitionsPerRequestMax = 2_000;
    private const long LatestTimestamp = -1;
    private const int ConsumerReplicaId = -1;

    /// <summary>How long an answer counts: as long as a scraper may take from one scrape to the next.</summary>
    public static readonly TimeSpan HeardMax = TimeSpan.FromMinutes(2);

    /// <summary>Leaders are not asked more often.</summary>
    private static readonly TimeSpan AskInterval = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan AskTimeout = TimeSpan.FromSeconds(5);

    private readonly HashSet<TopicPartition> _wanted = [];
    private volatile ConcurrentDictionary<TopicPartition, (long End, long At)> _heard = new();
    private long _askedAt;
    private Task _asking = Task.CompletedTask;

    /// <summary>Where a partition ends; null when that is not known, or not yet.</summary>
    public long? Of(TopicPartition partition)
    {
        if (topics.Find(partition.Topic)?.Find(partition.Partition)?.Log.HighWatermark is { } end)
            return end;
        if (_wanted.Count < PartitionsMax)
            _wanted.Add(partition);
        return _heard.TryGetValue(partition, out var heard) && time.GetElapsedTime(heard.At) < HeardMax ? heard.End : null;
    }

    /// <summary>A scrape is over: asks the leaders of what it wanted to know, for the next one.</summary>
    /// <returns>Completes when all have answered, or failed to.</returns>
    public Task AskForNextAsync()
    {
        if (_wanted.Count > 0 && _asking.IsCompleted && (_askedAt == 0 || time.GetElapsedTime(_askedAt) >= AskInterval))
        {
            _askedAt = time.GetTimestamp();
            _asking = AskAsync([.. _wanted]);
        }

        _wanted.Clear();
        return _asking;
    }

    private async Task AskAsync(TopicPartition[] partitions)
    {
        var metadata = image();
        var heard = new ConcurrentDictionary<TopicPartition, (long End, long At)>();
        var requests = new List<Task>();
        foreach (var byLeader in partitions.GroupBy(each => metadata.Topics.Find(each.Topic)?.Partition(each.Partition)?.Leader ?? -1))
        {
            if (byLeader.Key >= 0 && channels(byLeader.Key) is { } channel)
                requests.AddRange(byLeader.Chunk(PartitionsPerRequestMax).Select(chunk => AskAsync(channel, chunk, heard)));
        }

        await Task.WhenAll(requests);

        // Those of brokers that did not answer this time count for a while longer.
        foreach (var partition in partitions)
        {
            if (_heard.TryGetValue(partition, out var earlier))
                heard.TryAdd(partition, earlier);
        }

        _heard = heard;
    }

    private async Task AskAsync(
        RequestChannel channel, TopicPartition[] partitions, ConcurrentDictionary<TopicPartition, (long End, long At)> heard)
    {
        try
        {
            var answer = await channel.SendAsync<ListOffsetsRequest, ListOffsetsResponse>(RequestFor(partitions), AskTimeout);
            var now = time.GetTimestamp();
            foreach (var topic in answer.Topics)
            {
                foreach (var partition in topic.Partitions.Where(each => each.ErrorCode == (short)ErrorCode.None))
                    heard[new TopicPartition(topic.Name, partition.PartitionIndex)] = (partition.Offset, now);
            }
        }
        catch (RequestFailedException)
        {
            // What it leads counts as unknown, once its last answer is old.
        }
    }

    internal static ListOffsetsRequest RequestFor(TopicPartition[] partitions) => new()
    {
        ReplicaId = ConsumerReplicaId,
        Topics =
        [
            .. partitions.GroupBy(each => each.Topic).Select(topic => new ListOffsetsRequest.ListOffsetsTopic
            {
                Name = topic.Key,
                Partitions =
                [
                    .. topic.Select(each => new ListOffsetsRequest.ListOffsetsPartition
                    {
                        PartitionIndex = each.Partition,
                        Timestamp = LatestTimestamp,
                    }),
                ],
            }),
        ],
    };
}
