using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Broker;

/// <summary>What clients ask of the cluster as a whole.</summary>
public sealed class ClusterApiTests
{
    [Fact]
    public async Task ApiVersions_in_every_version()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<ApiVersionsResponse>())
        {
            var response = await client.CallAsync<ApiVersionsRequest, ApiVersionsResponse>(
                new ApiVersionsRequest { ClientSoftwareName = "a-client", ClientSoftwareVersion = "1.0" }, version);
            AssertError(ErrorCode.None, response.ErrorCode);
            var offered = response.ApiKeys.ToDictionary(api => (ApiKey)api.ApiKey, api => (api.MinVersion, api.MaxVersion));
            Assert.Equal((0, 13), offered[ApiKey.Produce]);
            Assert.Equal((4, 18), offered[ApiKey.Fetch]);
            Assert.Equal((0, 5), offered[ApiKey.InitProducerId]);
            if (version < 3)
                continue;
            Assert.Contains(response.FinalizedFeatures, feature => feature.Name == "metadata.version" && feature.MaxVersionLevel > 0);
            Assert.True(response.FinalizedFeaturesEpoch > 0);
            Assert.Equal(version >= 4, response.SupportedFeatures.Any(feature => feature.MinVersion == 0));
        }
    }

    [Theory]
    [InlineData("", "1")]
    [InlineData("a", "")]
    [InlineData("-a", "1")]
    [InlineData("a ", "1")]
    [InlineData("a", "1\n")]
    public async Task ApiVersions_refuses_software_names_that_are_none(string name, string softwareVersion)
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        var request = new ApiVersionsRequest { ClientSoftwareName = name, ClientSoftwareVersion = softwareVersion };
        foreach (var version in new short[] { 3, 4, 5 })
            AssertError(
                ErrorCode.InvalidRequest, (await client.CallAsync<ApiVersionsRequest, ApiVersionsResponse>(request, version)).ErrorCode);
        await client.AssertAliveAsync();
    }

    [Fact]
    public async Task ApiVersions_tells_clients_of_another_cluster()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        var clusterId = (await client.CallAsync<DescribeClusterRequest, DescribeClusterResponse>(new DescribeClusterRequest())).ClusterId;
        AssertError(ErrorCode.None, await AskAsync(clusterId, 0));
        AssertError(ErrorCode.RebootstrapRequired, await AskAsync(clusterId, 1));
        AssertError(ErrorCode.RebootstrapRequired, await AskAsync("another", 0));
        AssertError(ErrorCode.InvalidRequest, await AskAsync(clusterId, -1));
        AssertError(ErrorCode.InvalidRequest, await AskAsync(null, 0));

        async Task<short> AskAsync(string? cluster, int nodeId) => (await client.CallAsync<ApiVersionsRequest, ApiVersionsResponse>(
            new ApiVersionsRequest { ClientSoftwareName = "a", ClientSoftwareVersion = "1", ClusterId = cluster, NodeId = nodeId }, 5))
                .ErrorCode;
    }

    [Fact]
    public async Task DescribeCluster_in_every_version()
    {
        await using var node = await TestNode.StartAsync(("broker.rack", "r1"));
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<DescribeClusterResponse>())
        {
            var response = await client.CallAsync<DescribeClusterRequest, DescribeClusterResponse>(
                new DescribeClusterRequest { IncludeClusterAuthorizedOperations = true }, version);
            AssertError(ErrorCode.None, response.ErrorCode);
            Assert.Equal((22, 0), (response.ClusterId.Length, response.ControllerId));
            var broker = Assert.Single(response.Brokers);
            Assert.Equal((0, "localhost", 9092, "r1", false), (broker.BrokerId, broker.Host, broker.Port, broker.Rack, broker.IsFenced));
            Assert.True(response.ClusterAuthorizedOperations > 0);
            if (version < 1)
                continue;
            AssertError(ErrorCode.MismatchedEndpointType, await ErrorOf(2));
            AssertError(ErrorCode.UnsupportedEndpointType, await ErrorOf(3));

            async Task<short> ErrorOf(sbyte type) =>
                (await client.CallAsync<DescribeClusterRequest, DescribeClusterResponse>(
                    new DescribeClusterRequest { EndpointType = type }, version)).ErrorCode;
        }
    }

    [Fact]
    public async Task DescribeQuorum_in_every_version()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<DescribeQuorumResponse>())
        {
            var request = new DescribeQuorumRequest
            {
                Topics = [new DescribeQuorumRequest.TopicData { TopicName = "__cluster_metadata",
                    Partitions = [new DescribeQuorumRequest.PartitionData()] }],
            };
            var response = await client.CallAsync<DescribeQuorumRequest, DescribeQuorumResponse>(request, version);
            AssertError(ErrorCode.None, response.ErrorCode);
            var partition = response.Topics[0].Partitions[0];
            AssertError(ErrorCode.None, partition.ErrorCode);
            Assert.Equal(0, partition.LeaderId);
            Assert.True(partition.HighWatermark > 0 && partition.LeaderEpoch > 0);
            var voter = Assert.Single(partition.CurrentVoters);
            Assert.Equal(0, voter.ReplicaId);
            Assert.True(voter.LogEndOffset >= partition.HighWatermark);
            Assert.Equal(version >= 2, response.Nodes.Length == 1);

            request.Topics[0].TopicName = "t";
            var other = await client.CallAsync<DescribeQuorumRequest, DescribeQuorumResponse>(request, version);
            AssertError(ErrorCode.UnknownTopicOrPartition, other.Topics[0].Partitions[0].ErrorCode);
        }
    }

    [Fact]
    public async Task UpdateFeatures_in_every_version()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        foreach (var version in TestConnection.VersionsOf<UpdateFeaturesResponse>())
        {
            var none = await client.CallAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(new UpdateFeaturesRequest(), version);
            AssertError(ErrorCode.None, none.ErrorCode);
            var request =
                new UpdateFeaturesRequest
                {
                    FeatureUpdates = [
                    new UpdateFeaturesRequest.FeatureUpdateKey { Feature = "metadata.version", MaxVersionLevel = 9999 }]
                };
            var refused = await client.CallAsync<UpdateFeaturesRequest, UpdateFeaturesResponse>(request, version);
            AssertError(ErrorCode.InvalidUpdateVersion, refused.ErrorCode);
        }
    }
}
