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
        MemberInput.CancelAtEnd(leaving);
        var config = new ConsumerConfig
        {
            BootstrapServers = bootstrap,
            GroupId = group,
            GroupInstanceId = instance == "-" ? null : instance,
            AutoOffsetReset = AutoOffsetReset.Earliest,
            EnableAutoCommit = false,
            ReconnectBackoffMaxMs = 200,
        };
        var usesConsumerProtocol = Environment.GetEnvironmentVariable("CONFLUENT_GROUP_PROTOCOL") == "consumer";
        if (usesConsumerProtocol)
        {
            config.Set("group.protocol", "consumer"); // the older version has no property for it
        }
        else
        {
            config.SessionTimeoutMs = 6_000; // in the new protocol the broker's
            config.HeartbeatIntervalMs = 500;
        }

        var builder = new ConsumerBuilder<Ignore, Ignore>(config)
            .SetLogHandler((_, message) => Console.Error.WriteLine(message.Message))
            .SetErrorHandler((_, error) => Console.Error.WriteLine(error))
            .SetPartitionsAssignedHandler((member, added) => ReportAssigned(member.Assignment.Union(added)));
        if (usesConsumerProtocol)
            builder.SetPartitionsRevokedHandler(
                (member, revoked) => ReportAssigned(member.Assignment.Except(revoked.Select(one => one.TopicPartition))));
        using var consumer = builder.Build();
        consumer.Subscribe(topic);
        while (!leaving.IsCancellationRequested)
            ReadOne(consumer, leaving.Token);
        consumer.Close();
        return 0;
    }

    /// <summary>All partitions of the member: with the new protocol it is told of the changes only.</summary>
    private static void ReportAssigned(IEnumerable<TopicPartition> partitions) =>
        new GroupEvent { Event = GroupEvent.Assigned, Partitions = [.. partitions.Select(one => one.Partition.Value)] }.Tell();

    private static void ReadOne(IConsumer<Ignore, Ignore> consumer, CancellationToken leaving)
    {
        try
        {
            var result = consumer.Consume(leaving);
            new GroupEvent { Event = GroupEvent.Record, Partition = result.Partition.Value, Offset = result.Offset.Value }.Tell();
            consumer.Commit(result);
            new GroupEvent { Event = GroupEvent.Committed, Partition = result.Partition.Value, Offset = result.Offset.Value + 1 }.Tell();
        }
        catch (OperationCanceledException)
        {
            // It leaves.
        }
        catch (KafkaException refused)
        {
            // A rebalance or a restart; the member that reads the record next commits it.
            Console.Error.WriteLine(refused.Error);
        }
    }
}
