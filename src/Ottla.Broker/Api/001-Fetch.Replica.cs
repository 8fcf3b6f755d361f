using System.Runtime.CompilerServices;
using Ottla.Broker.Replicas.Followers;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>Fetch (key 1) of followers, versions 4 to 18: reads up to the log's end, and learns from it where the follower is.</summary>
/// <remarks>
/// Followers tell by what they fetch how far they have replicated. Otherwise as of consumers, but: sessions are the followers' own, and an
/// answer costs what has news, not what is fetched. New records end the wait; another high watermark or log start goes with the next
/// answer. Errors of partitions, in this order: UNKNOWN_TOPIC_ID, UNKNOWN_TOPIC_OR_PARTITION, INCONSISTENT_TOPIC_ID, KAFKA_STORAGE_ERROR,
/// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH, NOT_LEADER_OR_FOLLOWER, again UNKNOWN_LEADER_EPOCH when the sender is not assigned a replica,
/// NOT_LEADER_OR_FOLLOWER when the broker has restarted since, OFFSET_OUT_OF_RANGE, CORRUPT_MESSAGE. NOT_LEADER_OR_FOLLOWER and
/// FENCED_LEADER_EPOCH name the leader (v16+), without its address. last_fetched_epoch (v12+) answers with the diverging epoch. Of the
/// session: FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR.
/// </remarks>
internal sealed class ReplicaFetchHandler(FollowerSessions sessions, Func<int> fetchBytesMax, TimeProvider time)
    : IReusingApiHandler<FetchRequest, FetchResponse>
{
    private const short FirstVersionWithTopicIds = 13;
    private const short FirstVersionWithReplicaState = 15;
    private const long NoBrokerEpoch = -1;

    /// <summary>Whether a follower sent the request.</summary>
    public static bool IsFromReplica(in RequestContext context, FetchRequest request) => ReplicaIdOf(context, request) >= 0;

    /// <inheritdoc/>
    /// <remarks>Microseconds and partitions are about the same: those that are due, and those that the request names.</remarks>
    public int EstimateMicroseconds(RequestContext context, FetchRequest request)
    {
        var count = sessions.Find(request.SessionId)?.DueCount ?? 0;
        foreach (var topic in request.Topics)
            count += topic.Partitions.Length;
        return count;
    }

    public ValueTask<FetchResponse?> HandleAsync(RequestContext context, FetchRequest request, FetchResponse response)
    {
        var now = Instant.Now(time);
        var usesTopicIds = context.ApiVersion >= FirstVersionWithTopicIds;
        var replicaId = ReplicaIdOf(context, request);
        var error = sessions.Begin(context, request, replicaId, usesTopicIds, out var session);
        if (session is null)
        {
            response.ErrorCode = (short)error;
            return ValueTask.FromResult<FetchResponse?>(response);
        }

        var maxBytes = Math.Min(request.MaxBytes, fetchBytesMax());
        var terms = new FollowerFetchTerms(
            replicaId, request.ReplicaState?.ReplicaEpoch ?? NoBrokerEpoch, usesTopicIds, session.NextEpoch,
            Math.Min(request.MinBytes, maxBytes), maxBytes, now);
        var isWaiting = false;
        try
        {
            if (!session.Update(request, terms))
            {
                // A follower without partitions does not use its session again.
                sessions.Remove(session);
                session.End();
                return ValueTask.FromResult<FetchResponse?>(response);
            }

            if (session.TryAnswer(terms, isArrival: true, request.MaxWaitMs > 0, context, response, out var wait))
                return ValueTask.FromResult<FetchResponse?>(response);
            isWaiting = true;
            return WaitAsync(context, session, terms, now.AddMilliseconds(request.MaxWaitMs), response, wait);
        }
        finally
        {
            if (!isWaiting)
                EndIfAlone(session);
        }
    }

    private static int ReplicaIdOf(in RequestContext context, FetchRequest request) =>
        context.ApiVersion >= FirstVersionWithReplicaState ? request.ReplicaState?.ReplicaId ?? -1 : request.ReplicaId;

    /// <summary>Ends what was made for one fetch only.</summary>
    private static void EndIfAlone(FollowerSession session)
    {
        if (session.Id == 0)
            session.End();
    }

    /// <summary>The long poll: looks again whenever something due may end it, and at the deadline.</summary>
    /// <exception cref="OperationCanceledException">The connection is closed.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<FetchResponse?> WaitAsync(
        RequestContext context, FollowerSession session, FollowerFetchTerms terms, Instant deadline, FetchResponse response,
        FollowerWait wait)
    {
        using var counted = sessions.Waits.CountFetch();
        try
        {
            var connection = context.Connection;
            var mayWait = true;
            do
            {
                var remainingMs = deadline.MillisecondsSince(Instant.Now(time));
                if (remainingMs > 0 && !connection.Draining.IsCancellationRequested)
                    await wait.WaitAsync(TimeSpan.FromMilliseconds(remainingMs));
                connection.Closing.ThrowIfCancellationRequested();
                mayWait = Instant.Now(time) < deadline && !connection.Draining.IsCancellationRequested;
            }
            while (!session.TryAnswer(terms, isArrival: false, mayWait, context, response, out _));
            return response;
        }
        finally
        {
            session.OnWaited(wait);
            EndIfAlone(session);
        }
    }
}
