using System.Text.Json;
using Confluent.Kafka;

namespace Ottla.SystemTests.Clients;

/// <summary>A member of a group with Confluent.Kafka: the driver's command <c>group</c> of README.md.</summary>
internal static class ConfluentGroupMember
{
    /// <summary>Joins, reads and commits each record until the input ends; then leaves.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(string bootstrap, string group, string topic, string instance)
    {
        using var leaving = new CancellationTokenSource();
        new Thread(() => LeaveAtEndOfInput(leaving)) { IsBackground = true }.Start();
        var config = new ConsumerConfig
        {
            BootstrapServers = bootstrap,
            GroupId = group,
            GroupInstanceId = instance == "-" ? null : instance,
            AutoOffsetReset = AutoOffsetReset.Earliest,
            EnableAutoCommit = false,
            SessionTimeoutMs = 6_000,
            HeartbeatIntervalMs = 500,
            ReconnectBackoffMaxMs = 200,
        };
        using var consumer = new ConsumerBuilder<Ignore, Ignore>(config)
            .SetLogHandler((_, message) => Console.Error.WriteLine(message.Message))
            .SetErrorHandler((_, error) => Console.Error.WriteLine(error))
            .SetPartitionsAssignedHandler((_, partitions) => Tell(new GroupEvent { Event = GroupEvent.Assigned, Partitions = [.. partitions.Select(one => one.Partition.Value)] }))
            .Build();
        consumer.Subscribe(topic);
        while (!leaving.IsCancellationRequested)
            ReadOne(consumer, leaving.Token);
        consumer.Close();
        return 0;
    }

    private static void ReadOne(IConsumer<Ignore, Ignore> consumer, CancellationToken leaving)
    {
        try
        {
            var result = consumer.Consume(leaving);
            Tell(new GroupEvent { Event = GroupEvent.Record, Partition = result.Partition.Value, Offset = result.Offset.Value });
            consumer.Commit(result);
            Tell(new GroupEvent { Event = GroupEvent.Committed, Partition = result.Partition.Value, Offset = result.Offset.Value + 1 });
        }
        catch (OperationCanceledException)
        {
            // It leaves.
        }
        catch (KafkaException refused)
        {
            // A rebalance or a restart; whoever reads the record next commits it.
            Console.Error.WriteLine(refused.Error);
        }
    }

    private static void LeaveAtEndOfInput(CancellationTokenSource leaving)
    {
        while (Console.In.Read() >= 0)
        {
        }

        leaving.Cancel();
    }

    private static void Tell(GroupEvent what) => Console.Out.WriteLine(JsonSerializer.Serialize(what));
}
