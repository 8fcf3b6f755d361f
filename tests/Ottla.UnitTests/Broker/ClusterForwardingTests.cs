using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Broker;

/// <summary>What changes the cluster works at every broker, and what it answered is seen there at once.</summary>
public sealed class ClusterForwardingTests
{
    [Fact]
    public async Task Every_admin_API_works_at_a_broker_that_is_no_active_controller()
    {
        await using var cluster = await TestCluster.StartCombinedAsync();
        var active = await cluster.ActiveControllerAsync();
        var node = cluster.Nodes.Values.First(each => each.Id != active);
        await using var client = await node.ConnectAsync();

        await CreateAsync(client, "a", partitions: 1);
        var grown = await client.CallAsync<CreatePartitionsRequest, CreatePartitionsResponse>(new CreatePartitionsRequest
        {
            Topics = [new CreatePartitionsRequest.CreatePartitionsTopic { Name = "a", Count = 3, Assignments = null }],
            TimeoutMs = 10_000,
        });
        Assert.Equal(ErrorCode.None, (ErrorCode)grown.Results[0].ErrorCode);
        Assert.Equal(3, node.Image.Topics.Find("a")!.Partitions.Length);

        var altered = await client.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
            new IncrementalAlterConfigsRequest
            {
                Resources =
            [
                new IncrementalAlterConfigsRequest.AlterConfigsResource
                {
                    ResourceType = 2,
                    ResourceName = "a",
                    Configs = [new IncrementalAlterConfigsRequest.AlterableConfig { Name = "retention.ms", Value = "1000" }],
                },
            ],
            });
        Assert.Equal(ErrorCode.None, (ErrorCode)altered.Responses[0].ErrorCode);
        var replaced = await client.CallAsync<AlterConfigsRequest, AlterConfigsResponse>(new AlterConfigsRequest
        {
            Resources =
            [
                new AlterConfigsRequest.AlterConfigsResource
                {
                    ResourceType = 2,
                    ResourceName = "a",
                    Configs = [new AlterConfigsRequest.AlterableConfig { Name = "retention.ms", Value = "2000" }],
                },
            ],
        });
        Assert.Equal(ErrorCode.None, (ErrorCode)replaced.Responses[0].ErrorCode);
        Assert.Equal("2000", node.Image.Configs.Value(StateMachines.Metadata.ConfigResource.Topic("a"), "retention.ms"));

        var elected = await client.CallAsync<ElectLeadersRequest, ElectLeadersResponse>(
            new ElectLeadersRequest { TopicPartitions = null, TimeoutMs = 10_000 });
        Assert.Equal(ErrorCode.None, (ErrorCode)elected.ErrorCode);
        var listed = await client.CallAsync<ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse>(
            new ListPartitionReassignmentsRequest { Topics = null, TimeoutMs = 10_000 });
        Assert.Equal(ErrorCode.None, (ErrorCode)listed.ErrorCode);

        var quorum = await client.CallAsync<DescribeQuorumRequest, DescribeQuorumResponse>(new DescribeQuorumRequest
        {
            Topics =
            [
                new DescribeQuorumRequest.TopicData
                {
                    TopicName = "__cluster_metadata", Partitions = [new DescribeQuorumRequest.PartitionData { PartitionIndex = 0 }],
                },
            ],
        });
        var partition = quorum.Topics[0].Partitions[0];
        Assert.Equal((ErrorCode.None, active), ((ErrorCode)partition.ErrorCode, partition.LeaderId));
        Assert.Equal([1, 2, 3], partition.CurrentVoters.Select(voter => voter.ReplicaId).Order());

        var features = await client.CallAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(new UpdateFeaturesRequest
        {
            FeatureUpdates = [
                new UpdateFeaturesRequest.FeatureUpdateKey { Feature = "no.such.feature", MaxVersionLevel = 1, UpgradeType = 1 }],
            TimeoutMs = 10_000,
        });
        Assert.NotEqual(ErrorCode.None, (ErrorCode)features.ErrorCode);
        var gone = await client.CallAsync<UnregisterBrokerRequest, UnregisterBrokerResponse>(new UnregisterBrokerRequest { BrokerId = 9 });
        Assert.Equal(ErrorCode.BrokerIdNotRegistered, (ErrorCode)gone.ErrorCode);

        var deleted = await client.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(new DeleteTopicsRequest
        {
            Topics = [new DeleteTopicsRequest.DeleteTopicState { Name = "a" }],
            TimeoutMs = 10_000,
        });
        Assert.Equal(ErrorCode.None, (ErrorCode)deleted.Responses[0].ErrorCode);
        Assert.Null(node.Image.Topics.Find("a"));
    }

    [Fact]
    public async Task Errors_of_a_forwarded_request_are_the_controllers_own()
    {
        await using var cluster = await TestCluster.StartCombinedAsync();
        foreach (var node in cluster.Nodes.Values)
        {
            await using var client = await node.ConnectAsync();
            var refused = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsRequest
            {
                Topics = [new CreateTopicsRequest.CreatableTopic { Name = "b", NumPartitions = 1, ReplicationFactor = 9 }],
                TimeoutMs = 10_000,
            });
            Assert.Equal(ErrorCode.InvalidReplicationFactor, (ErrorCode)refused.Topics[0].ErrorCode);
        }
    }

    [Fact]
    public async Task A_topic_of_a_clients_Metadata_is_created_and_coordinators_are_found_from_any_broker()
    {
        await using var cluster = await TestCluster.StartCombinedAsync(("offsets.topic.num.partitions", "6"));
        var coordinators = new HashSet<int>();
        foreach (var node in cluster.Nodes.Values)
        {
            await using var client = await node.ConnectAsync();
            var request =
                new MetadataRequest
                {
                    Topics = [new MetadataRequest.MetadataRequestTopic { Name = $"auto{node.Id}" }],
                    AllowAutoTopicCreation = true
                };
            await client.CallAsync<MetadataRequest, MetadataResponse>(request);
            await Waiting.UntilAsync(() => node.Image.Topics.Find($"auto{node.Id}") is not null);
            var found = await client.CallAsync<FindCoordinatorRequest, FindCoordinatorResponse>(
                new FindCoordinatorRequest { KeyType = 0, CoordinatorKeys = ["g"] });
            Assert.Equal(ErrorCode.None, (ErrorCode)found.Coordinators[0].ErrorCode);
            coordinators.Add(found.Coordinators[0].NodeId);
        }

        Assert.Single(coordinators); // all name the same
    }

    [Fact]
    public async Task A_partition_is_served_where_it_lives_and_others_name_its_leader()
    {
        await using var cluster = await TestCluster.StartCombinedAsync();
        await using var any = await cluster.Nodes[1].ConnectAsync();
        var topicId = await CreateAsync(any, "a", partitions: 6);
        await Waiting.UntilAsync(() => cluster.Nodes.Values.All(node => node.Image.Topics.Find("a") is not null));
        var leaders = cluster.Nodes[1].Image.Topics.Find("a")!.Partitions.Select(partition => partition.Leader).ToList();
        Assert.Equal([1, 2, 3], leaders.Distinct().Order());
        for (var partition = 0; partition < leaders.Count; partition++)
        {
            foreach (var node in cluster.Nodes.Values)
            {
                await using var client = await node.ConnectAsync();
                var produced = await client.CallAsync<ProduceRequest, ProduceResponse>(
                    Requests.Produce("a", topicId, Requests.Batch(), version: 13, partition: partition), 13);
                var answer = produced.Responses[0].PartitionResponses[0];
                if (leaders[partition] == node.Id)
                {
                    Assert.Equal(ErrorCode.None, (ErrorCode)answer.ErrorCode);
                    continue;
                }

                Assert.Equal(ErrorCode.NotLeaderOrFollower, (ErrorCode)answer.ErrorCode);
                Assert.Equal(leaders[partition], answer.CurrentLeader!.LeaderId);
                Assert.Contains(produced.NodeEndpoints, endpoint => endpoint.NodeId == leaders[partition] && endpoint.Port == 9092);
            }
        }
    }

    private static async Task<Uuid> CreateAsync(TestConnection client, string topic, int partitions)
    {
        var created = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsRequest
        {
            Topics = [new CreateTopicsRequest.CreatableTopic { Name = topic, NumPartitions = partitions, ReplicationFactor = 1 }],
            TimeoutMs = 10_000,
        });
        Assert.Equal(ErrorCode.None, (ErrorCode)created.Topics[0].ErrorCode);
        return created.Topics[0].TopicId;
    }
}
