using Ottla.Protocol;

namespace Ottla.Broker.Replicas;

/// <summary>Counts what goes in and out of a replica. Any thread counts, without a lock; lives as long as the replica.</summary>
internal sealed class PartitionTraffic
{
    private long _messagesIn;
    private long _bytesIn;
    private long _bytesOut;
    private long _bytesRejected;
    private long _replicationBytesIn;
    private long _replicationBytesOut;
    private long _produceRequests;
    private long _fetchRequests;
    private long _failedProduceRequests;
    private long _failedFetchRequests;

    /// <summary>The sums so far. A request that is counted meanwhile may be in some of them only.</summary>
    public TrafficTotals Totals => new(
        Interlocked.Read(ref _messagesIn), Interlocked.Read(ref _bytesIn), Interlocked.Read(ref _bytesOut),
        Interlocked.Read(ref _bytesRejected), Interlocked.Read(ref _replicationBytesIn), Interlocked.Read(ref _replicationBytesOut),
        Interlocked.Read(ref _produceRequests), Interlocked.Read(ref _fetchRequests), Interlocked.Read(ref _failedProduceRequests),
        Interlocked.Read(ref _failedFetchRequests));

    /// <summary>Counts an append of a producer.</summary>
    /// <param name="outcome">Its outcome.</param>
    /// <param name="bytes">The bytes of the records in the request.</param>
    public void CountProduce(in AppendOutcome outcome, int bytes)
    {
        Interlocked.Increment(ref _produceRequests);
        if (outcome.ErrorCode == ErrorCode.None)
        {
            if (outcome.Result.IsDuplicate)
                return;
            Interlocked.Add(ref _messagesIn, outcome.Result.LastOffset - outcome.Result.FirstOffset + 1);
            Interlocked.Add(ref _bytesIn, bytes);
            return;
        }

        if (outcome.ErrorCode is ErrorCode.MessageTooLarge or ErrorCode.RecordListTooLarge)
            Interlocked.Add(ref _bytesRejected, bytes);
        else if (!IsOfPlacement(outcome.ErrorCode))
            Interlocked.Increment(ref _failedProduceRequests);
    }

    /// <summary>Counts a read for a consumer.</summary>
    /// <param name="error">Its outcome.</param>
    /// <param name="bytes">The bytes of the records that are sent.</param>
    public void CountFetch(ErrorCode error, int bytes)
    {
        Interlocked.Increment(ref _fetchRequests);
        if (bytes > 0)
            Interlocked.Add(ref _bytesOut, bytes);
        else if (error is not (ErrorCode.None or ErrorCode.OffsetOutOfRange) && !IsOfPlacement(error))
            Interlocked.Increment(ref _failedFetchRequests);
    }

    /// <summary>Counts bytes that are sent to a follower.</summary>
    public void CountSent(int bytes)
    {
        if (bytes > 0)
            Interlocked.Add(ref _replicationBytesOut, bytes);
    }

    /// <summary>Counts bytes that were fetched from the leader.</summary>
    public void CountFetched(int bytes)
    {
        if (bytes > 0)
            Interlocked.Add(ref _replicationBytesIn, bytes);
    }

    /// <summary>Whether an error says that a client has come to the wrong place: Kafka does not count those as failures.</summary>
    private static bool IsOfPlacement(ErrorCode error) => error is ErrorCode.NotLeaderOrFollower or ErrorCode.UnknownTopicOrPartition
        or ErrorCode.FencedLeaderEpoch or ErrorCode.UnknownLeaderEpoch or ErrorCode.NotEnoughReplicas;
}

/// <summary>What went in and out of one or several replicas.</summary>
/// <param name="MessagesIn">Records of producers.</param>
/// <param name="BytesIn">Their bytes.</param>
/// <param name="BytesOut">Bytes for consumers.</param>
/// <param name="BytesRejected">Bytes that were refused because a batch was too large.</param>
/// <param name="ReplicationBytesIn">Bytes fetched from leaders.</param>
/// <param name="ReplicationBytesOut">Bytes sent to followers.</param>
/// <param name="ProduceRequests">Appends of producers, counted by partition.</param>
/// <param name="FetchRequests">Reads of consumers, counted by partition.</param>
/// <param name="FailedProduceRequests">Appends that failed for another reason than that the client came to the wrong place.</param>
/// <param name="FailedFetchRequests">Reads that failed likewise.</param>
internal readonly record struct TrafficTotals(
    long MessagesIn, long BytesIn, long BytesOut, long BytesRejected, long ReplicationBytesIn, long ReplicationBytesOut,
    long ProduceRequests, long FetchRequests, long FailedProduceRequests, long FailedFetchRequests)
{
    /// <summary>Both together.</summary>
    public static TrafficTotals operator +(in TrafficTotals one, in TrafficTotals other) => new(
        one.MessagesIn + other.MessagesIn, one.BytesIn + other.BytesIn, one.BytesOut + other.BytesOut,
        one.BytesRejected + other.BytesRejected, one.ReplicationBytesIn + other.ReplicationBytesIn,
        one.ReplicationBytesOut + other.ReplicationBytesOut, one.ProduceRequests + other.ProduceRequests,
        one.FetchRequests + other.FetchRequests, one.FailedProduceRequests + other.FailedProduceRequests,
        one.FailedFetchRequests + other.FailedFetchRequests);
}
