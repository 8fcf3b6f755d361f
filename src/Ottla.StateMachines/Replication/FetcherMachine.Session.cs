using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Replication;

/// <summary>The session with the leader: what requests name, and which answers fit.</summary>
public sealed partial class FetcherMachine<TReplica>
{
    /// <summary>From this version on the replica state is a tagged field with the broker epoch (KIP-903).</summary>
    private const short VersionWithReplicaState = 15;

    /// <summary>What has left while the leader's session has it still, with what the leader was told.</summary>
    private readonly Dictionary<TopicIdPartition, FetchPosition> _leaving = [];

    private readonly List<FetcherPartition<TReplica>> _sending = [];
    private readonly List<TopicIdPartition> _forgotten = [];
    private int _sessionId;
    private int _sessionEpoch;
    private int _sessionCount;
    private long _round;

    /// <summary>Whether the next request begins a session, with everything in it.</summary>
    private bool IsFull => _sessionEpoch == 0;

    /// <summary>Fills the next request.</summary>
    /// <param name="request">Receives it; reset before.</param>
    /// <param name="version">The version that it is sent in.</param>
    /// <param name="brokerEpoch">The epoch of this broker.</param>
    /// <param name="isQuotaExceeded">Whether the follower's throttle is used up.</param>
    /// <param name="now">The time.</param>
    /// <returns>False when there is nothing to ask for: until <see cref="NextDeadline"/>, or a partition comes.</returns>
    public bool TryFillRequest(FetchRequest request, short version, long brokerEpoch, bool isQuotaExceeded, Instant now)
    {
        EndDelays(now);
        ApplyThrottle(isQuotaExceeded);
        _sending.Clear();
        _forgotten.Clear();
        if (IsFull)
            ChooseAll();
        else
            ChooseChanged();
        if (_sessionCount == 0 && _forgotten.Count == 0)
            return false;

        _round++;
        request.Reset();
        if (version >= VersionWithReplicaState)
            (request.TakeReplicaState().ReplicaId, request.ReplicaState!.ReplicaEpoch) = (options.ReplicaId, brokerEpoch);
        else
            request.ReplicaId = options.ReplicaId;
        request.MaxWaitMs = options.WaitMaxMs;
        request.MinBytes = options.BytesMin;
        request.MaxBytes = options.BytesMax;
        request.SessionId = _sessionId;
        request.SessionEpoch = _sessionEpoch;
        FillTopics(request);
        FillForgotten(request);
        return true;
    }

    /// <summary>Takes an answer over: the session, and whether it fits what was asked.</summary>
    /// <param name="response">The answer.</param>
    /// <param name="now">The time.</param>
    /// <param name="problem">Why it cannot be used, for the log; null for what happens when leaders restart.</param>
    /// <returns>True when each of its partitions may be given to <see cref="Judge"/>; false to ask again.</returns>
    public bool TryAccept(FetchResponse response, Instant now, out string? problem)
    {
        problem = null;
        if ((ErrorCode)response.ErrorCode is not ErrorCode.None and var error)
        {
            if (error == ErrorCode.FetchSessionIdNotFound)
                _sessionId = 0; // the leader does not know it any more; otherwise a full request replaces it there
            _sessionEpoch = 0;
            if (error is not (ErrorCode.FetchSessionIdNotFound or ErrorCode.InvalidFetchSessionEpoch))
            {
                problem = $"it was refused with {error}";
                DelayAll(now);
            }

            return false;
        }

        problem = FindMisfit(response);
        if (problem is not null)
        {
            if (IsFull)
                _sessionId = 0;
            _sessionEpoch = 0;
            DelayAll(now);
            return false;
        }

        if (response.SessionId == 0)
            (_sessionId, _sessionEpoch) = (0, 0); // the leader has no room for a session, or has closed it
        else if (IsFull)
            (_sessionId, _sessionEpoch) = (response.SessionId, 1);
        else
            _sessionEpoch = _sessionEpoch == int.MaxValue ? 1 : _sessionEpoch + 1;
        return true;
    }

    /// <summary>There was no answer: everything waits, and then a full request replaces the session.</summary>
    public void OnRequestFailed(Instant now)
    {
        _sessionEpoch = 0;
        DelayAll(now);
    }

    private void ChooseAll()
    {
        foreach (var partition in _listed)
            partition.IsListed = false;
        _listed.Clear();
        _leaving.Clear();
        _sessionCount = 0;
        foreach (var partition in _order)
        {
            partition.IsInSession = partition.IsReady;
            if (partition.IsReady)
                Send(partition);
        }
    }

    private void ChooseChanged()
    {
        foreach (var (id, _) in _leaving)
            _forgotten.Add(id);
        _sessionCount -= _leaving.Count;
        _leaving.Clear();
        foreach (var partition in _listed)
        {
            partition.IsListed = false;
            if (partition.IsReady && (!partition.IsInSession || partition.Told != partition.Next))
            {
                if (partition.IsInSession)
                    _sessionCount--; // it is counted again
                partition.IsInSession = true;
                Send(partition);
            }
            else if (!partition.IsReady && partition.IsInSession)
            {
                partition.IsInSession = false;
                _forgotten.Add(partition.Id);
                _sessionCount--;
            }
        }

        _listed.Clear();
    }

    private void Send(FetcherPartition<TReplica> partition)
    {
        partition.Told = partition.Next;
        _sending.Add(partition);
        _sessionCount++;
    }

    /// <summary>Partitions of a topic that follow each other share an entry, as in Kafka.</summary>
    private void FillTopics(FetchRequest request)
    {
        var topicCount = 0;
        for (var i = 0; i < _sending.Count; i++)
        {
            if (i == 0 || _sending[i].Id.TopicId != _sending[i - 1].Id.TopicId)
                topicCount++;
        }

        var next = 0;
        foreach (var topic in request.TakeTopics(topicCount))
        {
            var end = next + 1;
            while (end < _sending.Count && _sending[end].Id.TopicId == _sending[next].Id.TopicId)
                end++;
            topic.TopicId = _sending[next].Id.TopicId;
            foreach (var partition in topic.TakePartitions(end - next))
                Fill(partition, _sending[next++]);
        }
    }

    private void Fill(FetchRequest.FetchPartition entry, FetcherPartition<TReplica> partition)
    {
        var told = partition.Told;
        entry.Partition = partition.Id.Partition;
        entry.CurrentLeaderEpoch = told.LeaderEpoch;
        entry.FetchOffset = told.FetchOffset;
        entry.LastFetchedEpoch = told.LastFetchedEpoch;
        entry.LogStartOffset = told.LogStartOffset;
        entry.PartitionMaxBytes = options.PartitionBytesMax;
    }

    private void FillForgotten(FetchRequest request)
    {
        if (_forgotten.Count == 0)
            return;
        _forgotten.Sort();
        var topics = _forgotten.Select(id => id.TopicId).Distinct().ToArray();
        var next = 0;
        foreach (var topic in request.TakeForgottenTopicsData(topics.Length))
        {
            var first = next;
            topic.TopicId = _forgotten[next].TopicId;
            while (next < _forgotten.Count && _forgotten[next].TopicId == topic.TopicId)
                next++;
            topic.Partitions = [.. _forgotten.GetRange(first, next - first).Select(id => id.Partition)];
        }
    }

    /// <summary>What an answer names that was not asked for, or, to a full request, lacks.</summary>
    private string? FindMisfit(FetchResponse response)
    {
        var named = 0;
        foreach (var topic in response.Responses)
        {
            foreach (var data in topic.Partitions)
            {
                var id = new TopicIdPartition(topic.TopicId, data.PartitionIndex);
                var partition = Find(id);
                if (partition is not { IsInSession: true } && !_leaving.ContainsKey(id))
                    return $"it names {id}, which is not in the session";
                if (partition is not null)
                {
                    if (partition.AnsweredIn == _round)
                        return $"it names {id} twice";
                    partition.AnsweredIn = _round;
                }

                named++;
            }
        }

        return IsFull && named < _sessionCount ? $"it has {named} of the {_sessionCount} partitions that a full request named" : null;
    }
}
