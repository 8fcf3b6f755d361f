using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Clients;

/// <summary>
/// Confluent.Kafka 1, in the tests' own process, over the installed librdkafka. Version 2 has a driver: <c>tests/Ottla.ConfluentDriver</c>.
/// </summary>
public sealed class ConfluentClient : KafkaClient
{
    /// <inheritdoc/>
    public override string Name => "confluent-dotnet";

    /// <inheritdoc/>
    public override string? FindMissing() => Requirements.Library("librdkafka.so");

    /// <inheritdoc/>
    public override Task CreateTopicAsync(string bootstrap, string topic, int partitions) =>
        ConfluentOperations.CreateTopicAsync(bootstrap, topic, partitions);

    /// <inheritdoc/>
    public override Task ProduceAsync(string bootstrap, string topic, string codec, IReadOnlyList<TestRecord> records) =>
        Task.Run(() => ConfluentOperations.Produce(bootstrap, topic, codec, records));

    /// <inheritdoc/>
    public override Task<IReadOnlyList<ConsumedRecord>> ConsumeAsync(string bootstrap, string topic) =>
        Task.Run<IReadOnlyList<ConsumedRecord>>(() => ConfluentOperations.Consume(bootstrap, topic));

    /// <inheritdoc/>
    public override Task<IReadOnlyList<AdminAnswer>> AdminAsync(string bootstrap, IReadOnlyList<AdminOperation> operations) =>
        ConfluentOperations.AdminAsync(bootstrap, operations);

    /// <inheritdoc/>
    public override MemberCommand GroupMemberCommand(string bootstrap, string group, string topic, string? instance) =>
        new(
            "dotnet",
            [typeof(ConfluentGroupMember).Assembly.Location, "group", bootstrap, group, topic, instance ?? "-"],
            new Dictionary<string, string>(),
            GroupEvent.ParseJson,
            EndsWithInput: true);
}
