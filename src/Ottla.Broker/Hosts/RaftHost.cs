using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;

namespace Ottla.Broker.Hosts;

/// <summary>
/// Runs a <see cref="RaftMachine"/> over the metadata log on disk: the replicated log that the controller and the brokers use.
/// </summary>
/// <remarks>
/// One loop owns the machine, the log and the listeners: it takes commands from a channel, carries out the effects of each step in their
/// order (save, log, flush, send, tell), and flushes once for all appends that wait. Public members may be called from anywhere; they never
/// wait for the disk, but for <see cref="WriteSnapshot"/>, which writes its own file. Lives as long as the node. A failing disk or listener
/// ends the loop: see <see cref="Completion"/>.
/// </remarks>
public sealed partial class RaftHost : IMetadataLog, IAsyncDisposable
{
    /// <summary>Commands taken before the log is flushed: the bound of a group commit.</summary>
    private const int CommandsPerFlushMax = 4096;

    private readonly Channel<Command> _commands = Channel.CreateUnbounded<Command>(new UnboundedChannelOptions { SingleReader = true });
    private readonly Lock _gate = new();
    private readonly Lock _snapshotGate = new();
    private readonly RaftHostOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IRaftTransport? _transport;
    private readonly RaftLogStore _store;
    private readonly RaftMachine _machine;
    private readonly RaftEffects _effects = new();
    private readonly ITimer _timer;
    private readonly Dictionary<long, TaskCompletionSource<RaftResponse>> _requests = [];
    private readonly CancellationTokenSource _closing = new();
    private readonly TaskCompletionSource _completion = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // Guarded by _gate.
    private LeaderAndEpoch _leader = new(-1, 0);
    private QuorumLeader _knownLeader = QuorumLeader.None;
    private TaskCompletionSource _leaderChanged = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _nextOffset;
    private long _pendingBytes;
    private bool _canAppend;
    private Exception? _failure;
    private QuorumHistory _history = QuorumHistory.Begin(VoterSet.Empty);
    private QuorumState _quorum = new(RaftRole.Unattached, -1, 0, 0, VoterSet.Empty);
    private LogPosition? _latestSnapshot;

    // Owned by the loop.
    private long _highWatermark;
    private long _nextRequestId;
    private bool _needsFlush;
    private bool _isClosing;

    private RaftHost(IFileSystem fileSystem, RaftHostOptions options, TimeProvider time, ILogger logger, IRaftTransport? transport)
    {
        _options = options;
        _time = time;
        _logger = logger;
        _transport = transport;
        _machine = new RaftMachine(options.Raft, new Prng(options.Seed));
        _store = RaftLogStore.Open(fileSystem, options, time, logger, out var started);
        _timer = time.CreateTimer(_ => _commands.Writer.TryWrite(default), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        try
        {
            transport?.Attach(this);
            Step(started);
            Settle();
        }
        catch
        {
            _timer.Dispose();
            _store.Close();
            throw;
        }

        _ = RunAsync();
    }

    /// <summary>
    /// Opens (or makes) the metadata log in <c>__cluster_metadata-0</c> of the log directory, and starts. A single voter leads when this
    /// returns.
    /// </summary>
    /// <param name="fileSystem">The disk.</param>
    /// <param name="options">Who this replica is, and where its log is.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log for people.</param>
    /// <param name="transport">The way to other voters; null for a quorum of one.</param>
    /// <exception cref="IOException">The disk fails.</exception>
    /// <exception cref="InvalidDataException">The files are corrupt.</exception>
    public static RaftHost Open(
        IFileSystem fileSystem, RaftHostOptions options, TimeProvider time, ILogger logger, IRaftTransport? transport = null) =>
        new(fileSystem, options, time, logger, transport);

    /// <inheritdoc/>
    public LeaderAndEpoch Leader
    {
        get
        {
            lock (_gate)
                return _leader;
        }
    }

    /// <summary>The present leader with its endpoints. The same object as long as nothing of it changes.</summary>
    public QuorumLeader KnownLeader
    {
        get
        {
            lock (_gate)
                return _knownLeader;
        }
    }

    /// <summary>Waits until <see cref="KnownLeader"/> is another object than <paramref name="seen"/>, or the host has ended.</summary>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public Task WaitForOtherLeaderAsync(QuorumLeader seen, CancellationToken cancellation = default)
    {
        lock (_gate)
            return _failure is not null
            || !ReferenceEquals(_knownLeader, seen) ? Task.CompletedTask : _leaderChanged.Task.UntilCanceled(cancellation);
    }

    /// <inheritdoc/>
    public long HighWatermark => Volatile.Read(ref _highWatermark);

    /// <inheritdoc/>
    public long EndOffset
    {
        get
        {
            lock (_gate)
                return _nextOffset;
        }
    }

    /// <summary>The newest snapshot of this replica, if there is one.</summary>
    public OffsetAndEpoch? LatestSnapshot
    {
        get
        {
            lock (_gate)
                return _latestSnapshot is { } id ? new OffsetAndEpoch(id.Offset, id.Epoch) : null;
        }
    }

    /// <summary>The quorum as of the last step. The same object as long as nothing of it changes.</summary>
    public QuorumState Quorum
    {
        get
        {
            lock (_gate)
                return _quorum;
        }
    }

    /// <summary>Ends when the host was closed; faulted when the disk or a listener failed, which the node does not survive.</summary>
    public Task Completion => _completion.Task;

    /// <summary>
    /// The records that an empty log begins with: those of the bootstrap snapshot that <c>format</c> wrote; none when there is no such
    /// snapshot.
    /// </summary>
    /// <exception cref="Protocol.ProtocolException">The snapshot is not whole.</exception>
    public IReadOnlyList<MetadataRecord> ReadBootstrap() => _store.ReadBootstrap();

    /// <inheritdoc/>
    /// <exception cref="MetadataLogException">
    /// NOT_CONTROLLER: this replica does not lead <paramref name="epoch"/>; MESSAGE_TOO_LARGE: more than 8 MiB; THROTTLING_QUOTA_EXCEEDED:
    /// too much waits already.
    /// </exception>
    public (long LastOffset, Task Committed) Append(int epoch, IReadOnlyList<MetadataRecord> records)
    {
        ArgumentOutOfRangeException.ThrowIfZero(records.Count, nameof(records));
        var timestampMs = Instant.Now(_time).UnixMilliseconds;
        var batch = MetadataBatch.Encode(0, epoch, timestampMs, records);
        if (batch.Length > MetadataBatch.SizeBytesMax)
            throw new MetadataLogException(
                ErrorCode.MessageTooLarge,
                $"A metadata batch of {batch.Length} bytes is more than the {MetadataBatch.SizeBytesMax} that one may have.");
        lock (_gate)
        {
            if (_failure is not null)
                throw new MetadataLogException(ErrorCode.KafkaStorageError, "The metadata log has failed.", _failure);
            if (!_canAppend || epoch != _leader.Epoch)
                throw new MetadataLogException(ErrorCode.NotController, $"This node does not lead the metadata quorum in epoch {epoch}.");
            if (_pendingBytes + batch.Length > _options.PendingBytesMax)
                throw new MetadataLogException(
                    ErrorCode.ThrottlingQuotaExceeded, $"{_pendingBytes} bytes of metadata wait for the disk already.");
            RecordBatchEditor.SetBaseOffset(batch, _nextOffset);
            var decoded = new MetadataBatch(_nextOffset, _nextOffset + records.Count - 1, epoch, timestampMs, batch.Length, records, []);
            var append = new PendingAppend(decoded, batch);
            _nextOffset += records.Count;
            _pendingBytes += batch.Length;
            _commands.Writer.TryWrite(new Command { Append = append });
            return (decoded.LastOffset, append.Committed.Task);
        }
    }

    /// <inheritdoc/>
    public void Register(IMetadataLogListener listener) => Post(new Command { Register = listener });

    /// <inheritdoc/>
    public void Resume(IMetadataLogListener listener) => Post(default); // every round of the loop delivers

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The id is not committed, or its epoch is not that of the log.</exception>
    public void WriteSnapshot(OffsetAndEpoch id, long lastContainedLogTimestampMs, IEnumerable<MetadataRecord> records)
    {
        var position = new LogPosition(id.Offset, id.Epoch);
        lock (_snapshotGate)
        {
            QuorumHistory history;
            lock (_gate)
            {
                if (_latestSnapshot is { } latest && position <= latest)
                    return; // there is one that says as much
                history = _history;
            }

            if (id.Offset > HighWatermark)
                throw new ArgumentException($"A snapshot cannot end at {id.Offset}, after the high watermark {HighWatermark}.", nameof(id));
            if (_store.EpochBefore(id.Offset) is >= 0 and var epoch && epoch != id.Epoch)
                throw new ArgumentException($"A snapshot that ends at {id.Offset} is of epoch {epoch}, not {id.Epoch}.", nameof(id));
            _store.WriteSnapshotFile(position, lastContainedLogTimestampMs, history, records);
            lock (_gate)
                _latestSnapshot = position;
            Post(new Command { Snapshot = position });
        }
    }

    /// <summary>Raises <c>kraft.version</c>, which makes the voters dynamic. Only the leader of <paramref name="epoch"/> may.</summary>
    /// <returns>
    /// When it is committed: no error, or INVALID_UPDATE_VERSION (not all voters are known to support it), NOT_LEADER_OR_FOLLOWER,
    /// REQUEST_TIMED_OUT.
    /// </returns>
    public async Task<(ErrorCode Error, string? Message)> UpgradeKRaftVersionAsync(int epoch, short version, bool validateOnly)
    {
        var reply = (UpgradeVersionReply)await HandleAsync(new UpgradeVersionCall(epoch, version, validateOnly));
        return (reply.Error, reply.Message);
    }

    /// <summary>Handles a request of another replica, or of who changes the voters.</summary>
    /// <returns>
    /// The answer; of a fetch with the records or the piece of a snapshot. Fails with BROKER_NOT_AVAILABLE when the host was closed.
    /// </returns>
    public Task<RaftResponse> HandleAsync(RaftRequest request)
    {
        var answer = new TaskCompletionSource<RaftResponse>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!Post(new Command { Request = request, Answer = answer }))
            answer.TrySetException(new MetadataLogException(ErrorCode.BrokerNotAvailable, "The metadata log is closed."));
        return answer.Task;
    }

    /// <summary>Describes the quorum, with how far each replica is if this one leads.</summary>
    /// <returns>Fails with BROKER_NOT_AVAILABLE when the host was closed.</returns>
    public Task<QuorumInfo> DescribeAsync()
    {
        var description = new TaskCompletionSource<QuorumInfo>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!Post(new Command { Description = description }))
            description.TrySetException(new MetadataLogException(ErrorCode.BrokerNotAvailable, "The metadata log is closed."));
        return description.Task;
    }

    /// <summary>Takes an answer from the transport.</summary>
    public void Receive(long correlationId, RaftResponse response) =>
        Post(new Command { Event = new RaftEvent.ResponseReceived(correlationId, response) });

    /// <summary>Learns from the transport that there will be no answer.</summary>
    public void ReceiveFailure(long correlationId) => Post(new Command { Event = new RaftEvent.RequestFailed(correlationId) });

    /// <summary>Learns from the transport that the process of a node has ended.</summary>
    public void ReceiveProcessEnd(int nodeId) => Post(new Command { Event = new RaftEvent.ProcessEnded(nodeId) });

    /// <summary>
    /// Hands leadership over, writes what waits, flushes and closes the log. Afterwards <see cref="Completion"/> has ended.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        Post(new Command { Event = new RaftEvent.Shutdown() });
        try
        {
            await _completion.Task;
        }
        catch (Exception)
        {
            // Whoever watches Completion has learnt why the log ended.
        }
    }

    private bool Post(in Command command) => _commands.Writer.TryWrite(command);

    /// <summary>What the loop is asked to do: one of its members is set, or none for the timer.</summary>
    private readonly record struct Command
    {
        public PendingAppend? Append { get; init; }

        public IMetadataLogListener? Register { get; init; }

        public LogPosition? Snapshot { get; init; }

        public RaftRequest? Request { get; init; }

        public TaskCompletionSource<RaftResponse>? Answer { get; init; }

        public TaskCompletionSource<QuorumInfo>? Description { get; init; }

        public RaftEvent? Event { get; init; }
    }

    /// <summary>An append on its way: waiting for the loop, then for the quorum.</summary>
    private sealed class PendingAppend(MetadataBatch batch, byte[] bytes)
    {
        public MetadataBatch Batch { get; } = batch;

        public byte[] Bytes { get; } = bytes;

        public TaskCompletionSource Committed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
