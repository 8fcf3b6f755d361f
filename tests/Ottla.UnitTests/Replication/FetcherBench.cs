using System.Reflection;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Replication;

namespace Ottla.UnitTests.Replication;

/// <summary>A fetcher of broker 3 on a bench: asks, is answered, and time passes.</summary>
internal sealed class FetcherBench
{
    public static readonly Uuid Topic = new(7, 7);

    private readonly FetchRequest _request = new();
    private readonly Dictionary<int, object> _replicas = [];
    private FetchResponse _response = new();

    public FetcherMachine<object> Machine { get; } = new(new FetcherOptions(3, 1000, 500, 1, 10485760, 1048576));

    public Instant Now { get; private set; } = new(1_000_000);

    /// <summary>Why the last answer was not used.</summary>
    public string? Problem { get; private set; }

    public void Pass(long milliseconds) => Now = Now.AddMilliseconds(milliseconds);

    public FetcherPartition<object> Follow(
        int partition, long end = 0, int epoch = -1, int leaderEpoch = 0, Uuid? topic = null, bool isThrottled = false)
    {
        var replica = _replicas.TryGetValue(partition, out var known) ? known : _replicas[partition] = new object();
        return Machine.Follow(
            new TopicIdPartition(topic ?? Topic, partition), replica, leaderEpoch, new FetcherPosition(end, epoch, 0), isThrottled);
    }

    /// <summary>The next request; null when there is nothing to ask for.</summary>
    public FetchRequest? Ask(short version = 18, bool isQuotaExceeded = false) =>
        Machine.TryFillRequest(_request, version, brokerEpoch: 77, isQuotaExceeded, Now) ? _request : null;

    /// <summary>Answers the last request.</summary>
    public bool Answer(int sessionId, params FetchResponse.PartitionData[] partitions) =>
        Answer(new FetchResponse
        {
            SessionId = sessionId,
            Responses = partitions.Length == 0 ? [] : [new() { TopicId = Topic, Partitions = partitions }],
        });

    /// <summary>Refuses the last request.</summary>
    public bool Answer(ErrorCode error) => Answer(new FetchResponse { ErrorCode = (short)error });

    public bool Answer(FetchResponse response)
    {
        _response = response;
        var isUsed = Machine.TryAccept(response, Now, out var problem);
        Problem = problem;
        return isUsed;
    }

    public FetchResponse.PartitionData Data(int partition, ErrorCode error = ErrorCode.None, long highWatermark = 0) =>
        new() { PartitionIndex = partition, ErrorCode = (short)error, HighWatermark = highWatermark, LogStartOffset = 0 };

    /// <summary>What the last answer means for a partition.</summary>
    public FetchVerdict Verdict(int partition)
    {
        var data = _response.Responses.SelectMany(topic => topic.Partitions).FirstOrDefault(data => data.PartitionIndex == partition);
        return Machine.Judge(Topic, data ?? Data(partition), Now, out _);
    }

    /// <summary>Stands for two billion requests.</summary>
    public void SetSessionEpoch(int epoch) =>
        typeof(FetcherMachine<object>).GetField("_sessionEpoch", BindingFlags.NonPublic | BindingFlags.Instance)!.SetValue(Machine, epoch);
}

/// <summary>
/// A random history of a fetcher beside a leader that keeps the session as Kafka does: after each request the leader must have exactly what
/// the fetcher wants, at the offsets that it wants.
/// </summary>
internal sealed class FetcherSessionHistory(ulong seed)
{
    private static readonly Uuid[] Topics = [new(1, 1), new(2, 2)];

    private readonly Prng _random = new(seed);
    private readonly FetcherMachine<object> _machine = new(new FetcherOptions(3, 1000, 500, 1, 10485760, 1048576));
    private readonly FetchRequest _request = new();
    private readonly Dictionary<TopicIdPartition, FetchRequest.FetchPartition> _session = [];
    private readonly Dictionary<TopicIdPartition, int> _epochs = [];
    private int _sessionId;
    private int _sessionEpoch;
    private Instant _now = new(5_000_000);

    public void Run(int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            Change();
            if (_machine.TryFillRequest(_request, 18, 1, isQuotaExceeded: _random.NextInt(4) == 0, _now))
            {
                var error = Take();
                Compare(error);
                for (var change = _random.NextInt(3); change > 0; change--)
                    Change(); // while the request is under way
                Answer(error);
            }

            _now = _now.AddMilliseconds(_random.NextInt(600));
        }
    }

    private void Change()
    {
        var id = new TopicIdPartition(Topics[_random.NextInt(2)], _random.NextInt(4));
        var known = _machine.Find(id);
        switch (_random.NextInt(5))
        {
            case 0 when known is not null:
                _machine.Stop(known);
                break;
            case 1 when known is not null:
                _machine.SetLogStartOffset(known, _random.NextInt(5));
                break;
            case 2 when known is not null:
                _machine.SetThrottled(known, _random.NextInt(2) == 0);
                break;
            default:
                var epoch = _epochs[id] = _epochs.GetValueOrDefault(id) + _random.NextInt(2);
                _machine.Follow(id, this, epoch, new FetcherPosition(_random.NextInt(50), epoch - 1, 0));
                break;
        }
    }

    /// <summary>What Kafka's leader makes of a request.</summary>
    private ErrorCode Take()
    {
        if (_request.SessionEpoch == 0)
        {
            _session.Clear();
            _sessionId = _random.NextInt(5) == 0 ? 0 : 1 + _random.NextInt(1_000_000); // sometimes it has no room
            _sessionEpoch = 0;
        }
        else if (_sessionId == 0 || _request.SessionId != _sessionId || _random.NextInt(50) == 0)
        {
            return ErrorCode.FetchSessionIdNotFound;
        }
        else if (_request.SessionEpoch != _sessionEpoch)
        {
            return ErrorCode.InvalidFetchSessionEpoch;
        }

        foreach (var topic in _request.Topics)
        {
            foreach (var partition in topic.Partitions)
            {
                _session[new TopicIdPartition(topic.TopicId, partition.Partition)] = new FetchRequest.FetchPartition
                {
                    FetchOffset = partition.FetchOffset,
                    CurrentLeaderEpoch = partition.CurrentLeaderEpoch,
                    LastFetchedEpoch = partition.LastFetchedEpoch,
                    LogStartOffset = partition.LogStartOffset,
                };
            }
        }

        foreach (var topic in _request.ForgottenTopicsData)
        {
            foreach (var partition in topic.Partitions)
                Assert.True(_session.Remove(new TopicIdPartition(topic.TopicId, partition)), $"seed {seed}: forgets what is not there");
        }

        _sessionEpoch++;
        return ErrorCode.None;
    }

    private void Compare(ErrorCode error)
    {
        if (error != ErrorCode.None)
            return;
        var wanted = _machine.Partitions.Where(partition => partition.IsReady).ToList();
        Assert.True(wanted.Count == _session.Count, $"seed {seed}: the leader has {_session.Count} of {wanted.Count}");
        foreach (var partition in wanted)
        {
            var told = _session[partition.Id];
            Assert.True(
                told.FetchOffset == partition.FetchOffset && told.CurrentLeaderEpoch == partition.LeaderEpoch
                    && told.LogStartOffset == partition.Next.LogStartOffset && told.LastFetchedEpoch == partition.Next.LastFetchedEpoch,
                $"seed {seed}: the leader thinks of {partition} at {told.FetchOffset}");
        }
    }

    private void Answer(ErrorCode error)
    {
        if (_random.NextInt(20) == 0)
        {
            _machine.OnRequestFailed(_now); // the answer is lost
            return;
        }

        var isFull = _request.SessionEpoch == 0;
        var named = _session.Keys.Where(_ => isFull || _random.NextInt(3) == 0).ToList();
        var response = new FetchResponse
        {
            ErrorCode = (short)error,
            SessionId = error == ErrorCode.None ? _sessionId : 0,
            Responses = error != ErrorCode.None ? [] : [.. named.GroupBy(id => id.TopicId).Select(topic =>
                new FetchResponse.FetchableTopicResponse { TopicId = topic.Key, Partitions = [.. topic.Select(Data)] })],
        };
        if (!_machine.TryAccept(response, _now, out var problem))
        {
            Assert.True(problem is null, $"seed {seed}: {problem}");
            return;
        }

        foreach (var topic in response.Responses)
        {
            foreach (var data in topic.Partitions)
                Judge(topic.TopicId, data);
        }
    }

    private FetchResponse.PartitionData Data(TopicIdPartition id) => new()
    {
        PartitionIndex = id.Partition,
        ErrorCode = (short)(_random.NextInt(10) switch
        {
            0 => ErrorCode.OffsetOutOfRange,
            1 => ErrorCode.NotLeaderOrFollower,
            2 => ErrorCode.FencedLeaderEpoch,
            _ => ErrorCode.None,
        }),
        HighWatermark = _random.NextInt(100),
    };

    private void Judge(Uuid topicId, FetchResponse.PartitionData data)
    {
        var verdict = _machine.Judge(topicId, data, _now, out var partition);
        if (verdict == FetchVerdict.Append && _random.NextInt(2) == 0)
            _machine.OnAppended(
                partition!, new FetcherPosition(partition!.FetchOffset + _random.NextInt(3), partition.LeaderEpoch, 0),
                data.HighWatermark);
        else if (verdict == FetchVerdict.AskOffsets && _random.NextInt(2) == 0)
            _machine.Resume(partition!, new FetcherPosition(_random.NextInt(50), -1, 0));
        else if (verdict == FetchVerdict.AskOffsets)
            _machine.Retry(partition!, _now);
    }
}
