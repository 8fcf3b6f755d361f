using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Consumer;
using Ottla.StateMachines.Groups.Share;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Groups;

/// <summary>
/// Drives a <see cref="GroupMachine"/> as its host would, in simulated time: a log in memory, in which everything is committed at once.
/// </summary>
/// <remarks>
/// Every answer is given once, to who asked, and can be written in the version of the request; every record can be written and read: what
/// is not so ends the simulation.
/// </remarks>
public sealed class SimulatedCoordinator
{
    private readonly Prng _random;
    private readonly CoordinatorEffects _effects = new();
    private readonly Dictionary<long, Action<CoordinatorReply>> _waiting = [];
    private readonly Queue<CoordinatorOutput> _outputs = new();
    private readonly List<(CoordinatorRecord Record, ProducerIdAndEpoch Transaction, bool? Marker)> _log = [];
    private long _lastReplyNumber;
    private BrokerConfig _config;

    /// <summary>Makes a coordinator with an empty log, and starts it.</summary>
    public SimulatedCoordinator(ulong seed, MetadataImage image, BrokerConfig config, Instant now)
    {
        _random = new Prng(seed);
        (Image, _config, Now) = (image, config, now);
        Machine = NewMachine();
        Load();
    }

    /// <summary>The machine; another after each restart.</summary>
    public GroupMachine Machine { get; private set; }

    /// <summary>The time.</summary>
    public Instant Now { get; private set; }

    /// <summary>The metadata that the machine knows.</summary>
    public MetadataImage Image { get; private set; }

    /// <summary>Requests without an answer.</summary>
    public int WaitingCount => _waiting.Count;

    /// <summary>The records that were written, markers left out.</summary>
    public IEnumerable<CoordinatorRecord> Log => _log.Where(entry => entry.Marker is null).Select(entry => entry.Record);

    /// <summary>The records of the last step.</summary>
    public IReadOnlyList<CoordinatorRecord> LastRecords { get; private set; } = [];

    /// <summary>The records of the last answer to what the machine wanted done outside.</summary>
    public IReadOnlyList<CoordinatorRecord> LastResolutionRecords { get; private set; } = [];

    /// <summary>
    /// Whether what the machine wants done outside waits until time passes, or <see cref="RunOutputs"/> is called; otherwise it is done
    /// at once.
    /// </summary>
    public bool DelaysOutputs { get; set; }

    /// <summary>Whether what the machine wants done outside waits for <see cref="RunOutputs"/>, however long that takes.</summary>
    public bool HoldsOutputs { get; set; }

    /// <summary>The error of share coordinators that are told to begin.</summary>
    public ApiError InitializationError { get; set; } = ApiError.None;

    /// <summary>How many of the coming writes fail with <see cref="ErrorCode.CoordinatorNotAvailable"/>.</summary>
    public int FailingWrites { get; set; }

    /// <summary>Sends a request.</summary>
    /// <param name="command">The request.</param>
    /// <param name="onReply">Gets the answer, at once or later.</param>
    public void Send(GroupCommand command, Action<CoordinatorReply> onReply)
    {
        var replyTo = new ReplyTo(++_lastReplyNumber);
        _waiting.Add(replyTo.Number, reply =>
        {
            if (MessageOf(reply) is { } message && VersionOf(command) is { } version)
                WireBuffer.Encode(message, version);
            onReply(reply);
        });
        _effects.Clear();
        try
        {
            Machine.Decide(command, replyTo, Now, _effects);
        }
        catch (ApiException e)
        {
            _effects.Clear();
            _effects.Fail(replyTo, e.Error.Code, e.Error.Message);
        }

        Finish(replyTo);
    }

    /// <summary>Lets time pass, and has done what is due meanwhile, in order.</summary>
    public void AdvanceTo(Instant until)
    {
        if (!HoldsOutputs)
            RunOutputs();
        while (Machine.NextDeadline is { } next && next <= until)
        {
            Now = next > Now ? next : Now;
            _effects.Clear();
            Machine.OnDeadline(Now, _effects);
            var isRefused = FailingWrites > 0 && _effects.Records.Count > 0;
            Finish(null);
            if (isRefused)
                break;
        }

        Now = until > Now ? until : Now;
    }

    /// <summary>Does what the machine wants done outside, and tells it what came of it.</summary>
    public void RunOutputs()
    {
        while (_outputs.TryDequeue(out var output))
        {
            var before = LastRecords;
            Send(ResultOf(output), _ => { });
            (LastRecords, LastResolutionRecords) = (before, LastRecords);
        }
    }

    private GroupCommand ResultOf(CoordinatorOutput output) => output switch
    {
        ResolveExpressionsOutput resolve => new ExpressionsResolvedCommand(resolve, resolve.Resolve()),
        InitializeShareStateOutput initialize => new ShareStateInitializedCommand(initialize, InitializationError),
        _ => throw new SimulationException($"{output.GetType().Name} is no output of groups"),
    };

    /// <summary>Lets time pass.</summary>
    public void Advance(long milliseconds) => AdvanceTo(Now.AddMilliseconds(milliseconds));

    /// <summary>Changes the metadata or the configuration.</summary>
    public void Publish(MetadataDelta delta, BrokerConfig? config = null)
    {
        (Image, _config) = (delta.New, config ?? _config);
        _effects.Clear();
        Machine.OnMetadata(delta, _config, Now, _effects);
        Finish(null);
    }

    /// <summary>Has the log grow by a record that the machine learns of at its next restart.</summary>
    public void Append(in CoordinatorRecord record) => _log.Add((record, ProducerIdAndEpoch.None, null));

    /// <summary>Ends a transaction.</summary>
    public void EndTransaction(ProducerIdAndEpoch transaction, bool isCommit)
    {
        _log.Add((default, transaction, isCommit));
        Machine.ApplyMarker(transaction, isCommit);
    }

    /// <summary>Loses the leadership and gets it back: whoever waits is told, and a new machine reads the log.</summary>
    public void Restart()
    {
        Machine.OnUnloading();
        _outputs.Clear();
        Machine = Replay();
        Load();
        foreach (var (number, onReply) in _waiting.ToArray())
        {
            _waiting.Remove(number);
            onReply(new FailedReply(new ReplyTo(number), new ApiError(ErrorCode.NotCoordinator)));
        }
    }

    /// <summary>A new machine that has read the log, but has not begun.</summary>
    public GroupMachine Replay()
    {
        var machine = NewMachine();
        for (var offset = 0; offset < _log.Count; offset++)
        {
            var (record, transaction, marker) = _log[offset];
            if (marker is { } isCommit)
                machine.ApplyMarker(transaction, isCommit);
            else
                machine.Apply(offset, ReadBack(record), transaction);
        }

        return machine;
    }

    /// <summary>
    /// Forgets the records that newer ones have replaced, as the cleaner does. Not to be called with transactions in the log.
    /// </summary>
    public void Compact()
    {
        var newest = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var i = 0; i < _log.Count; i++)
            newest[KeyText(_log[i].Record)] = i;
        var kept = newest.Values.Order().Select(i => _log[i]).Where(entry => entry.Record.Value is not null).ToList();
        _log.Clear();
        _log.AddRange(kept);
    }

    /// <summary>A record in words: its bytes.</summary>
    public static string Text(CoordinatorRecord record) =>
        $"{KeyText(record)} {(record.Value is { } value ? Convert.ToHexString(WireBuffer.Encode(value, record.ValueVersion)) : "deleted")}";

    private static string KeyText(in CoordinatorRecord record) =>
        $"{record.Key.RecordKey}:{Convert.ToHexString(WireBuffer.Encode(record.Key, 0))}";

    // What is written can be read, and says the same.
    private static CoordinatorRecord ReadBack(in CoordinatorRecord record)
    {
        var keyReader = new WireReader(WireBuffer.Encode(record.Key, 0));
        var key = GroupRecords.ReadKey(record.Key.RecordKey, 0, ref keyReader);
        if (record.Value is null)
            return CoordinatorRecord.Tombstone(key);
        var valueReader = new WireReader(WireBuffer.Encode(record.Value, record.ValueVersion));
        return new CoordinatorRecord(
            key, GroupRecords.ReadValue(record.Value.RecordKey, record.ValueVersion, ref valueReader), record.ValueVersion);
    }

    /// <summary>The response that is sent as it is; null for other replies and for errors.</summary>
    private static IMessage? MessageOf(CoordinatorReply reply) => reply switch
    {
        CoordinatorReply<JoinGroupResponse> join => join.Reply,
        CoordinatorReply<SyncGroupResponse> sync => sync.Reply,
        CoordinatorReply<HeartbeatResponse> heartbeat => heartbeat.Reply,
        CoordinatorReply<LeaveGroupResponse> leave => leave.Reply,
        CoordinatorReply<ConsumerGroupHeartbeatResponse> heartbeat => heartbeat.Reply,
        CoordinatorReply<ShareGroupHeartbeatResponse> heartbeat => heartbeat.Reply,
        _ => null,
    };

    private static short? VersionOf(GroupCommand command) => command switch
    {
        JoinGroupCommand join => join.Origin.ApiVersion,
        SyncGroupCommand sync => sync.Origin.ApiVersion,
        HeartbeatCommand heartbeat => heartbeat.Origin.ApiVersion,
        LeaveGroupCommand leave => leave.Origin.ApiVersion,
        ConsumerGroupHeartbeatCommand heartbeat => heartbeat.Origin.ApiVersion,
        ShareGroupHeartbeatCommand heartbeat => heartbeat.Origin.ApiVersion,
        _ => null,
    };

    private GroupMachine NewMachine() => new(new Prng(_random.NextUInt64()));

    private void Load()
    {
        _effects.Clear();
        Machine.OnLoaded(Image, _config, Now, _effects);
        Finish(null);
    }

    private void Finish(ReplyTo? replyTo)
    {
        LastRecords = [.. _effects.Records];
        var replies = _effects.Replies.ToArray();
        var isRefused = FailingWrites > 0 && LastRecords.Count > 0;
        Action<Instant, CoordinatorEffects>? afterRefusal = null;
        if (isRefused)
        {
            FailingWrites--;
            afterRefusal = _effects.Refuse();
            var error = new ApiError(ErrorCode.CoordinatorNotAvailable);
            replies = [.. replies.Select(reply => new FailedReply(reply.To, error))];
            if (replyTo is { } to && !replies.Any(reply => reply.To == to))
                replies = [.. replies, new FailedReply(to, error)];
        }
        else
        {
            var transaction = _effects.Transaction;
            foreach (var record in LastRecords)
            {
                ReadBack(record);
                _log.Add((record, transaction, null));
                Machine.Apply(_log.Count - 1, record, transaction);
            }

            _effects.Take();
            replies = [.. _effects.Replies];
            foreach (var output in _effects.Outputs)
                _outputs.Enqueue(output);
        }

        foreach (var reply in replies)
        {
            if (!_waiting.Remove(reply.To.Number, out var onReply))
                throw new SimulationException($"request {reply.To.Number} was answered twice");
            onReply(reply);
        }

        if (afterRefusal is not null)
        {
            _effects.Clear();
            afterRefusal(Now, _effects);
            Finish(null);
        }
        else if (!DelaysOutputs && !HoldsOutputs)
        {
            RunOutputs();
        }
    }
}
