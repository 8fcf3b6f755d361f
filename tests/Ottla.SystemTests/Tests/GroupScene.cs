using System.Globalization;
using System.Text;
using Confluent.Kafka;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;
using Xunit.Abstractions;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// A topic and a group of one test: what is produced, who its members are, and what is committed. In the end it tells the test's output
/// what the members and the broker said last, which is shown if the test failed.
/// </summary>
internal sealed class GroupScene : IAsyncDisposable
{
    public const int PartitionCount = 6;

    /// <summary>Longer than a session (6 s) and the rebalance that follows it.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(40);

    private readonly List<GroupMember> _members = [];
    private readonly KafkaClient _client;
    private readonly string _bootstrap;
    private readonly Func<string> _brokerOutput;
    private readonly ITestOutputHelper _output;

    private GroupScene(KafkaClient client, string bootstrap, Func<string> brokerOutput, ITestOutputHelper output)
    {
        _client = client;
        _bootstrap = bootstrap;
        _brokerOutput = brokerOutput;
        _output = output;
        Topic = BrokerFixture.NewTopicName("group");
        Group = BrokerFixture.NewTopicName("members");
    }

    public string Topic { get; }

    public string Group { get; }

    /// <summary>How many records each partition has.</summary>
    public int Produced { get; private set; }

    public static async Task<GroupScene> CreateAsync(string client, string bootstrap, Func<string> brokerOutput, ITestOutputHelper output)
    {
        var scene = new GroupScene(ClientCatalog.Get(client), bootstrap, brokerOutput, output);
        await ClientCatalog.Get("confluent-dotnet").CreateTopicAsync(bootstrap, scene.Topic, PartitionCount);
        return scene;
    }

    /// <summary>Produces so many more records to each partition.</summary>
    public async Task ProduceAsync(int perPartition)
    {
        var records = Enumerable.Range(0, PartitionCount)
            .SelectMany(partition => Enumerable.Range(Produced, perPartition).Select(number => new TestRecord(
            partition, 1_700_000_000_000 + number, null,
            Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{partition}-{number}")), [])));
        await ClientCatalog.Get("confluent-dotnet").ProduceAsync(_bootstrap, Topic, "none", [.. records]);
        Produced += perPartition;
    }

    public GroupMember Join(string? instance = null) =>
        Join((bootstrap, group, topic) => _client.GroupMemberCommand(bootstrap, group, topic, instance));

    /// <summary>Starts a member of any client.</summary>
    /// <param name="command">Makes its command line of the cluster, the group and the topic.</param>
    public GroupMember Join(Func<string, string, string, MemberCommand> command)
    {
        var member = GroupMember.Start(command(_bootstrap, Group, Topic));
        _members.Add(member);
        return member;
    }

    /// <summary>All members that there were.</summary>
    public IReadOnlyList<GroupMember> Members => _members;

    /// <summary>The partitions are shared out among these members, each to one of them, and evenly.</summary>
    public Task SharedAmongAsync(params GroupMember[] members) => HoldsAsync($"{members.Length} members share all partitions", () =>
        members.SelectMany(member => member.Partitions).Order().SequenceEqual(Enumerable.Range(0, PartitionCount))
        && members.All(member => member.Partitions.Count >= PartitionCount / members.Length));

    /// <summary>Everything that was produced is committed.</summary>
    public Task AllCommittedAsync() => HoldsAsync($"{Produced} records of each partition are committed", () =>
        Committed() is var committed && committed.Count == PartitionCount && committed.Values.All(offset => offset == Produced));

    /// <summary>
    /// These members read so many records of the topic, each at least once, and no others. What is committed was read before, but a
    /// member's words come through a pipe and may be on their way.
    /// </summary>
    public async Task ReadAsync(int count, params GroupMember[] members)
    {
        await HoldsAsync($"{count} records are read", () => Read() >= count);
        Assert.Equal(count, Read());

        int Read() => members.SelectMany(member => member.Records).Distinct().Count();
    }

    /// <summary>Awaits a condition.</summary>
    /// <exception cref="TimeoutException">It does not come to hold.</exception>
    public async Task HoldsAsync(string what, Func<bool> condition)
    {
        try
        {
            await Until.TrueAsync(what, Patience, condition);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message} Committed: {string.Join(", ", Committed())}");
        }
    }

    /// <summary>What the group has committed, by partition.</summary>
    public IReadOnlyDictionary<int, long> Committed()
    {
        using var consumer = new ConsumerBuilder<Ignore, Ignore>(new ConsumerConfig { BootstrapServers = _bootstrap, GroupId = Group })
            .SetLogHandler((_, _) => { }).Build();
        return consumer.Committed(Enumerable.Range(0, PartitionCount).Select(partition => new TopicPartition(Topic, partition)), Patience)
            .Where(committed => committed.Offset >= 0)
            .ToDictionary(committed => committed.Partition.Value, committed => committed.Offset.Value);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var member in _members)
        {
            _output.WriteLine(member.ToString());
            await member.DisposeAsync();
        }

        _output.WriteLine($"broker:\n{_brokerOutput()}");
    }
}
