using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Broker;

/// <summary>The active controller dies, and the brokers go on with another one.</summary>
public sealed class ClusterFailoverTests
{
    /// <summary>
    /// A broker that knocked at the door of the dead one until its request times out would not answer in time, and with an error.
    /// </summary>
    [Fact]
    public async Task A_broker_turns_to_the_next_controller_at_once()
    {
        await using var cluster = await TestCluster.StartAsync([1, 2, 3], [4], ("controller.socket.timeout.ms", "600000"));
        await using var client = await cluster.Nodes[4].ConnectAsync();
        Assert.Equal(ErrorCode.None, await CreateAsync(client, "before")); // it has a connection to the active one
        await cluster.Nodes[await cluster.ActiveControllerAsync()].KillAsync();
        Assert.Equal(ErrorCode.None, await CreateAsync(client, "after"));
        Assert.NotNull(cluster.Nodes[4].Image.Topics.Find("before"));
    }

    /// <summary>Changes of the voters reach the active controller by way of any broker; a static quorum has none.</summary>
    [Fact]
    public async Task A_broker_passes_changes_of_the_voters_on()
    {
        await using var cluster = await TestCluster.StartAsync([1], [4]);
        await using var client = await cluster.Nodes[4].ConnectAsync();
        var added = await client.CallAsync<AddRaftVoterRequest, AddRaftVoterResponse>(new AddRaftVoterRequest
        {
            ClusterId = null,
            TimeoutMs = 10_000,
            VoterId = 2,
            VoterDirectoryId = new Uuid(4, 400),
            Listeners = [new AddRaftVoterRequest.Listener { Name = "CONTROLLER", Host = "10.0.0.2", Port = 9093 }],
        });
        Assert.Equal(ErrorCode.UnsupportedVersion, (ErrorCode)added.ErrorCode);
        var removed = await client.CallAsync<RemoveRaftVoterRequest, RemoveRaftVoterResponse>(
            new RemoveRaftVoterRequest { ClusterId = "another", VoterId = 1, VoterDirectoryId = new Uuid(4, 400) });
        Assert.Equal(ErrorCode.InconsistentClusterId, (ErrorCode)removed.ErrorCode);
    }

    private static async Task<ErrorCode> CreateAsync(TestConnection client, string name)
    {
        var created = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsRequest
        {
            Topics = [new CreateTopicsRequest.CreatableTopic { Name = name, NumPartitions = 1, ReplicationFactor = 1 }],
            TimeoutMs = 10_000,
        });
        return (ErrorCode)created.Topics[0].ErrorCode;
    }
}
