using System.Text.Json.Serialization;

namespace Ottla.SystemTests.Clients;

/// <summary>One admin operation of the drivers' contract; which of the fields it has is a matter of <see cref="Op"/>.</summary>
public sealed record AdminOperation
{
    [JsonPropertyName("op")]
    public required string Op { get; init; }

    [JsonPropertyName("topic")]
    public string? Topic { get; init; }

    [JsonPropertyName("group")]
    public string? Group { get; init; }

    [JsonPropertyName("partitions")]
    public int? Partitions { get; init; }

    [JsonPropertyName("configs")]
    public IReadOnlyDictionary<string, string>? Configs { get; init; }

    [JsonPropertyName("name")]
    public string? Name { get; init; }

    [JsonPropertyName("value")]
    public string? Value { get; init; }

    [JsonPropertyName("partition")]
    public int? Partition { get; init; }

    [JsonPropertyName("offset")]
    public long? Offset { get; init; }

    public static AdminOperation CreateTopic(string topic, int partitions, params (string Name, string Value)[] configs) =>
        new()
        {
            Op = "create-topic",
            Topic = topic,
            Partitions = partitions,
            Configs = configs.ToDictionary(config => config.Name, config => config.Value)
        };

    public static AdminOperation DeleteTopic(string topic) => new() { Op = "delete-topic", Topic = topic };

    public static AdminOperation DescribeTopic(string topic) => new() { Op = "describe-topic", Topic = topic };

    public static AdminOperation CreatePartitions(string topic, int partitions) =>
        new() { Op = "create-partitions", Topic = topic, Partitions = partitions };

    public static AdminOperation DescribeConfigs(string topic) => new() { Op = "describe-configs", Topic = topic };

    public static AdminOperation AlterConfig(string topic, string name, string value) =>
        new() { Op = "alter-config", Topic = topic, Name = name, Value = value };

    public static AdminOperation ListOffsets(string topic, int partition) =>
        new() { Op = "list-offsets", Topic = topic, Partition = partition };

    public static AdminOperation DeleteRecords(string topic, int partition, long offset) =>
        new() { Op = "delete-records", Topic = topic, Partition = partition, Offset = offset };

    public static AdminOperation ListGroups() => new() { Op = "list-groups" };

    public static AdminOperation DescribeGroup(string group) => new() { Op = "describe-group", Group = group };

    public static AdminOperation GroupOffsets(string group, string topic) => new() { Op = "group-offsets", Group = group, Topic = topic };

    public static AdminOperation DeleteGroup(string group) => new() { Op = "delete-group", Group = group };
}

/// <summary>What an operation came to: Kafka's error code, or the fields that the operation answers.</summary>
public sealed record AdminAnswer
{
    [JsonPropertyName("ok")]
    public bool Ok { get; init; }

    [JsonPropertyName("unsupported")]
    public bool Unsupported { get; init; }

    [JsonPropertyName("error")]
    public int Error { get; init; }

    [JsonPropertyName("message")]
    public string? Message { get; init; }

    [JsonPropertyName("partitions")]
    public int? Partitions { get; init; }

    [JsonPropertyName("earliest")]
    public long? Earliest { get; init; }

    [JsonPropertyName("latest")]
    public long? Latest { get; init; }

    [JsonPropertyName("configs")]
    public IReadOnlyDictionary<string, string?>? Configs { get; init; }

    [JsonPropertyName("groups")]
    public IReadOnlyList<string>? Groups { get; init; }

    [JsonPropertyName("state")]
    public string? State { get; init; }

    [JsonPropertyName("members")]
    public int? Members { get; init; }

    [JsonPropertyName("offsets")]
    public IReadOnlyDictionary<int, long>? Offsets { get; init; }
}
