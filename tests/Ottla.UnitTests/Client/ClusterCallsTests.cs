using Ottla.Client;
using Ottla.Client.Calls;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Client;

/// <summary>Requests that find who can answer them, at a whole node.</summary>
public sealed class ClusterCallsTests
{
    [Fact]
    public async Task Finds_coordinators_one_by_one_and_together()
    {
        await using var bed = await ClientBed.StartAsync();
        var coordinators = bed.Client.Calls.Coordinators;
        var one = await bed.RunAsync(coordinators.FindAsync(CoordinatorType.Group, "g1", CallOptions.Default, default).AsTask());
        var many = await bed.RunAsync(
            coordinators.FindAllAsync(CoordinatorType.Group, ["g1", "g2", "g3"], CallOptions.Default, default));
        Assert.Equal(["g1", "g2", "g3"], many.Keys.Order());
        Assert.All(many.Values, found => Assert.Equal((one, ErrorCode.None), (found.Node, found.Error.Code)));
    }

    [Fact]
    public async Task Asks_old_nodes_for_one_coordinator_at_a_time()
    {
        await using var bed = await ClientBed.StartAsync();
        var many = await bed.RunAsync(bed.Client.Calls.Coordinators.FindAllAsync(
            CoordinatorType.Transaction, ["t1", "t2"], new CallOptions { VersionMax = 3 }, default));
        Assert.All(many.Values, found => Assert.True(found.Node?.Id >= 0));
        Assert.Equal(2, many.Count);
    }

    [Fact]
    public async Task Asks_coordinator_and_leader()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var producer = await bed.RunAsync(bed.Client.Calls.ToCoordinatorAsync<InitProducerIdRequest, InitProducerIdResponse>(
            CoordinatorType.Transaction, "t", _ => new InitProducerIdRequest { TransactionalId = "t", TransactionTimeoutMs = 1000 },
            answer => new ApiError((ErrorCode)answer.ErrorCode), CallOptions.Default, default));
        Assert.Equal(0, producer.ProducerEpoch);

        var partition = new TopicPartition("a", 0);
        using var interest = bed.Client.Metadata.OpenInterest();
        interest.Add("a");
        var offsets = await bed.RunAsync(bed.Client.Calls.ToLeaderAsync<ListOffsetsRequest, ListOffsetsResponse>(
            partition, _ => new ListOffsetsRequest
            {
                ReplicaId = -1,
                Topics = [new() { Name = "a", Partitions = [new() { PartitionIndex = 0, Timestamp = -1 }] }],
            },
            answer => new ApiError((ErrorCode)answer.Topics[0].Partitions[0].ErrorCode), CallOptions.Default, default));
        Assert.Equal(0, offsets.Topics[0].Partitions[0].Offset);
    }

    [Fact]
    public async Task Throws_what_another_attempt_does_not_mend()
    {
        await using var bed = await ClientBed.StartAsync();
        var failure = await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(
            bed.Client.Calls.ToCoordinatorAsync<InitProducerIdRequest, InitProducerIdResponse>(
                CoordinatorType.Transaction, "t", _ => new InitProducerIdRequest { TransactionalId = "t", TransactionTimeoutMs = -1 },
                answer => new ApiError((ErrorCode)answer.ErrorCode), CallOptions.Default, default)));
        Assert.Equal(ErrorCode.InvalidTransactionTimeout, failure.ErrorCode);
    }

    [Fact]
    public async Task Goes_on_after_a_node_was_away()
    {
        await using var bed = await ClientBed.StartAsync();
        await bed.RunAsync(bed.Client.Calls.Coordinators.FindAsync(CoordinatorType.Group, "g", CallOptions.Default, default).AsTask());
        await bed.Node.RestartAsync();
        var heartbeat = bed.Client.Calls.ToCoordinatorAsync<HeartbeatRequest, HeartbeatResponse>(
            CoordinatorType.Group, "g", _ => new HeartbeatRequest { GroupId = "g", MemberId = "m" },
            answer => new ApiError((ErrorCode)answer.ErrorCode), CallOptions.Default, default);
        var failure = await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(heartbeat, stepMs: 10));
        Assert.Equal(ErrorCode.UnknownMemberId, failure.ErrorCode);
    }

    [Fact]
    public async Task A_caller_that_gives_up_gets_its_own_cancellation()
    {
        await using var bed = await ClientBed.StartAsync();
        using var interest = bed.Client.Metadata.OpenInterest();
        using var giveUp = new CancellationTokenSource();
        var calling = bed.Client.Calls.ToLeaderAsync<ListOffsetsRequest, ListOffsetsResponse>(
            new TopicPartition("nowhere", 0), _ => new ListOffsetsRequest(), _ => ApiError.None, CallOptions.Default, giveUp.Token);
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => bed.RunAsync(calling));
    }
}
