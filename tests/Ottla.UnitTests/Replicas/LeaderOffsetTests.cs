using System.Net;
using Ottla.Broker.Api;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Broker.Requests;
using static Ottla.UnitTests.Replicas.PlayedFollower;

namespace Ottla.UnitTests.Replicas;

/// <summary>What a leader says of its offsets to clients and replicas, and what it waits for when it deletes records.</summary>
public sealed class LeaderOffsetTests : IDisposable
{
    private const int Consumer = -1;
    private const int DebuggingReplica = -2;
    private const long Latest = -1;
    private const long Earliest = -2;
    private const long MaxTimestamp = -3;

    private static readonly ConnectionInfo s_connection = new("PLAINTEXT", IPAddress.None, _ => { }, default, default);

    private readonly LeaderTestBed _leader = new();

    public void Dispose() => _leader.Dispose();

    [Fact]
    public async Task A_new_leader_does_not_name_the_end_before_it_knows_what_is_committed()
    {
        _leader.Create("t");
        for (var i = 0; i < 3; i++)
            _leader.Append("t");
        await _leader.FollowAsync(At("t", 0, 2, 3)); // all of the former epoch but one record is committed
        Assert.Equal((ErrorCode.None, 2L, 3), await ListAsync(Consumer, Latest));
        _leader.Change("t", 0, change => change.Leader = LeaderTestBed.LeaderId);

        Assert.Equal((ErrorCode.OffsetNotAvailable, -1L, -1), await ListAsync(Consumer, Latest));
        Assert.Equal((ErrorCode.LeaderNotAvailable, -1L, -1), await ListAsync(Consumer, Latest, version: 4));
        Assert.Equal((ErrorCode.None, 0L, 3), await ListAsync(Consumer, Earliest));
        Assert.Equal((ErrorCode.None, 0L, 3), await ListAsync(Consumer, StartMs));
        Assert.Equal((ErrorCode.OffsetNotAvailable, -1L, -1), await ListAsync(Consumer, StartMs + 100_000));
        Assert.Equal((ErrorCode.None, 3L, 4), await ListAsync(2, Latest));

        await _leader.FollowAsync(At("t", 0, 3, 3, leaderEpoch: 4));
        Assert.Equal((ErrorCode.None, 3L, 4), await ListAsync(Consumer, Latest));
        Assert.Equal((ErrorCode.None, -1L, -1), await ListAsync(Consumer, StartMs + 100_000));
    }

    [Fact]
    public async Task Replicas_are_told_of_the_end_of_the_log_and_consumers_of_what_is_committed()
    {
        _leader.Create("t");
        _leader.Append("t");
        Assert.Equal((ErrorCode.None, 0L, 3), await ListAsync(Consumer, Latest));
        Assert.Equal((ErrorCode.None, -1L, -1), await ListAsync(Consumer, MaxTimestamp));
        Assert.Equal((ErrorCode.None, 1L, 3), await ListAsync(2, Latest));
        Assert.Equal((ErrorCode.None, 0L, 3), await ListAsync(2, MaxTimestamp));
    }

    [Fact]
    public async Task A_follower_answers_nobody_but_who_asks_for_any_replica()
    {
        _leader.Create("t");
        _leader.Append("t");
        _leader.Change("t", 0, change => change.Leader = 2);
        Assert.Equal(ErrorCode.NotLeaderOrFollower, (await ListAsync(Consumer, Latest)).Error);
        Assert.Equal(ErrorCode.NotLeaderOrFollower, (await ListAsync(3, Latest)).Error);
        Assert.Equal((ErrorCode.None, 1L, 4), await ListAsync(DebuggingReplica, Latest));
    }

    [Fact]
    public async Task Deleted_records_are_waited_for_until_live_followers_have_followed()
    {
        await CreateCommittedAsync(records: 3);
        var deletion = DeleteAsync(offset: 2, timeoutMs: 1000);
        Assert.False(deletion.IsCompleted);
        Assert.Equal(2, _leader.Replica("t").Log.LogStartOffset);
        await FetchFromAsync(id: 2, logStart: 2);
        await FetchFromAsync(id: 3, logStart: 1);
        Assert.False(deletion.IsCompleted);
        await FetchFromAsync(id: 3, logStart: 2);
        Assert.Equal((ErrorCode.None, 2L), await deletion.WaitAsync(Waiting.Patience));

        // All that is committed; and where no follower has said anything since, it is open too.
        deletion = DeleteAsync(offset: -1, timeoutMs: 1000);
        await FetchFromAsync(id: 2, logStart: 3);
        Assert.False(deletion.IsCompleted);
        _leader.Publish([new BrokerRegistrationChangeRecord { BrokerId = 3, BrokerEpoch = 30, Fenced = 1 }]);
        Assert.Equal((ErrorCode.None, 3L), await deletion.WaitAsync(Waiting.Patience));
    }

    [Fact]
    public async Task A_deletion_that_followers_do_not_follow_times_out_and_stays()
    {
        await CreateCommittedAsync(records: 3);
        var deletion = DeleteAsync(offset: 2, timeoutMs: 1000);
        await FetchFromAsync(id: 2, logStart: 1);
        _leader.Clock.AdvanceMs(1000);
        Assert.Equal((ErrorCode.RequestTimedOut, 0L), await deletion.WaitAsync(Waiting.Patience));
        Assert.Equal(2, _leader.Replica("t").Log.LogStartOffset);
        Assert.Equal((ErrorCode.RequestTimedOut, 0L), await DeleteAsync(offset: 2, timeoutMs: 0));
    }

    [Fact]
    public async Task A_deletion_ends_with_the_leadership()
    {
        await CreateCommittedAsync(records: 3);
        var deletion = DeleteAsync(offset: 2, timeoutMs: 1000);
        _leader.Change("t", 0, change => change.Leader = 2);
        Assert.Equal((ErrorCode.NotLeaderOrFollower, -1L), await deletion.WaitAsync(Waiting.Patience));

        _leader.Change("t", 0, change => change.Leader = LeaderTestBed.LeaderId);
        deletion = DeleteAsync(offset: 2, timeoutMs: 1000);
        _leader.Delete("t");
        Assert.Equal((ErrorCode.UnknownTopicOrPartition, -1L), await deletion.WaitAsync(Waiting.Patience));
    }

    private async Task CreateCommittedAsync(int records)
    {
        _leader.Create("t");
        for (var i = 0; i < records; i++)
            _leader.Append("t");
        await _leader.FollowAsync(At("t", 0, records, 3));
    }

    /// <summary>A follower says where its log starts; it has everything.</summary>
    private Task<FetchResponse> FetchFromAsync(int id, long logStart)
    {
        var at = At("t", 0, 3, 3);
        at.Partition.LogStartOffset = logStart;
        return new PlayedFollower(_leader, id) { MaxWaitMs = 0 }.FetchAsync(at);
    }

    private async Task<(ErrorCode Error, long Offset, int LeaderEpoch)> ListAsync(
        int replicaId, long timestamp, short version = 11)
    {
        var handler = new ListOffsetsHandler(_leader.Topics, _leader.Leaders, Authorizer.None);
        var context = new RequestContext(ApiKey.ListOffsets, version, 1, "test", s_connection);
        var response = await handler.HandleAsync(context, new ListOffsetsRequest
        {
            ReplicaId = replicaId,
            Topics = [new ListOffsetsRequest.ListOffsetsTopic
            {
                Name = "t",
                Partitions = [new ListOffsetsRequest.ListOffsetsPartition { Timestamp = timestamp }],
            }],
        });
        var answer = Assert.Single(Assert.Single(response!.Topics).Partitions);
        return ((ErrorCode)answer.ErrorCode, answer.Offset, answer.LeaderEpoch);
    }

    private async Task<(ErrorCode Error, long LowWatermark)> DeleteAsync(long offset, int timeoutMs)
    {
        var handler = new DeleteRecordsHandler(_leader.Topics, _leader.Leaders, Authorizer.None, _leader.Clock);
        var context = new RequestContext(ApiKey.DeleteRecords, 2, 1, "test", s_connection);
        var response = await handler.HandleAsync(context, new DeleteRecordsRequest
        {
            TimeoutMs = timeoutMs,
            Topics = [new DeleteRecordsRequest.DeleteRecordsTopic
            {
                Name = "t",
                Partitions = [new DeleteRecordsRequest.DeleteRecordsPartition { PartitionIndex = 0, Offset = offset }],
            }],
        });
        var answer = Assert.Single(Assert.Single(response!.Topics).Partitions);
        return ((ErrorCode)answer.ErrorCode, answer.LowWatermark);
    }
}
