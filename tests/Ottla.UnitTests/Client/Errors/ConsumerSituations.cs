using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Testing;
using Ottla.UnitTests.Client.Consumer;

namespace Ottla.UnitTests.Client.Errors;

/// <summary>Situations of consumers, of both group protocols.</summary>
internal static class ConsumerSituations
{
    private const string Topic = "t";
    private const int WatchedMs = 2_500;
    private static readonly TopicPartition s_partition = new(Topic, 0);

    public static IEnumerable<ErrorSituation> All =>
    [
        .. Common("consumer-classic", GroupProtocol.Classic),
        .. Common("consumer-consumer", GroupProtocol.Consumer),
        new("consumer-classic", "join, first", ApiKey.JoinGroup, ErrorLevel.All, false, probe => ReadAsync(probe, GroupProtocol.Classic)),
        new("consumer-classic", "join, with member id", ApiKey.JoinGroup, ErrorLevel.All, false,
            probe => ReadAsync(probe, GroupProtocol.Classic, skipped: 1)),
        new("consumer-classic", "sync", ApiKey.SyncGroup, ErrorLevel.All, false, probe => ReadAsync(probe, GroupProtocol.Classic)),
        new("consumer-classic", "heartbeat in a stable group", ApiKey.Heartbeat, ErrorLevel.All, false,
            probe => StayAsync(probe, GroupProtocol.Classic)),
        new("consumer-classic", "leave at close", ApiKey.LeaveGroup, ErrorLevel.All, false,
            probe => CloseAsync(probe, GroupProtocol.Classic)),
        new("consumer-consumer", "join heartbeat", ApiKey.ConsumerGroupHeartbeat, ErrorLevel.All, false,
            probe => ReadAsync(probe, GroupProtocol.Consumer)),
        new("consumer-consumer", "heartbeat in a stable group", ApiKey.ConsumerGroupHeartbeat, ErrorLevel.All, false,
            probe => StayAsync(probe, GroupProtocol.Consumer)),
        new("consumer-consumer", "leave heartbeat at close", ApiKey.ConsumerGroupHeartbeat, ErrorLevel.All, false,
            probe => CloseAsync(probe, GroupProtocol.Consumer)),
        new("consumer-classic-static", "static: join, first", ApiKey.JoinGroup, ErrorLevel.All, false,
            probe => ReadAsync(probe, GroupProtocol.Classic, isStatic: true)),
        new("consumer-classic-static", "static: heartbeat in a stable group", ApiKey.Heartbeat, ErrorLevel.All, false,
            probe => StayAsync(probe, GroupProtocol.Classic, isStatic: true)),
        new("consumer-consumer-static", "static: join, first", ApiKey.ConsumerGroupHeartbeat, ErrorLevel.All, false,
            probe => ReadAsync(probe, GroupProtocol.Consumer, isStatic: true)),
        new("consumer-consumer-static", "static: heartbeat in a stable group", ApiKey.ConsumerGroupHeartbeat, ErrorLevel.All, false,
            probe => StayAsync(probe, GroupProtocol.Consumer, isStatic: true)),
    ];

    private static IEnumerable<ErrorSituation> Common(string group, GroupProtocol protocol) =>
    [
        new(group, "first metadata, topic error (subscribe)", ApiKey.Metadata, ErrorLevel.Items, true,
            probe => ReadAsync(probe, protocol)),
        new(group, "group's coordinator", ApiKey.FindCoordinator, ErrorLevel.Items, false, probe => ReadAsync(probe, protocol)),
        new(group, "committed offsets, group error", ApiKey.OffsetFetch, ErrorLevel.All, false, probe => ReadAsync(probe, protocol)),
        new(group, "committed offsets, partition error", ApiKey.OffsetFetch, ErrorLevel.Items, true,
            probe => ReadAsync(probe, protocol)),
        new(group, "reset by ListOffsets", ApiKey.ListOffsets, ErrorLevel.Items, true, probe => ReadAsync(probe, protocol)),
        new(group, "fetch, partition error", ApiKey.Fetch, ErrorLevel.Items, true, probe => ReadAsync(probe, protocol)),
        new(group, "fetch, top error", ApiKey.Fetch, ErrorLevel.Top, false, probe => ReadAsync(probe, protocol)),
        new(group, "fetch, partition error with a session", ApiKey.Fetch, ErrorLevel.Items, true, probe => ReadOnAsync(probe, protocol)),
        new(group, "fetch, top error with a session", ApiKey.Fetch, ErrorLevel.Top, false, probe => ReadOnAsync(probe, protocol)),
        new(group, "auto commit", ApiKey.OffsetCommit, ErrorLevel.All, false, probe => StayAsync(probe, protocol, autoCommits: true)),
        new(group, "commitSync", ApiKey.OffsetCommit, ErrorLevel.All, false, probe => CommitAsync(probe, protocol)),
        new(group, "commitAsync", ApiKey.OffsetCommit, ErrorLevel.All, false, probe => CommitUnawaitedAsync(probe, protocol)),
        new(group, "endOffsets", ApiKey.ListOffsets, ErrorLevel.Items, true,
            probe => AskAsync(probe, protocol, consumer => consumer.EndOffsetsAsync([s_partition]))),
        new(group, "committed()", ApiKey.OffsetFetch, ErrorLevel.All, false,
            probe => AskAsync(probe, protocol, consumer => consumer.CommittedAsync([s_partition]))),
        new(group, "position with epoch", ApiKey.OffsetForLeaderEpoch, ErrorLevel.All, false, SeekAsync),
    ];

    private static Consumer<string, string> NewConsumer(
        ErrorProbe probe, GroupProtocol protocol, bool isStatic = false, string? group = "g", bool autoCommits = false) =>
        new(probe.Client, new ConsumerOptions
        {
            GroupId = group is null ? null : $"{group}{probe.Number}",
            GroupInstanceId = isStatic ? "i" : null,
            GroupProtocol = protocol,
            OffsetReset = OffsetReset.Earliest,
            EnableAutoCommit = autoCommits,
            AutoCommitInterval = TimeSpan.FromMilliseconds(WatchedMs / 5),
            SessionTimeout = TimeSpan.FromSeconds(3),
            HeartbeatInterval = TimeSpan.FromMilliseconds(200),
            CloseTimeout = TimeSpan.FromSeconds(2),
        });

    /// <summary>Polls until a record comes, or something is thrown.</summary>
    private static async Task<KafkaException?> ReadOneAsync(ErrorProbe probe, Consumer<string, string> consumer)
    {
        try
        {
            var record = await consumer.ConsumeOneAsync(TimeSpan.FromSeconds(10));
            Assert.True(record is not null, $"nothing came after {probe.Error}");
            return null;
        }
        catch (KafkaException e)
        {
            return e;
        }
    }

    private static async Task<string> ReadAsync(ErrorProbe probe, GroupProtocol protocol, bool isStatic = false, int skipped = 0)
    {
        var consumer = NewConsumer(probe, protocol, isStatic);
        consumer.Subscribe([Topic]);
        probe.Arm(skipped);
        var failure = await ReadOneAsync(probe, consumer);
        Assert.True(probe.WasRefused);
        if (failure is null)
            return probe.RetriesOrEnds();
        Assert.Null(await ReadOneAsync(probe, consumer)); // another poll goes on
        return "throws";
    }

    /// <summary>Reads what there is, and then what comes later.</summary>
    private static async Task<string> ReadOnAsync(ErrorProbe probe, GroupProtocol protocol)
    {
        var consumer = NewConsumer(probe, protocol);
        consumer.Subscribe([Topic]);
        Assert.Null(await ReadOneAsync(probe, consumer));
        await WatchAsync(probe, consumer, WatchedMs);
        await using var other = probe.NewClient();
        await using var producer = other.CreateProducer<string, string>();
        probe.Arm();
        KafkaException? failure = null;
        for (var i = 0; i < 2 && failure is null; i++) // the first record may be the answer to a fetch that is under way
        {
            await producer.ProduceAsync(Topic, "k", "later");
            failure = await ReadOneAsync(probe, consumer);
            await WatchAsync(probe, consumer, 1); // it asks for the next one
        }

        Assert.True(probe.WasRefused);
        if (failure is null)
            return probe.RetriesOrEnds();
        Assert.Null(await ReadOneAsync(probe, consumer));
        return "throws";
    }

    private static async Task<string> StayAsync(
        ErrorProbe probe, GroupProtocol protocol, bool isStatic = false, bool autoCommits = false)
    {
        var consumer = NewConsumer(probe, protocol, isStatic, autoCommits: autoCommits);
        var listener = new NotingListener();
        consumer.Subscribe([Topic], listener);
        Assert.Null(await ReadOneAsync(probe, consumer));
        if (!autoCommits)
            await WatchAsync(probe, consumer, WatchedMs / 2);
        listener.Notes.Clear();
        probe.Arm();
        var failure = await WatchAsync(probe, consumer, WatchedMs);
        Assert.True(probe.WasRefused);
        return Outcome(probe, failure, listener);
    }

    private static string Outcome(ErrorProbe probe, KafkaException? failure, NotingListener listener)
    {
        var isLost = listener.Notes.Exists(note => note.StartsWith("lost", StringComparison.Ordinal));
        return failure is not null ? isLost ? "throws, lost" : "throws" : isLost ? "lost" : probe.RetriesOrEnds();
    }

    /// <summary>Polls on for a time.</summary>
    private static async Task<KafkaException?> WatchAsync(ErrorProbe probe, Consumer<string, string> consumer, int milliseconds)
    {
        KafkaException? failure = null;
        var end = probe.Clock.GetUtcNow().AddMilliseconds(milliseconds);
        while (probe.Clock.GetUtcNow() < end)
        {
            var polled = await ClientRun.TryAsync(consumer.ConsumeOneAsync(TimeSpan.FromMilliseconds(100)).AsTask());
            failure ??= polled;
        }

        return failure;
    }

    private static async Task<string> CloseAsync(ErrorProbe probe, GroupProtocol protocol)
    {
        var consumer = NewConsumer(probe, protocol);
        consumer.Subscribe([Topic]);
        Assert.Null(await ReadOneAsync(probe, consumer));
        await WatchAsync(probe, consumer, WatchedMs / 2);
        probe.Arm();
        await consumer.CloseAsync();
        Assert.True(probe.WasRefused);
        return probe.RetriesOrEnds();
    }

    private static async Task<string> CommitAsync(ErrorProbe probe, GroupProtocol protocol)
    {
        var consumer = NewConsumer(probe, protocol);
        var listener = new NotingListener();
        consumer.Subscribe([Topic], listener);
        Assert.Null(await ReadOneAsync(probe, consumer));
        await WatchAsync(probe, consumer, WatchedMs / 2);
        probe.Arm();
        var failure = await ClientRun.TryAsync(consumer.CommitAsync());
        Assert.True(probe.WasRefused);
        await WatchAsync(probe, consumer, WatchedMs);
        return Outcome(probe, failure, listener);
    }

    /// <summary>Commits and reads on meanwhile.</summary>
    private static async Task<string> CommitUnawaitedAsync(ErrorProbe probe, GroupProtocol protocol)
    {
        var consumer = NewConsumer(probe, protocol);
        var listener = new NotingListener();
        consumer.Subscribe([Topic], listener);
        Assert.Null(await ReadOneAsync(probe, consumer));
        await WatchAsync(probe, consumer, WatchedMs / 2);
        probe.Arm();
        var committing = ClientRun.TryAsync(consumer.CommitAsync());
        await WatchAsync(probe, consumer, WatchedMs);
        Assert.True(probe.WasRefused);
        return Outcome(probe, await committing, listener);
    }

    private static async Task<string> AskAsync(ErrorProbe probe, GroupProtocol protocol, Func<Consumer<string, string>, Task> askAsync)
    {
        var consumer = NewConsumer(probe, protocol);
        probe.Arm();
        var failure = await ClientRun.TryAsync(askAsync(consumer));
        Assert.True(probe.WasRefused);
        return failure is null ? probe.RetriesOrEnds() : "throws";
    }

    private static async Task<string> SeekAsync(ErrorProbe probe)
    {
        var consumer = NewConsumer(probe, GroupProtocol.Auto, group: null);
        consumer.Assign([s_partition]);
        probe.Arm();
        consumer.Seek(new PartitionOffset(s_partition, new CommitOffset(0, 0)));
        var failure = await ReadOneAsync(probe, consumer);
        Assert.True(probe.WasRefused);
        return failure is null ? probe.RetriesOrEnds() : "throws";
    }
}
