using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Client.Admin;

/// <summary>Admin calls about where replicas are, at a whole node.</summary>
public sealed class AdminPlacementTests
{
    private const int NodeId = 0;
    private static readonly TopicPartition Partition = new("a", 0);
    private static readonly TopicPartition Nowhere = new("nowhere", 0);

    [Fact]
    public async Task Alters_and_lists_reassignments()
    {
        await using var bed = await ClientBed.StartAsync("a", "b");
        var admin = bed.Client.CreateAdmin();
        var altered = await bed.RunAsync(admin.AlterPartitionReassignmentsAsync(new Dictionary<TopicPartition, IReadOnlyList<int>?>
        {
            [Partition] = [NodeId],
            [new TopicPartition("b", 0)] = null,
            [Nowhere] = [NodeId],
        }));
        altered[Partition].ThrowIfFailed();
        Assert.Equal(ErrorCode.NoReassignmentInProgress, altered[new TopicPartition("b", 0)].Error);
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, altered[Nowhere].Error);
        Assert.Empty(await bed.RunAsync(admin.ListPartitionReassignmentsAsync()));
        Assert.Empty(await bed.RunAsync(admin.ListPartitionReassignmentsAsync([Partition])));
    }

    [Fact]
    public async Task Elects_leaders()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var admin = bed.Client.CreateAdmin();
        var elected = await bed.RunAsync(admin.ElectLeadersAsync(ElectionType.Preferred, [Partition, Nowhere]));
        Assert.Equal(ErrorCode.ElectionNotNeeded, elected[Partition].Error);
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, elected[Nowhere].Error);
        (await bed.RunAsync(admin.ElectLeadersAsync(ElectionType.Preferred))).ThrowIfFailed();
    }

    [Fact]
    public async Task Describes_and_changes_log_directories()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await using (var connection = await bed.Node.ConnectAsync())
            await connection.ProduceAsync("a", Batch(5));
        var admin = bed.Client.CreateAdmin();
        var directories = (await bed.RunAsync(admin.DescribeLogDirsAsync([NodeId]))).GetValues()[NodeId];
        var (path, directory) = Assert.Single(directories);
        Assert.Equal((ErrorCode.None, false), (directory.Error, directory.IsCordoned));
        Assert.True(directory.Replicas[Partition].SizeBytes > 0);
        var some = (await bed.RunAsync(admin.DescribeLogDirsAsync([NodeId], [Partition]))).GetValues()[NodeId];
        Assert.Equal([Partition], Assert.Single(some).Value.Replicas.Keys);

        PartitionReplica replica = new(Partition, NodeId), unknown = new(Nowhere, NodeId);
        var places = (await bed.RunAsync(admin.DescribeReplicaLogDirsAsync([replica, unknown]))).GetValues();
        Assert.Equal(new ReplicaLogDir(path, 0, null, -1), places[replica]);
        Assert.Equal(new ReplicaLogDir(null, -1, null, -1), places[unknown]);
        var moved = await bed.RunAsync(admin.AlterReplicaLogDirsAsync(new Dictionary<PartitionReplica, string> { [replica] = "/nowhere" }));
        Assert.Equal(ErrorCode.LogDirNotFound, moved[replica].Error);
    }

    [Fact]
    public async Task A_broker_that_is_not_there_is_waited_for_and_the_others_are_answered()
    {
        await using var bed = await ClientBed.StartAsync();
        var described = await bed.RunAsync(bed.Client.CreateAdmin().DescribeLogDirsAsync([NodeId, 7]), stepMs: 100);
        Assert.True(described[NodeId].IsSuccess);
        Assert.Equal(ErrorCode.RequestTimedOut, described[7].Error);
    }
}
