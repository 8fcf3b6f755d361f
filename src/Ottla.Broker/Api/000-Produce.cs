using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using TopicResponse = Ottla.Protocol.Messages.ProduceResponse.TopicProduceResponse;
using PartitionResponse = Ottla.Protocol.Messages.ProduceResponse.PartitionProduceResponse;

namespace Ottla.Broker.Api;

/// <summary>Produce (key 0), versions 3 to 13: appends record batches to the partitions led here.</summary>
/// <remarks>
/// acks 0: no response; 1: after the append; -1: after the high watermark passed the records. A bad batch fails alone, with the records to blame (v8+).
/// Version 13 names topics by id. zstd needs version 7. Errors: INVALID_REQUIRED_ACKS, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC_EXCEPTION (an internal topic), NOT_LEADER_OR_FOLLOWER
/// (with the leader, v10+, KIP-951), NOT_ENOUGH_REPLICAS, REQUEST_TIMED_OUT, and those of validation and of the log.
/// Transactional batches are refused with INVALID_TXN_STATE: there is no transaction coordinator yet that could have begun their transaction.
/// </remarks>
internal sealed class ProduceHandler(HostedTopics topics, LeaderHints leaders, TimeProvider time) : IApiHandler<ProduceRequest, ProduceResponse>
{
    /// <summary>The client id that may write to the brokers' own topics, as in Kafka.</summary>
    private const string InternalTopicWriter = "__admin_client";

    private const short AcksAll = -1;
    private const short FirstVersionWithZstd = 7;
    private const short FirstVersionWithTopicIds = 13;

    public ValueTask<ProduceResponse?> HandleAsync(RequestContext context, ProduceRequest request)
    {
        // Stage one, in request order: everything that is appended is appended before the first await.
        var isValidAcks = request.Acks is 0 or 1 or AcksAll;
        var response = new ProduceResponse { Responses = new TopicResponse[request.TopicData.Length] };
        List<Waiting>? waiting = null;
        for (var i = 0; i < request.TopicData.Length; i++)
        {
            var topic = request.TopicData[i];
            var answers = new PartitionResponse[topic.PartitionData.Length];
            response.Responses[i] = new TopicResponse { Name = topic.Name, TopicId = topic.TopicId, PartitionResponses = answers };
            var hosted = context.ApiVersion >= FirstVersionWithTopicIds ? topics.Find(topic.TopicId) : topics.Find(topic.Name);
            for (var j = 0; j < answers.Length; j++)
            {
                var data = topic.PartitionData[j];
                var replica = hosted?.Find(data.Index);
                var outcome = !isValidAcks ? AppendOutcome.Failed(ErrorCode.InvalidRequiredAcks)
                    : hosted is not null && TopicNames.IsInternal(hosted.Name) && context.ClientId != InternalTopicWriter
                        ? AppendOutcome.Failed(ErrorCode.InvalidTopicException, $"Cannot append to internal topic {hosted.Name}")
                    : replica is null ? AppendOutcome.Failed(leaders.ErrorForMissing(context.ApiVersion >= FirstVersionWithTopicIds, topic.Name, topic.TopicId, data.Index))
                    : replica.Append(data.Records.Memory, request.Acks == AcksAll, context.ApiVersion >= FirstVersionWithZstd, Instant.Now(time));
                answers[j] = ToResponse(data.Index, outcome);
                if (outcome.ErrorCode == ErrorCode.NotLeaderOrFollower && leaders.Find(topic.Name, topic.TopicId, data.Index, context.Connection.ListenerName) is { } leader)
                    answers[j].CurrentLeader = AddHint(response, leader, context.ApiVersion);
                if (outcome.ErrorCode == ErrorCode.None && request.Acks == AcksAll && !replica!.IsCommitted(outcome.Result.LastOffset + 1))
                    (waiting ??= []).Add(new Waiting(replica, outcome.Result.LastOffset + 1, answers[j]));
            }
        }

        if (request.Acks == 0)
            return ValueTask.FromResult<ProduceResponse?>(null);
        return waiting is null ? ValueTask.FromResult<ProduceResponse?>(response) : WaitForCommitAsync(context, response, waiting, request.TimeoutMs);
    }

    /// <summary>Stage two: waits until all in-sync replicas have the records.</summary>
    private async ValueTask<ProduceResponse?> WaitForCommitAsync(RequestContext context, ProduceResponse response, List<Waiting> waiting, int timeoutMs)
    {
        var deadline = Instant.Now(time).AddMilliseconds(timeoutMs);
        foreach (var (replica, offset, answer) in waiting)
        {
            while (!replica.IsCommitted(offset))
            {
                var remainingMs = deadline.MillisecondsSince(Instant.Now(time));
                if (!replica.Leadership.IsLeaderHere || remainingMs <= 0)
                {
                    answer.ErrorCode = (short)(replica.Leadership.IsLeaderHere ? ErrorCode.RequestTimedOut : ErrorCode.NotLeaderOrFollower);
                    answer.BaseOffset = -1;
                    break;
                }

                await new DataWaiter(time).WaitAsync([replica], () => replica.IsCommitted(offset), TimeSpan.FromMilliseconds(remainingMs), context.Connection.Closing);
            }
        }

        return response;
    }

    private static PartitionResponse ToResponse(int index, AppendOutcome outcome) => new()
    {
        Index = index,
        ErrorCode = (short)outcome.ErrorCode,
        BaseOffset = outcome.Result.FirstOffset,
        LogAppendTimeMs = outcome.Result.LogAppendTimeMs,
        LogStartOffset = outcome.Result.LogStartOffset,
        ErrorMessage = outcome.ErrorMessage,
        RecordErrors = outcome.RecordErrors.Count == 0
            ? []
            : [.. outcome.RecordErrors.Select(e => new ProduceResponse.BatchIndexAndErrorMessage { BatchIndex = e.BatchIndex, BatchIndexErrorMessage = e.Message })],
    };

    private static ProduceResponse.LeaderIdAndEpoch? AddHint(ProduceResponse response, LeaderHint leader, short version)
    {
        const short firstVersionWithHints = 10;
        if (version < firstVersionWithHints)
            return null;
        if (leader.Node is { } node && !response.NodeEndpoints.Any(known => known.NodeId == node.Id))
            response.NodeEndpoints = [.. response.NodeEndpoints, new ProduceResponse.NodeEndpoint { NodeId = node.Id, Host = node.Host, Port = node.Port, Rack = node.Rack }];
        return new ProduceResponse.LeaderIdAndEpoch { LeaderId = leader.LeaderId, LeaderEpoch = leader.LeaderEpoch };
    }

    private readonly record struct Waiting(PartitionReplica Replica, long Offset, PartitionResponse Answer);
}
