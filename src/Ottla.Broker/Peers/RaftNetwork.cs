using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.Requests.Security;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Peers;

/// <summary>What a <see cref="RaftNetwork"/> needs to know; the defaults are Kafka's.</summary>
public sealed record RaftNetworkOptions
{
    /// <summary>This node.</summary>
    public required int NodeId { get; init; }

    /// <summary>The cluster id, which every request carries.</summary>
    public required string ClusterId { get; init; }

    /// <summary>The first of <c>controller.listener.names</c>.</summary>
    public required string ListenerName { get; init; }

    /// <summary><c>controller.quorum.request.timeout.ms</c>: an answer may take this long.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary><c>socket.connection.setup.timeout.ms</c>.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>TLS and login of new connections; null for clear text.</summary>
    public IConnectionSecurity? Security { get; init; }

    /// <summary>
    /// <c>ottla.quorum.election.on.process.end.enable</c>: whether the quorum is told at once when the process of a node ends.
    /// </summary>
    public bool DetectsProcessEnd { get; init; } = true;

    /// <summary>Seed of the random part of waits.</summary>
    public ulong Seed { get; init; }
}

/// <summary>Carries the requests of the raft machine to other nodes, over one connection for each.</summary>
/// <remarks>
/// A bootstrap server and the voter at the same address are two nodes with a connection each, as with Kafka. The loop of the
/// <see cref="RaftHost"/> calls <see cref="Send"/>; answers go back to it from wherever they arrive. A request to a node that cannot be
/// reached fails at once, so that the machine turns to another one. Lives as long as the metadata log: closed after it.
/// </remarks>
public sealed partial class RaftNetwork : IRaftTransport, IAsyncDisposable
{
    /// <summary>Kafka's <c>reconnect.backoff.ms</c> between the nodes of a quorum.</summary>
    private static readonly TimeSpan ReconnectBackoff = TimeSpan.FromMilliseconds(50);

    /// <summary>Kafka's <c>reconnect.backoff.max.ms</c> between the nodes of a quorum.</summary>
    private static readonly TimeSpan ReconnectBackoffMax = TimeSpan.FromMilliseconds(500);

    /// <summary>The machine has one request to a node under way; a probe and what was given up may be there besides.</summary>
    private const int WaitingMax = 16;

    private readonly Lock _lock = new();
    private readonly ITransport _transport;
    private readonly BufferPool _buffers;
    private readonly RequestChannelOptions _channelOptions;
    private readonly RaftMessageConverter _converter;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Prng _random;
    private readonly ProcessProbe? _processes;
    private readonly CancellationTokenSource _closing = new();
    private readonly CancellationToken _closed;
    private RaftHost? _host;

    // Guarded by _lock.
    private readonly Dictionary<int, RequestChannel> _channels = [];
    private readonly List<Task> _closings = [];
    private bool _isClosed;

    /// <summary>Makes the network; it connects when something is sent.</summary>
    public RaftNetwork(ITransport transport, BufferPool buffers, RaftNetworkOptions options, TimeProvider time, ILogger logger)
    {
        _transport = transport;
        _buffers = buffers;
        _converter = new RaftMessageConverter(options.ClusterId, options.ListenerName);
        _time = time;
        _logger = logger;
        _random = new Prng(options.Seed);
        _closed = _closing.Token;
        _processes = options.DetectsProcessEnd ? new ProcessProbe(transport, time) : null;
        _channelOptions = new RequestChannelOptions
        {
            ClientId = $"raft-client-{options.NodeId}",
            RequestTimeout = options.RequestTimeout,
            ConnectTimeout = options.ConnectTimeout,
            ReconnectBackoff = ReconnectBackoff,
            ReconnectBackoffMax = ReconnectBackoffMax,
            FailsWhileDisconnected = true,
            InFlightMax = 1,
            WaitingMax = WaitingMax,
            Security = options.Security,
        };
    }

    /// <summary>Tells whom the answers go to. Called once, before anything is sent.</summary>
    public void Attach(RaftHost host) => _host = host;

    /// <inheritdoc/>
    public void Send(long correlationId, RaftNode to, RaftRequest request) => _ = request switch
    {
        VoteCall call => AskAsync<VoteRequest, VoteResponse>(
            correlationId, to, _ => _converter.Request(call), _converter.Reply, error => new VoteReply(error, -1, -1, IsGranted: false)),
        BeginEpochCall call => AskAsync<BeginQuorumEpochRequest, BeginQuorumEpochResponse>(
            correlationId, to, _ => _converter.Request(call), _converter.Reply, error => new BeginEpochReply(error, -1, -1)),
        EndEpochCall call => AskAsync<EndQuorumEpochRequest, EndQuorumEpochResponse>(
            correlationId, to, _ => _converter.Request(call), _converter.Reply, error => new EndEpochReply(error, -1, -1)),
        FetchCall call => AskAsync<FetchRequest, FetchResponse>(
            correlationId, to, version => _converter.Request(call, version), _converter.Reply,
            error => new FetchReply(error, -1, -1, HighWatermark: -1)),
        FetchSnapshotCall call => AskAsync<FetchSnapshotRequest, FetchSnapshotResponse>(
            correlationId, to, _ => _converter.Request(call), _converter.Reply,
            error => new FetchSnapshotReply(error, -1, -1, call.Snapshot, call.Position)),
        AddVoterCall call => AskAsync<AddRaftVoterRequest, AddRaftVoterResponse>(
            correlationId, to, _ => _converter.Request(call), RaftMessageConverter.Reply, error => new AddVoterReply(error, null, -1, -1)),
        RemoveVoterCall call => AskAsync<RemoveRaftVoterRequest, RemoveRaftVoterResponse>(
            correlationId, to, _ => _converter.Request(call), RaftMessageConverter.Reply, error =>
            new RemoveVoterReply(error, null, -1, -1)),
        UpdateVoterCall call => AskAsync<UpdateRaftVoterRequest, UpdateRaftVoterResponse>(
            correlationId, to, _ => _converter.Request(call), _converter.Reply, error => new UpdateVoterReply(error, -1, -1)),
        _ => throw new ArgumentException($"{request.GetType().Name} is no request between nodes.", nameof(request)),
    };

    /// <inheritdoc/>
    public async Task<(short Min, short Max)?> ProbeKRaftVersionAsync(RaftNode node, CancellationToken cancellation)
    {
        if (ChannelTo(node) is not { } channel)
            return null;
        try
        {
            var request = new ApiVersionsRequest
            {
                ClientSoftwareName = _channelOptions.SoftwareName,
                ClientSoftwareVersion = _channelOptions.SoftwareVersion,
            };
            var answer = await channel.SendAsync<ApiVersionsRequest, ApiVersionsResponse>(request, cancellation: cancellation);
            if (answer.ErrorCode != (short)ErrorCode.None)
                return null;
            foreach (var feature in answer.SupportedFeatures)
            {
                if (feature.Name == Feature.KRaftVersion)
                    return (feature.MinVersion, feature.MaxVersion);
            }

            return (0, 0);
        }
        catch (RequestFailedException e)
        {
            LogProbeFailed(_logger, node, e.Message);
            return null;
        }
    }

    /// <summary>Closes all connections. What waits fails, and nothing is sent any more.</summary>
    public async ValueTask DisposeAsync()
    {
        List<Task> closings;
        lock (_lock)
        {
            if (_isClosed)
                return;
            _isClosed = true;
            _closing.Cancel();
            closings = [.. _closings, .. _channels.Values.Select(channel => channel.DisposeAsync().AsTask())];
        }

        foreach (var closing in closings)
            await closing;
        _closing.Dispose();
    }

    private async Task AskAsync<TRequest, TResponse>(
        long correlationId,
        RaftNode to,
        Func<short, TRequest> makeRequest,
        Func<TResponse, RaftResponse?> read,
        Func<ErrorCode, RaftResponse> refused)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        RaftResponse? reply = null;
        RequestFailedException? lost = null;
        try
        {
            if (ChannelTo(to) is { } channel)
            {
                reply = read(await channel.SendAsync<TRequest, TResponse>(makeRequest));
                if (reply is null)
                    LogUnexpected(_logger, TRequest.ApiKey, to);
            }
        }
        catch (RequestFailedException e) when (e.Kind == RequestFailureKind.UnsupportedVersion)
        {
            LogUnsupported(_logger, TRequest.ApiKey, to, e.Message);
            reply = refused(ErrorCode.UnsupportedVersion);
        }
        catch (RequestFailedException e)
        {
            LogFailed(_logger, TRequest.ApiKey, to, e.Message);
            lost = e;
        }

        if (reply is not null)
            _host!.Receive(correlationId, reply);
        else
            _host!.ReceiveFailure(correlationId);
        if (lost is not null && await HasProcessEndedAsync(to, lost))
            _host!.ReceiveProcessEnd(to.Id);
    }

    /// <summary>
    /// Whether the process of a node has ended, after a request to it has failed: its connection was closed, and its listener refuses
    /// another one.
    /// </summary>
    private async Task<bool> HasProcessEndedAsync(RaftNode node, RequestFailedException failure)
    {
        if (_processes is null || failure.Kind != RequestFailureKind.Disconnected || node.Id < 0)
            return false;
        if (ProcessProbe.IsRefusal(failure.InnerException))
            return true;
        // Only what was under way tells of the end of a connection; what is refused by a channel that backs off tells of nothing new.
        return failure.MayHaveBeenExecuted
            && await _processes.HasEndedAsync([new NodeAddress(node.Id, node.Host, node.Port)], _closed);
    }

    /// <summary>The channel to a node; a new one when its address is another by now. Null when the network is closed.</summary>
    private RequestChannel? ChannelTo(RaftNode node)
    {
        lock (_lock)
        {
            if (_isClosed)
                return null;
            if (_channels.TryGetValue(node.Id, out var channel))
            {
                if (channel.Address.Host == node.Host && channel.Address.Port == node.Port)
                    return channel;
                _closings.RemoveAll(closing => closing.IsCompleted);
                _closings.Add(channel.DisposeAsync().AsTask());
            }

            return _channels[node.Id] = new RequestChannel(
                _transport, _buffers, new NodeAddress(node.Id, node.Host, node.Port), _channelOptions, new Prng(_random.NextUInt64()),
                _time,
                _logger);
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Api} to {Node} failed: {Reason}")]
    private static partial void LogFailed(ILogger logger, ApiKey api, RaftNode node, string reason);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "{Node} does not take {Api} of this node: {Reason} Both nodes should run versions that know each other")]
    private static partial void LogUnsupported(ILogger logger, ApiKey api, RaftNode node, string reason);

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "{Node} answered {Api} for another partition than it was asked for; it is asked again")]
    private static partial void LogUnexpected(ILogger logger, ApiKey api, RaftNode node);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Node} does not say which kraft.version it supports: {Reason}")]
    private static partial void LogProbeFailed(ILogger logger, RaftNode node, string reason);
}
