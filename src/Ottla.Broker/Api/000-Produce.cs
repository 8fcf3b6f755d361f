using Ottla.Broker.Hosts.Transactions;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Storage.Producers;
using PartitionResponse = Ottla.Protocol.Messages.ProduceResponse.PartitionProduceResponse;

namespace Ottla.Broker.Api;

/// <summary>Produce (key 0), versions 3 to 13: appends record batches to the partitions led here.</summary>
/// <remarks>
/// acks 0: the broker sends no response, and closes the connection after a failure. acks 1: it answers after the append. acks -1: it
/// answers when the high watermark has passed the records. A bad batch fails alone; its error names the bad records (v8+). Version 13 names
/// topics by id. zstd needs version 7. Errors: INVALID_REQUIRED_ACKS, UNKNOWN_TOPIC_OR_PARTITION, UNKNOWN_TOPIC_ID, INVALID_TOPIC_EXCEPTION
/// (an internal topic), NOT_LEADER_OR_FOLLOWER (with the leader, v10+, KIP-951), NOT_ENOUGH_REPLICAS, REQUEST_TIMED_OUT, and those of
/// validation and of the log. The first batch of a transaction waits until the transaction's coordinator has verified it (KIP-890): up to
/// version 11 the client must have added the partition to the transaction, from version 12 on the broker adds it. Errors of that:
/// INVALID_TXN_STATE, TRANSACTION_ABORTABLE (v11+), INVALID_PRODUCER_EPOCH, INVALID_PRODUCER_ID_MAPPING, CONCURRENT_TRANSACTIONS (v12+),
/// NOT_ENOUGH_REPLICAS (ask again). A request with transactional batches fails as a whole without a transactional id, or one that the
/// client may not use: TRANSACTIONAL_ID_AUTHORIZATION_FAILED. A topic that the client may not write to: TOPIC_AUTHORIZATION_FAILED.
/// </remarks>
internal sealed class ProduceHandler(
    HostedTopics topics, LeaderHints leaders, TransactionVerifier verifier, Authorizer authorizer, TimeProvider time)
    : IReusingApiHandler<ProduceRequest, ProduceResponse>
{
    /// <summary>The client id that may write to the brokers' own topics, as in Kafka.</summary>
    private const string InternalTopicWriter = "__admin_client";

    /// <summary>How many <see cref="CommitAnswers"/> are kept for later requests: more requests rarely wait at once.</summary>
    private const int IdleMax = 1024;

    private const short AcksAll = -1;
    private const short FirstVersionWithZstd = 7;
    private const short FirstVersionWithAbortable = 11;
    private const short FirstVersionThatAddsPartitions = 12;
    private const short FirstVersionWithTopicIds = 13;

    private readonly Lock _idleLock = new();
    private readonly Stack<CommitAnswers> _idle = new();
    private readonly TimeProvider _time = time;

    /// <inheritdoc/>
    /// <remarks>Validation decompresses compressed batches.</remarks>
    public int EstimateMicroseconds(RequestContext context, ProduceRequest request)
    {
        var total = 0L;
        foreach (var topic in request.TopicData)
        {
            foreach (var data in topic.PartitionData)
                total += ValidationCost.EstimateMicroseconds(data.Records.Memory.Span);
        }

        return (int)Math.Min(total, HeavyRequests.Unbounded);
    }

    /// <inheritdoc/>
    public bool WantsResponse(ProduceRequest request) => request.Acks != 0;

    public ValueTask<ProduceResponse?> HandleAsync(RequestContext context, ProduceRequest request, ProduceResponse response)
    {
        // Stage one, in request order: everything that is appended is appended before the first await.
        if (request.TransactionalId is { } id)
        {
            // Without transactional batches nobody uses the id.
            return !authorizer.IsEnabled || !HasTransactionalBatch(request)
                || authorizer.Allows(context, AclOperation.Write, ResourceType.TransactionalId, id)
                ? AppendVerifiedAsync(context, request, response, id)
                : Finish(context, request, response, RefuseTransactional(request, response, null));
        }

        var waiting = HasTransactionalBatch(request)
            ? RefuseTransactional(request, response, "A transactional batch came without a transactional id.")
            : Append(context, request, response, verdicts: null);
        return Finish(context, request, response, waiting);
    }

    /// <summary>
    /// Appends when the coordinator has verified the transaction. It mostly answers at once. If not, this copies the records, and later
    /// requests of the connection wait behind this one.
    /// </summary>
    private async ValueTask<ProduceResponse?> AppendVerifiedAsync(
        RequestContext context, ProduceRequest request, ProduceResponse response, string transactionalId)
    {
        var verification = VerifyAsync(context, request, transactionalId);
        var before = context.Connection.PendingAppends;
        if (before.IsCompleted && verification.IsCompleted)
            return await Finish(context, request, response, Append(context, request, response, await verification));
        CopyRecords(request);
        var appended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        context.Connection.PendingAppends = appended.Task;
        CommitAnswers? waiting;
        try
        {
            var verdicts = await verification;
            await before;
            waiting = Append(context, request, response, verdicts);
        }
        finally
        {
            appended.SetResult();
        }

        return await Finish(context, request, response, waiting);
    }

    /// <summary>Asks the transaction's coordinator to verify the transactional batches of a request.</summary>
    /// <returns>A verdict for each partition of the request, in its order.</returns>
    private async ValueTask<TransactionVerdict[]> VerifyAsync(RequestContext context, ProduceRequest request, string transactionalId)
    {
        var verdicts = new TransactionVerdict[request.TopicData.Sum(topic => topic.PartitionData.Length)];
        var writes = new List<TransactionalWrite>();
        var places = new List<int>();
        var producer = ProducerIdAndEpoch.None;
        var place = -1;
        foreach (var topic in request.TopicData)
        {
            var hosted = Find(context, topic);
            foreach (var data in topic.PartitionData)
            {
                place++;
                if (!TryReadTransaction(data.Records.Memory.Span, out var writer, out var sequence)
                    || hosted?.Find(data.Index) is not { } replica || IsForbidden(context, hosted)
                    || !authorizer.Sees(context, AclOperation.Write, ResourceType.Topic, hosted.Name))
                    continue;
                if (producer != ProducerIdAndEpoch.None && producer != writer)
                {
                    Array.Fill(verdicts, new TransactionVerdict(
                        new ApiError(ErrorCode.InvalidProducerIdMapping, "A request has batches of one transactional producer only."),
                        VerificationGuard.None));
                    return verdicts;
                }

                producer = writer;
                writes.Add(new TransactionalWrite(replica, sequence));
                places.Add(place);
            }
        }

        var support = SupportOf(context.ApiVersion);
        var verified = await verifier.VerifyAsync(transactionalId, producer, writes, support);
        for (var i = 0; i < verified.Length; i++)
            verdicts[places[i]] = verified[i] with { Error = ForProducer(verified[i].Error, support) };
        return verdicts;
    }

    /// <summary>Translates a coordinator's error for a producer, which expects errors of leaders.</summary>
    private static ApiError ForProducer(ApiError error, TransactionSupport support) => error.Code switch
    {
        ErrorCode.InvalidTxnState => new ApiError(ErrorCode.InvalidTxnState, "Partition was not added to the transaction"),
        ErrorCode.ConcurrentTransactions when support == TransactionSupport.LeavesPartitionsToBroker => error,
        ErrorCode.NetworkException or ErrorCode.CoordinatorLoadInProgress or ErrorCode.CoordinatorNotAvailable or ErrorCode.NotCoordinator
            or ErrorCode.ConcurrentTransactions =>
            // On this error every producer repeats its request, without asking for new metadata.
            new ApiError(
                ErrorCode.NotEnoughReplicas,
                $"Unable to verify the partition has been added to the transaction. Underlying error: {error.Code}"),
        _ => error,
    };

    /// <summary>Reads the producer of a batch that is not validated yet. The validation checks these fields again.</summary>
    private static bool TryReadTransaction(ReadOnlySpan<byte> records, out ProducerIdAndEpoch producer, out int sequence)
    {
        (producer, sequence) = (ProducerIdAndEpoch.None, RecordBatchLayout.NoSequence);
        if (records.Length < RecordBatchLayout.HeaderSizeBytes || new RecordBatchView(
            records) is not { Magic: RecordBatchLayout.CurrentMagic, IsTransactional: true, HasProducerId: true } batch)
            return false;
        (producer, sequence) = (new ProducerIdAndEpoch(batch.ProducerId, batch.ProducerEpoch), batch.BaseSequence);
        return true;
    }

    private static bool HasTransactionalBatch(ProduceRequest request)
    {
        foreach (var topic in request.TopicData)
        {
            foreach (var data in topic.PartitionData)
            {
                if (TryReadTransaction(data.Records.Memory.Span, out _, out _))
                    return true;
            }
        }

        return false;
    }

    /// <summary>Whether the topic is internal and this client may not write to it.</summary>
    private static bool IsForbidden(RequestContext context, HostedTopic topic) => TopicNames.IsInternal(topic.Name)
        && context.ClientId != InternalTopicWriter;

    private static TransactionSupport SupportOf(short version) =>
        version >= FirstVersionThatAddsPartitions ? TransactionSupport.LeavesPartitionsToBroker
        : version >= FirstVersionWithAbortable ? TransactionSupport.KnowsAbortable
        : TransactionSupport.AddsPartitions;

    private static void CopyRecords(ProduceRequest request)
    {
        foreach (var data in request.TopicData.SelectMany(topic => topic.PartitionData))
            data.Records = new Records(data.Records.Memory.ToArray());
    }

    private HostedTopic? Find(RequestContext context, ProduceRequest.TopicProduceData topic) =>
        context.ApiVersion >= FirstVersionWithTopicIds ? topics.Find(topic.TopicId) : topics.Find(topic.Name);

    /// <summary>Appends all batches of a request.</summary>
    /// <param name="context">The context of the request.</param>
    /// <param name="request">The request.</param>
    /// <param name="response">The response to fill.</param>
    /// <param name="verdicts">
    /// The verification of each partition, in the request's order; null for a producer without a transactional id.
    /// </param>
    /// <returns>The appends that must be committed before the response is sent; null when there are none.</returns>
    private CommitAnswers? Append(RequestContext context, ProduceRequest request, ProduceResponse response, TransactionVerdict[]? verdicts)
    {
        var isValidAcks = request.Acks is 0 or 1 or AcksAll;
        CommitAnswers? waiting = null;
        var now = Instant.Now(_time);
        var place = 0;
        var topicAnswers = response.TakeResponses(request.TopicData.Length);
        for (var i = 0; i < topicAnswers.Length; i++)
        {
            var topic = request.TopicData[i];
            topicAnswers[i].Name = topic.Name;
            topicAnswers[i].TopicId = topic.TopicId;
            var answers = topicAnswers[i].TakePartitionResponses(topic.PartitionData.Length);
            var hosted = Find(context, topic);
            var isAllowed = MayWrite(context, topic, hosted);
            for (var j = 0; j < answers.Length; j++, place++)
            {
                var data = topic.PartitionData[j];
                var replica = hosted?.Find(data.Index);
                var outcome = !isAllowed ? AppendOutcome.Failed(ErrorCode.TopicAuthorizationFailed)
                    : !isValidAcks ? AppendOutcome.Failed(ErrorCode.InvalidRequiredAcks)
                    : hosted is not null && IsForbidden(context, hosted)
                        ? AppendOutcome.Failed(ErrorCode.InvalidTopicException, $"Cannot append to internal topic {hosted.Name}")
                    : replica is null ? AppendOutcome.Failed(
                        leaders.ErrorForMissing(context.ApiVersion >= FirstVersionWithTopicIds, topic.Name, topic.TopicId, data.Index))
                    : verdicts?[place].Error is { IsFailure: true } refusal ? AppendOutcome.Failed(refusal.Code, refusal.Message)
                    : replica.Append(
                        data.Records.Memory, request.Acks == AcksAll, context.ApiVersion >= FirstVersionWithZstd, now,
                        verdicts?[place].Guard);
                Fill(answers[j], data.Index, outcome);
                if (outcome.ErrorCode == ErrorCode.NotLeaderOrFollower
                    && leaders.Find(topic.Name, topic.TopicId, data.Index, context.Connection.ListenerName) is { } leader)
                    answers[j].CurrentLeader = AddHint(response, leader, context.ApiVersion);
                if (outcome.ErrorCode == ErrorCode.None && request.Acks == AcksAll
                    && CommitWait.For(replica!, outcome) is var commit && commit.Look() != ErrorCode.None)
                    (waiting ??= RentCommitAnswers()).Add(commit, answers[j]);
            }
        }

        return waiting;
    }

    /// <summary>Whether the client may write to a topic. One without a name does not exist, and gets the error of that.</summary>
    private bool MayWrite(in RequestContext context, ProduceRequest.TopicProduceData topic, HostedTopic? hosted)
    {
        if (!authorizer.IsEnabled)
            return true;
        var name = hosted?.Name
            ?? (context.ApiVersion >= FirstVersionWithTopicIds ? leaders.NameOf(topic.TopicId) : topic.Name);
        return name is null || authorizer.Allows(context, AclOperation.Write, ResourceType.Topic, name);
    }

    private static CommitAnswers? RefuseTransactional(ProduceRequest request, ProduceResponse response, string? reason) =>
        Refuse(request, response, AppendOutcome.Failed(ErrorCode.TransactionalIdAuthorizationFailed, reason));

    /// <summary>Refuses every partition of a request, with one error.</summary>
    /// <returns>Null: the response waits for no append.</returns>
    private static CommitAnswers? Refuse(ProduceRequest request, ProduceResponse response, AppendOutcome outcome)
    {
        foreach (var (answer, topic) in response.TakeResponses(request.TopicData.Length).Zip(request.TopicData))
        {
            answer.Name = topic.Name;
            answer.TopicId = topic.TopicId;
            foreach (var (partition, data) in answer.TakePartitionResponses(topic.PartitionData.Length).Zip(topic.PartitionData))
                Fill(partition, data.Index, outcome);
        }

        return null;
    }

    private ValueTask<ProduceResponse?> Finish(
        RequestContext context, ProduceRequest request, ProduceResponse response, CommitAnswers? waiting)
    {
        if (request.Acks == 0)
        {
            EndIfFailed(context, response);
            return ValueTask.FromResult<ProduceResponse?>(null);
        }

        return waiting is null ? ValueTask.FromResult<ProduceResponse?>(response)
            : waiting.WaitAsync(response, Instant.Now(_time).AddMilliseconds(request.TimeoutMs), context.Connection.Closing);
    }

    /// <summary>A producer that wants no answer learns of a failure by losing its connection: it asks for the metadata again.</summary>
    private static void EndIfFailed(RequestContext context, ProduceResponse response)
    {
        foreach (var topic in response.Responses)
        {
            foreach (var partition in topic.PartitionResponses)
            {
                if (partition.ErrorCode == (short)ErrorCode.None)
                    continue;
                context.Connection.End(
                    $"produce request {context.CorrelationId} of client id {context.ClientId} with acks=0 failed: "
                        + $"{(ErrorCode)partition.ErrorCode} for partition {partition.Index} of "
                            + $"{(topic.Name.Length > 0 ? topic.Name : topic.TopicId)}");
                return;
            }
        }
    }

    private static void Fill(PartitionResponse answer, int index, in AppendOutcome outcome)
    {
        answer.Index = index;
        answer.ErrorCode = (short)outcome.ErrorCode;
        answer.BaseOffset = outcome.Result.FirstOffset;
        answer.LogAppendTimeMs = outcome.Result.LogAppendTimeMs;
        answer.LogStartOffset = outcome.LogStartOffset;
        answer.ErrorMessage = outcome.ErrorMessage;
        if (outcome.RecordErrors is { } recordErrors)
            FillRecordErrors(answer, recordErrors);
    }

    private static void FillRecordErrors(PartitionResponse answer, IReadOnlyList<RecordError> recordErrors)
    {
        var errors = answer.TakeRecordErrors(recordErrors.Count);
        for (var i = 0; i < errors.Length; i++)
        {
            errors[i].BatchIndex = recordErrors[i].BatchIndex;
            errors[i].BatchIndexErrorMessage = recordErrors[i].Message;
        }
    }

    private static ProduceResponse.LeaderIdAndEpoch? AddHint(ProduceResponse response, LeaderHint leader, short version)
    {
        const short firstVersionWithHints = 10;
        if (version < firstVersionWithHints)
            return null;
        if (leader.Node is { } node && !response.NodeEndpoints.Any(known => known.NodeId == node.Id))
            response.NodeEndpoints = [
                .. response.NodeEndpoints,
                new ProduceResponse.NodeEndpoint { NodeId = node.Id, Host = node.Host, Port = node.Port, Rack = node.Rack }];
        return new ProduceResponse.LeaderIdAndEpoch { LeaderId = leader.LeaderId, LeaderEpoch = leader.LeaderEpoch };
    }

    private CommitAnswers RentCommitAnswers()
    {
        lock (_idleLock)
            return _idle.TryPop(out var answers) ? answers : new CommitAnswers(this);
    }

    /// <summary>Stage two: waits until all in-sync replicas have what a request appended, and then fills its answers.</summary>
    private sealed class CommitAnswers(ProduceHandler handler) : CommitWaiter<ProduceResponse?>
    {
        /// <summary>One that has had more partitions is not kept.</summary>
        private const int KeptPartitionsMax = 256;

        private readonly List<PartitionResponse> _answers = [];
        private ProduceResponse? _response;

        protected override ProduceResponse? Result => _response;

        public void Add(in CommitWait commit, PartitionResponse answer)
        {
            Add(commit);
            _answers.Add(answer);
        }

        public ValueTask<ProduceResponse?> WaitAsync(ProduceResponse response, Instant deadline, CancellationToken closing)
        {
            _response = response;
            return WaitAsync(deadline, handler._time, closing);
        }

        // As in Kafka, an error says nothing about where the records are: they may still be committed.
        protected override void OnOutcome(int index, ErrorCode outcome) => _answers[index].ErrorCode = (short)outcome;

        protected override void OnTaken()
        {
            Clear();
            _answers.Clear();
            _response = null;
            if (Capacity > KeptPartitionsMax)
                return;
            lock (handler._idleLock)
            {
                if (handler._idle.Count < IdleMax)
                    handler._idle.Push(this);
            }
        }
    }
}
