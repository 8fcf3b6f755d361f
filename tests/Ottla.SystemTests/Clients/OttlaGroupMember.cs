using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.SystemTests.Clients;

/// <summary>A member of a group with the .NET client: the driver's command <c>group</c> of README.md.</summary>
internal static class OttlaGroupMember
{
    private const string Assignors = "OTTLA_ASSIGNORS";
    private static readonly TimeSpan s_wait = TimeSpan.FromSeconds(1);

    /// <summary>The command line of a member.</summary>
    /// <param name="bootstrap">The cluster.</param>
    /// <param name="group">The group's id.</param>
    /// <param name="topic">What it reads.</param>
    /// <param name="assignors">The assignors of the classic protocol, with commas; null for the consumer protocol.</param>
    public static MemberCommand Command(string bootstrap, string group, string topic, string? assignors) => new(
        "dotnet",
        [typeof(OttlaGroupMember).Assembly.Location, "ottla-group", bootstrap, group, topic],
        assignors is null ? new Dictionary<string, string>() : new Dictionary<string, string> { [Assignors] = assignors },
        GroupEvent.ParseJson,
        EndsWithInput: true);

    /// <summary>Joins, reads and commits each record until the input ends; then leaves.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(string bootstrap, string group, string topic)
    {
        using var leaving = new CancellationTokenSource();
        MemberInput.CancelAtEnd(leaving);
        var options = new ConsumerOptions
        {
            GroupId = group,
            GroupProtocol = GroupProtocol.Consumer,
            OffsetReset = OffsetReset.Earliest,
            EnableAutoCommit = false,
        };
        if (Environment.GetEnvironmentVariable(Assignors) is { } assignors)
        {
            options = options with
            {
                GroupProtocol = GroupProtocol.Classic,
                Assignors = assignors.Split(','),
                SessionTimeout = TimeSpan.FromSeconds(6),
                HeartbeatInterval = TimeSpan.FromMilliseconds(500),
            };
        }

        await using var client = new OttlaClient(new OttlaClientOptions
        {
            BootstrapServers = bootstrap,
            ReconnectBackoffMax = TimeSpan.FromMilliseconds(200),
        });
        await using var consumer = client.CreateConsumer<byte[], byte[]>(options);
        consumer.Subscribe([topic], new Telling());
        while (!leaving.IsCancellationRequested)
            await ReadOneAsync(consumer, leaving.Token);
        await consumer.CloseAsync();
        return 0;
    }

    private static async Task ReadOneAsync(Consumer<byte[], byte[]> consumer, CancellationToken leaving)
    {
        try
        {
            if (await consumer.ConsumeOneAsync(s_wait, leaving) is not { } record)
                return;
            new GroupEvent { Event = GroupEvent.Record, Partition = record.Partition, Offset = record.Offset }.Tell();
            await consumer.CommitAsync([record.Next], CancellationToken.None);
            new GroupEvent { Event = GroupEvent.Committed, Partition = record.Partition, Offset = record.Offset + 1 }.Tell();
        }
        catch (OperationCanceledException)
        {
            // It leaves.
        }
        catch (KafkaException refused)
        {
            // A rebalance or a restart; the member that reads the record next commits it.
            await Console.Error.WriteLineAsync(refused.Message);
        }
    }

    /// <summary>Tells all partitions after each change.</summary>
    private sealed class Telling : IRebalanceListener
    {
        private readonly HashSet<int> _partitions = [];

        public ValueTask OnAssignedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
        {
            _partitions.UnionWith(partitions.Select(one => one.Partition));
            return TellAsync();
        }

        public ValueTask OnRevokedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
        {
            _partitions.ExceptWith(partitions.Select(one => one.Partition));
            return TellAsync();
        }

        public ValueTask OnLostAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) =>
            OnRevokedAsync(partitions, cancellation);

        private ValueTask TellAsync()
        {
            new GroupEvent { Event = GroupEvent.Assigned, Partitions = [.. _partitions] }.Tell();
            return ValueTask.CompletedTask;
        }
    }
}
