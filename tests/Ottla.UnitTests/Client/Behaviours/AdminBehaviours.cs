using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>What the admin client does.</summary>
internal static class AdminBehaviours
{
    public static IEnumerable<Behaviour> All => [.. Topics, .. Logs, .. Groups, .. Transactions, .. Cluster];

    private static IEnumerable<Behaviour> Topics =>
    [
        new("creates topics", async run =>
        {
            run.Succeeded(await CreateAsync(run, new NewTopic(run.Topic) { Partitions = 3 }), ErrorCode.TopicAlreadyExists);
            Assert.Equal(3, (await DescribeAsync(run)).Partitions.Count);
        }),
        new("creates topics with configs", async run =>
        {
            var topic = new NewTopic(run.Topic) { Configs = new Dictionary<string, string?> { ["cleanup.policy"] = "compact" } };
            run.Succeeded(await CreateAsync(run, topic), ErrorCode.TopicAlreadyExists);
            Assert.Equal("compact", (await ConfigAsync(run, "cleanup.policy")).Value);
        }),
        new("creates topics on the replicas that it names", async run =>
        {
            var replicas = Enumerable.Range(1, run.Nodes).Reverse().ToArray();
            var topic = new NewTopic(run.Topic) { ReplicaAssignments = new Dictionary<int, IReadOnlyList<int>> { [0] = replicas } };
            run.Succeeded(await CreateAsync(run, topic), ErrorCode.TopicAlreadyExists);
            Assert.Equal(replicas, Assert.Single((await DescribeAsync(run)).Partitions).Replicas);
        }),
        new("does not create a topic twice", async run =>
        {
            await run.CreateTopicAsync();
            Assert.Equal(ErrorCode.TopicAlreadyExists, (await CreateAsync(run, new NewTopic(run.Topic))).Error);
        }),
        new("only checks topics when it is told to", async run =>
        {
            await CreateAsync(run, new NewTopic(run.Topic), validateOnly: true);
            var described = await run.EndsAsync(run.Admin.DescribeTopicsAsync([run.Topic]));
            Assert.Equal(ErrorCode.UnknownTopicOrPartition, described[run.Topic].Error);
        }),
        new("refuses a name that is invalid, and creates the others", async run =>
        {
            var created = await run.EndsAsync(run.Admin.CreateTopicsAsync([new NewTopic("in/valid"), new NewTopic(run.Topic)]));
            Assert.Equal(ErrorCode.InvalidTopicException, created["in/valid"].Error);
            run.Succeeded(created[run.Topic], ErrorCode.TopicAlreadyExists, ErrorCode.InvalidReplicationFactor);
        }),
        new("lists topics", async run =>
        {
            await run.CreateTopicAsync();
            Assert.Contains(run.Topic, (await run.EndsAsync(run.Admin.ListTopicsAsync())).Select(topic => topic.Name));
        }),
        new("describes topics by name and by id", async run =>
        {
            await run.CreateTopicAsync(2);
            var topic = await DescribeAsync(run);
            Assert.Equal((run.Topic, 2), (topic.Name, topic.Partitions.Count));
            var byId = await run.EndsAsync(run.Admin.DescribeTopicsAsync([topic.Id]));
            Assert.Equal(run.Topic, byId[topic.Id].Value!.Name);
        }),
        new("deletes topics", async run =>
        {
            await run.CreateForeignTopicAsync(run.Topic);
            run.Succeeded((await run.EndsAsync(run.Admin.DeleteTopicsAsync([run.Topic])))[run.Topic], ErrorCode.UnknownTopicOrPartition);
            var described = await run.EndsAsync(run.Admin.DescribeTopicsAsync([run.Topic]));
            Assert.Equal(ErrorCode.UnknownTopicOrPartition, described[run.Topic].Error);
        }),
        new("deletes topics by id", async run =>
        {
            await run.CreateForeignTopicAsync(run.Topic);
            var id = (await DescribeAsync(run)).Id;
            run.Succeeded((await run.EndsAsync(run.Admin.DeleteTopicsAsync([id])))[id], ErrorCode.UnknownTopicId);
        }),
        new("adds partitions", async run =>
        {
            await run.CreateTopicAsync();
            await run.AddPartitionsAsync(4);
            Assert.Equal(4, (await DescribeAsync(run)).Partitions.Count);
        }),
        new("does not take partitions away", async run =>
        {
            await run.CreateTopicAsync(3);
            var partitions = new Dictionary<string, NewPartitions> { [run.Topic] = new(2) };
            Assert.Equal(
                ErrorCode.InvalidPartitions, (await run.EndsAsync(run.Admin.CreatePartitionsAsync(partitions)))[run.Topic].Error);
        }),
        new("changes configs of topics one by one", async run =>
        {
            await run.CreateTopicAsync();
            await AlterAsync(new ConfigChange("retention.ms", "12345"));
            await AlterAsync(new ConfigChange("max.message.bytes", "5000"));
            Assert.Equal("12345", (await ConfigAsync(run, "retention.ms")).Value);
            await AlterAsync(ConfigChange.Delete("retention.ms"));
            Assert.True((await ConfigAsync(run, "retention.ms")).IsDefault);
            Assert.Equal("5000", (await ConfigAsync(run, "max.message.bytes")).Value);

            async Task AlterAsync(ConfigChange change)
            {
                var resource = ConfigResource.Topic(run.Topic);
                var altered = await run.EndsAsync(run.Admin.IncrementalAlterConfigsAsync(
                    new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>> { [resource] = [change] }));
                run.Succeeded(altered[resource]);
            }
        }),
        new("refuses a config that is invalid", async run =>
        {
            await run.CreateTopicAsync();
            var resource = ConfigResource.Topic(run.Topic);
            var altered = await run.EndsAsync(run.Admin.IncrementalAlterConfigsAsync(
                new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>> { [resource] = [new ConfigChange("retention.ms", "long")] }));
            Assert.Equal(ErrorCode.InvalidConfig, altered[resource].Error);
        }),
    ];

    private static IEnumerable<Behaviour> Logs =>
    [
        new("looks up offsets", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(3);
            var first = OffsetSpec.ForTimestamp(DateTimeOffset.UnixEpoch);
            foreach (var (spec, expected) in new[] { (OffsetSpec.Earliest, 0), (OffsetSpec.Latest, 3), (first, 0) })
            {
                var found = await run.EndsAsync(run.Admin.ListOffsetsAsync(
                    new Dictionary<TopicPartition, OffsetSpec> { [run.Partition()] = spec }));
                Assert.Equal(expected, found[run.Partition()].Value.Offset);
            }
        }),
        new("deletes records", async run =>
        {
            await run.CreateForeignTopicAsync(run.Topic);
            await using (var producer = run.NewProducer())
            {
                for (var i = 0; i < 4; i++)
                    await run.EndsAsync(producer.ProduceAsync(run.Topic, null!, i));
            }

            var deleted = await run.EndsAsync(run.Admin.DeleteRecordsAsync(new Dictionary<TopicPartition, long> { [run.Partition()] = 3 }));
            Assert.Equal(3, deleted[run.Partition()].Value);
            var first = await run.EndsAsync(run.Admin.ListOffsetsAsync(
                new Dictionary<TopicPartition, OffsetSpec> { [run.Partition()] = OffsetSpec.Earliest }));
            Assert.Equal(3, first[run.Partition()].Value.Offset);
        }),
        new("describes producers", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewProducer();
            await run.SendAsync(producer, 2);
            var described = await run.EndsAsync(run.Admin.DescribeProducersAsync([run.Partition()]));
            Assert.Equal(1, Assert.Single(described[run.Partition()].Value!).LastSequence);
        }),
        new("describes log directories", async run =>
        {
            await run.CreateTopicAsync();
            var described = await run.EndsAsync(run.Admin.DescribeLogDirsAsync([1]));
            Assert.Contains(run.Partition(), described[1].Value!.Values.SelectMany(directory => directory.Replicas.Keys));
        }),
    ];

    private static IEnumerable<Behaviour> Groups =>
    [
        new("changes, lists and deletes offsets of groups", async run =>
        {
            await run.CreateTopicAsync();
            await CommitAsync(run);
            Assert.Equal(5, (await OffsetAsync())!.Value.Offset);
            (await run.EndsAsync(run.Admin.DeleteConsumerGroupOffsetsAsync(run.Group, [run.Partition()]))).ThrowIfFailed();
            Assert.Null(await OffsetAsync());

            async Task<CommitOffset?> OffsetAsync() => (await run.EndsAsync(run.Admin.ListConsumerGroupOffsetsAsync(
                new Dictionary<string, IReadOnlyCollection<TopicPartition>?> { [run.Group] = [run.Partition()] })))[run.Group]
                .Value![run.Partition()].Value;
        }),
        new("lists and deletes groups", async run =>
        {
            await run.CreateTopicAsync();
            await CommitAsync(run);
            await IsListedAsync(run, run.Group, async () =>
                (await run.EndsAsync(run.Admin.ListGroupsAsync())).Items.Select(group => group.GroupId));
            run.Succeeded((await run.EndsAsync(run.Admin.DeleteConsumerGroupsAsync([run.Group])))[run.Group], ErrorCode.GroupIdNotFound);
            Assert.DoesNotContain(run.Group, (await run.EndsAsync(run.Admin.ListGroupsAsync())).Items.Select(group => group.GroupId));
        }),
        .. from protocol in new[] { GroupProtocol.Classic, GroupProtocol.Consumer }
           select new Behaviour($"describes a {protocol} group and does not delete it while it has members", async run =>
           {
               await run.CreateTopicAsync();
               await using var consumer = run.NewConsumer(options => options with { GroupId = run.Group, GroupProtocol = protocol });
               consumer.Subscribe([run.Topic]);
               await run.PollUntilAsync("the assignment", () => consumer.Assignment.Count == 1, (consumer, null));
               var described = (await run.EndsAsync(run.Admin.DescribeConsumerGroupsAsync([run.Group])))[run.Group].Value!;
               Assert.Equal((protocol, 1), (described.Protocol, described.Members.Count));
               Assert.Equal([run.Partition()], described.Members[0].Assignment);
               Assert.Equal(
                   ErrorCode.NonEmptyGroup, (await run.EndsAsync(run.Admin.DeleteConsumerGroupsAsync([run.Group])))[run.Group].Error);
           }),
        new("removes static members", async run =>
        {
            await run.CreateTopicAsync();
            var consumer = run.NewConsumer(options => options with
            {
                GroupId = run.Group,
                GroupProtocol = GroupProtocol.Classic,
                GroupInstanceId = "i",
            });
            consumer.Subscribe([run.Topic]);
            await run.PollUntilAsync("the assignment", () => consumer.Assignment.Count == 1, (consumer, null));
            await run.EndsAsync(consumer.CloseAsync());
            var removed = await run.EndsAsync(run.Admin.RemoveMembersFromConsumerGroupAsync(run.Group, [GroupMemberIdentity.Static("i")]));
            run.Succeeded(removed.Values.Single(), ErrorCode.UnknownMemberId);
        }),
        new("says that a group is not there", async run =>
            Assert.Equal(
                ErrorCode.GroupIdNotFound, (await run.EndsAsync(run.Admin.DescribeConsumerGroupsAsync([run.Group])))[run.Group].Error)),
    ];

    private static IEnumerable<Behaviour> Transactions =>
    [
        new("lists and describes transactions", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor();
            await using var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            await run.EndsAsync(producer.ProduceAsync(run.Topic, null!, run.NextValue()));
            await IsListedAsync(run, run.TransactionalId, async () =>
                (await run.EndsAsync(run.Admin.ListTransactionsAsync())).Items.Select(each => each.TransactionalId));
            var described = (await run.EndsAsync(run.Admin.DescribeTransactionsAsync([run.TransactionalId])))[run.TransactionalId].Value!;
            Assert.Equal([run.Partition()], described.Partitions);
            await run.EndsAsync(transaction.AbortAsync());
        }),
        new("fences producers", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor(options => options with { CloseTimeout = TimeSpan.FromSeconds(1) });
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            await run.EndsAsync(producer.ProduceAsync(run.Topic, null!, run.NextValue()));
            (await run.EndsAsync(run.Admin.FenceProducersAsync([run.TransactionalId]))).ThrowIfFailed();
            await Assert.ThrowsAsync<FatalProducerException>(() => run.EndsAsync(transaction.CommitAsync()));
        }),
        new("ends a transaction by force", async run =>
        {
            await run.CreateTopicAsync();
            await using var producer = run.NewTransactor(options => options with { CloseTimeout = TimeSpan.FromSeconds(1) });
            var transaction = await run.EndsAsync(producer.BeginTransactionAsync());
            await run.EndsAsync(producer.ProduceAsync(run.Topic, null!, run.NextValue()));
            await run.EndsAsync(run.Admin.ForceTerminateTransactionAsync(run.TransactionalId));
            await Assert.ThrowsAsync<FatalProducerException>(() => run.EndsAsync(transaction.CommitAsync()));
        }),
    ];

    private static IEnumerable<Behaviour> Cluster =>
    [
        new("describes the cluster", async run =>
        {
            var cluster = await run.EndsAsync(run.Admin.DescribeClusterAsync(includeFencedBrokers: true));
            Assert.Equal(Enumerable.Range(1, run.Nodes), cluster.Brokers.Select(broker => broker.Id).Order());
            Assert.NotNull(cluster.ClusterId);
        }),
        new("describes the quorum", async run =>
        {
            var quorum = await run.EndsAsync(run.Admin.DescribeMetadataQuorumAsync());
            Assert.Equal(Enumerable.Range(1, run.Nodes), quorum.Voters.Select(voter => voter.Id).Order());
        }),
        new("describes features", async run =>
            Assert.True((await run.EndsAsync(run.Admin.DescribeFeaturesAsync())).Finalized.ContainsKey("metadata.version"))),
        new("lists resources with configs", async run =>
        {
            var resource = ConfigResource.Group(run.Group);
            run.Succeeded((await run.EndsAsync(run.Admin.IncrementalAlterConfigsAsync(
                new Dictionary<ConfigResource, IReadOnlyList<ConfigChange>>
                {
                    [resource] = [new ConfigChange("consumer.session.timeout.ms", "3000")],
                })))[resource]);
            Assert.Contains(resource, await run.EndsAsync(run.Admin.ListConfigResourcesAsync([ConfigResourceType.Group])));
        }),
        new("describes configs of brokers", async run =>
        {
            var broker = ConfigResource.Broker(1);
            var configs = (await run.EndsAsync(run.Admin.DescribeConfigsAsync([broker])))[broker].Value!;
            Assert.Equal("1", configs.Single(config => config.Name == "node.id").Value);
        }),
        new("sets and describes quotas", async run =>
        {
            var user = ClientQuotaEntity.ForUser(run.Group);
            run.Succeeded((await run.EndsAsync(run.Admin.AlterClientQuotasAsync(
                new Dictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double?>>
                {
                    [user] = new Dictionary<string, double?> { ["producer_byte_rate"] = 1_000_000 },
                })))[user]);
            var filter = ClientQuotaFilter.Named(ClientQuotaEntity.User, run.Group);
            var quotas = await run.EndsAsync(run.Admin.DescribeClientQuotasAsync([filter]));
            Assert.Equal(1_000_000, quotas[user]["producer_byte_rate"]);
        }),
        new("sets and describes passwords", async run =>
        {
            run.Succeeded((await run.EndsAsync(run.Admin.AlterUserScramCredentialsAsync(
                [new ScramUpsertion(run.Group, ScramType.Sha256, "secret") { Iterations = 4096 }])))[run.Group]);
            var users = await run.EndsAsync(run.Admin.DescribeUserScramCredentialsAsync([run.Group]));
            Assert.Equal((ScramType.Sha256, 4096), (users[run.Group].Value![0].Mechanism, users[run.Group].Value![0].Iterations));
        }),
        new("changes the order of replicas, and has the first one lead", async run =>
        {
            await run.CreateTopicAsync();
            var replicas = Enumerable.Range(1, run.Nodes).Select(id => (id % run.Nodes) + 1).ToArray();
            (await run.EndsAsync(run.Admin.AlterPartitionReassignmentsAsync(
                new Dictionary<TopicPartition, IReadOnlyList<int>?> { [run.Partition()] = replicas }))).ThrowIfFailed();
            var elected = (await run.EndsAsync(run.Admin.ElectLeadersAsync(ElectionType.Preferred, [run.Partition()])))[run.Partition()];
            Assert.True(elected.Error is ErrorCode.None or ErrorCode.ElectionNotNeeded || !run.IsCalm, $"{elected.Error}");
            Assert.Empty(await run.EndsAsync(run.Admin.ListPartitionReassignmentsAsync()));
            if (run.IsCalm)
                Assert.Equal(replicas[0], Assert.Single((await DescribeAsync(run)).Partitions).LeaderId);
        }),
    ];

    /// <summary>Makes a group without members, which has committed 5.</summary>
    private static async Task CommitAsync(BehaviourRun run)
    {
        var offsets = new[] { new PartitionOffset(run.Topic, 0, 5) };
        (await run.EndsAsync(run.Admin.AlterConsumerGroupOffsetsAsync(run.Group, offsets))).ThrowIfFailed();
    }

    /// <summary>Something is listed, as soon as the nodes are back: a listing leaves out those that are away.</summary>
    private static async Task IsListedAsync(BehaviourRun run, string name, Func<Task<IEnumerable<string>>> listAsync)
    {
        const int attemptsMax = 30;
        for (var attempt = 1; !(await listAsync()).Contains(name); attempt++)
        {
            Assert.True(!run.IsCalm && attempt < attemptsMax, $"{name} is not listed");
            await run.DelayAsync(TimeSpan.FromSeconds(1));
        }
    }

    private static async Task<AdminResult> CreateAsync(BehaviourRun run, NewTopic topic, bool validateOnly = false)
    {
        var created = await run.ChangeAsync(() => run.Admin.CreateTopicsAsync([topic], validateOnly), created => created[topic.Name]);
        return created[topic.Name];
    }

    private static async Task<TopicDescription> DescribeAsync(BehaviourRun run)
    {
        var described = (await run.EndsAsync(run.Admin.DescribeTopicsAsync([run.Topic])))[run.Topic];
        described.ThrowIfFailed();
        return described.Value!;
    }

    private static async Task<ConfigEntry> ConfigAsync(BehaviourRun run, string name)
    {
        var resource = ConfigResource.Topic(run.Topic);
        var described = (await run.EndsAsync(run.Admin.DescribeConfigsAsync([resource])))[resource];
        return described.Value!.Single(config => config.Name == name);
    }
}
