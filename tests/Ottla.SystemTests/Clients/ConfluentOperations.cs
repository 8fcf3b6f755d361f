using System.Text;
using Confluent.Kafka;
using Confluent.Kafka.Admin;

namespace Ottla.SystemTests.Clients;

/// <summary>
/// What the tests ask of Confluent.Kafka: compiled with the old version into the tests, and with the newest into its driver.
/// </summary>
internal static class ConfluentOperations
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    public static async Task CreateTopicAsync(string bootstrap, string topic, int partitions)
    {
        using var admin = BuildAdmin(bootstrap);
        await admin.CreateTopicsAsync([new TopicSpecification { Name = topic, NumPartitions = partitions, ReplicationFactor = 1 }]);
    }

    public static void Produce(string bootstrap, string topic, string codec, IReadOnlyList<TestRecord> records)
    {
        var config = new ProducerConfig
        {
            BootstrapServers = bootstrap,
            Acks = Acks.All,
            EnableIdempotence = true,
            CompressionType = Enum.Parse<CompressionType>(codec, ignoreCase: true),
        };
        ConfluentLogin.AddTo(config);
        using var producer = new ProducerBuilder<byte[]?, byte[]?>(config).SetLogHandler((_, _) => { })
            .SetOAuthBearerTokenRefreshHandler((client, _) => ConfluentLogin.SetToken(client)).Build();
        var failures = new List<string>();
        using var unreported = new CountdownEvent(records.Count);
        foreach (var record in records)
        {
            var headers = new Headers();
            foreach (var header in record.Headers)
                headers.Add(Encoding.UTF8.GetString(header[0]!), header[1]);
            var message = new Message<byte[]?, byte[]?>
            {
                Key = record.Key,
                Value = record.Value,
                Headers = headers,
                Timestamp = new Timestamp(record.Timestamp, TimestampType.CreateTime),
            };
            // Delivery handlers run one at a time, on the producer's polling thread. (Flush would run some on its own thread meanwhile.)
            producer.Produce(new TopicPartition(topic, record.Partition), message, report =>
            {
                if (report.Error.IsError)
                    failures.Add(report.Error.Reason);
                unreported.Signal();
            });
        }

        if (!unreported.Wait(Limit))
            throw new TimeoutException(
                $"{unreported.CurrentCount} of {records.Count} records remain undelivered after {Limit.TotalSeconds} s.");
        if (failures.Count > 0)
            throw new InvalidOperationException($"{failures.Count} records were not delivered; the first: {failures[0]}");
    }

    public static async Task<IReadOnlyList<AdminAnswer>> AdminAsync(string bootstrap, IReadOnlyList<AdminOperation> operations)
    {
        using var admin = BuildAdmin(bootstrap);
        var answers = new List<AdminAnswer>();
        foreach (var operation in operations)
        {
            try
            {
                answers.Add(await RunAsync(admin, bootstrap, operation) with { Ok = true });
            }
            catch (KafkaException exception)
            {
                var error = FindError(exception);
                answers.Add(new AdminAnswer { Error = (int)error.Code, Message = error.Reason });
            }
        }

        return answers;
    }

    private static IAdminClient BuildAdmin(string bootstrap)
    {
        var config = new AdminClientConfig { BootstrapServers = bootstrap };
        ConfluentLogin.AddTo(config);
        return new AdminClientBuilder(config).SetLogHandler((_, _) => { })
            .SetOAuthBearerTokenRefreshHandler((client, _) => ConfluentLogin.SetToken(client)).Build();
    }

    private static IConsumer<byte[]?, byte[]?> BuildConsumer(string bootstrap)
    {
        var config = new ConsumerConfig
        {
            BootstrapServers = bootstrap,
            GroupId = "unused",
            EnableAutoCommit = false,
            AutoOffsetReset = AutoOffsetReset.Error,
            CheckCrcs = true,
        };
        ConfluentLogin.AddTo(config);
        var consumer = new ConsumerBuilder<byte[]?, byte[]?>(config).SetLogHandler((_, _) => { })
            .SetOAuthBearerTokenRefreshHandler((client, _) => ConfluentLogin.SetToken(client)).Build();
        if (ClientLogin.OfThisProcess?.Token is not null)
            ConfluentLogin.SetToken(consumer); // it asks for one while it polls only, and offsets are asked for before
        return consumer;
    }

    public static List<ConsumedRecord> Consume(string bootstrap, string topic)
    {
        using var admin = BuildAdmin(bootstrap);
        var partitions = admin.GetMetadata(topic, Limit).Topics.Single().Partitions;
        using var consumer = BuildConsumer(bootstrap);
        var ends = new Dictionary<TopicPartition, Offset>();
        var assignment = new List<TopicPartitionOffset>();
        foreach (var partition in partitions.Select(partition => new TopicPartition(topic, partition.PartitionId)))
        {
            var watermarks = consumer.QueryWatermarkOffsets(partition, Limit);
            if (watermarks.Low == watermarks.High)
                continue;
            ends.Add(partition, watermarks.High);
            assignment.Add(new TopicPartitionOffset(partition, watermarks.Low));
        }

        consumer.Assign(assignment);
        var records = new List<ConsumedRecord>();
        while (ends.Count > 0)
        {
            var result = consumer.Consume(Limit) ?? throw new TimeoutException($"No record within {Limit.TotalSeconds} s.");
            records.Add(new ConsumedRecord(
                result.Partition.Value,
                result.Offset.Value,
                result.Message.Timestamp.UnixTimestampMs,
                result.Message.Key,
                result.Message.Value,
                [.. result.Message.Headers.Select(header => new[] { Encoding.UTF8.GetBytes(header.Key), header.GetValueBytes() })]));
            if (result.Offset == ends[result.TopicPartition] - 1)
                ends.Remove(result.TopicPartition);
        }

        consumer.Close();
        return records;
    }

    private static async Task<AdminAnswer> RunAsync(IAdminClient admin, string bootstrap, AdminOperation operation)
    {
        var resource = new ConfigResource { Type = ResourceType.Topic, Name = operation.Topic };
        switch (operation.Op)
        {
            case "create-topic":
                await admin.CreateTopicsAsync([new TopicSpecification
                {
                    Name = operation.Topic,
                    NumPartitions = operation.Partitions!.Value,
                    ReplicationFactor = 1,
                    Configs = operation.Configs!.ToDictionary(),
                }]);
                return new AdminAnswer();
            case "delete-topic":
                await admin.DeleteTopicsAsync([operation.Topic]);
                return new AdminAnswer();
            case "describe-topic":
                var topic = admin.GetMetadata(operation.Topic, Limit).Topics.Single();
                return topic.Error.IsError ? throw new KafkaException(topic.Error)
                    : new AdminAnswer { Partitions = topic.Partitions.Count };
            case "create-partitions":
                await admin.CreatePartitionsAsync(
                    [new PartitionsSpecification { Topic = operation.Topic, IncreaseTo = operation.Partitions!.Value }]);
                return new AdminAnswer();
            case "describe-configs":
                var described = await admin.DescribeConfigsAsync([resource]);
                return new AdminAnswer
                {
                    Configs = described.Single()
                    .Entries.ToDictionary(entry => entry.Key, entry => (string?)entry.Value.Value)
                };
            case "alter-config":
                var entry = new ConfigEntry { Name = operation.Name, Value = operation.Value };
                await admin.AlterConfigsAsync(new Dictionary<ConfigResource, List<ConfigEntry>> { [resource] = [entry] });
                return new AdminAnswer();
            case "list-offsets":
                using (var consumer = BuildConsumer(bootstrap))
                {
                    var watermarks = consumer.QueryWatermarkOffsets(new TopicPartition(operation.Topic, operation.Partition!.Value), Limit);
                    return new AdminAnswer { Earliest = watermarks.Low.Value, Latest = watermarks.High.Value };
                }

            case "delete-records":
                await admin.DeleteRecordsAsync(
                    [new TopicPartitionOffset(operation.Topic, operation.Partition!.Value, operation.Offset!.Value)]);
                return new AdminAnswer();
            case "list-groups":
                return new AdminAnswer { Groups = [.. admin.ListGroups(Limit).Select(group => group.Group)] };
            case "describe-group":
                var group = admin.ListGroup(operation.Group, Limit);
                return new AdminAnswer { State = group.State, Members = group.Members.Count };
            case "group-offsets":
                return new AdminAnswer { Offsets = CommittedOffsets(admin, bootstrap, operation.Group!, operation.Topic!) };
            case "delete-group":
                await admin.DeleteGroupsAsync([operation.Group]);
                return new AdminAnswer();
            default:
                throw new ArgumentException($"Unknown operation {operation.Op}.", nameof(operation));
        }
    }

    private static Dictionary<int, long> CommittedOffsets(IAdminClient admin, string bootstrap, string group, string topic)
    {
        var partitions = admin.GetMetadata(topic, Limit).Topics.Single()
            .Partitions.Select(partition => new TopicPartition(topic, partition.PartitionId));
        using var consumer = new ConsumerBuilder<Ignore, Ignore>(new ConsumerConfig { BootstrapServers = bootstrap, GroupId = group })
            .SetLogHandler((_, _) => { }).Build();
        return consumer.Committed(partitions, Limit).Where(one => one.Offset >= 0)
            .ToDictionary(one => one.Partition.Value, one => one.Offset.Value);
    }

    // The exceptions of several results carry each result's own error.
    private static Error FindError(KafkaException exception) => exception switch
    {
        CreateTopicsException create => create.Results.Single().Error,
        DeleteTopicsException delete => delete.Results.Single().Error,
        CreatePartitionsException partitions => partitions.Results.Single().Error,
        DescribeConfigsException describe => describe.Results.Single().Error,
        AlterConfigsException alter => alter.Results.Single().Error,
        DeleteGroupsException groups => groups.Results.Single().Error,
        DeleteRecordsException records => records.Results.Single().Error,
        _ => exception.Error,
    };
}
