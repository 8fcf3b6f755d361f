using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Broker.Peers;

/// <summary>
/// The way of a node to the active controller for one purpose, wherever that is: its own process is reached like any other.
/// </summary>
/// <remarks>
/// One request is under way at a time; others wait in the order of their calls. A request whose connection breaks, or whose receiver is not
/// the active controller, is sent again to whoever is, until it is older than the channel's retry time-out. Thread-safe; lives as long as
/// its role.
/// </remarks>
public sealed partial class ControllerChannel : IAsyncDisposable
{
    /// <summary>How soon a controller that failed or refused is asked again, if no other is known by then.</summary>
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(100);

    private readonly string _purpose;
    private readonly IControllerLocator _locator;
    private readonly Func<NodeAddress, RequestChannel> _connect;
    private readonly TimeSpan _retryTimeout;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly AsyncTurn _turn = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly CancellationToken _closed;
    private volatile RequestChannel? _channel;

    /// <summary>Makes a channel; it connects when something is sent.</summary>
    /// <param name="purpose">What it is for: <c>heartbeat</c>, <c>forwarding</c>.</param>
    /// <param name="locator">Who the active controller is.</param>
    /// <param name="connect">Makes a channel to a node.</param>
    /// <param name="retryTimeout">How long a request is sent again; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log for people.</param>
    public ControllerChannel(
        string purpose, IControllerLocator locator, Func<NodeAddress, RequestChannel> connect, TimeSpan retryTimeout, TimeProvider time,
        ILogger logger)
    {
        _purpose = purpose;
        _locator = locator;
        _connect = connect;
        _retryTimeout = retryTimeout;
        _time = time;
        _logger = logger;
        _closed = _closing.Token;
    }

    /// <summary>What the controller said to support, while there is a connection to it.</summary>
    public PeerVersions? ControllerVersions => _channel?.PeerVersions;

    /// <summary>Sends a request to the active controller and returns its answer.</summary>
    /// <exception cref="RequestFailedException">
    /// There was no answer within the retry time-out, or the controller does not offer the API.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled, or the channel was closed.</exception>
    public Task<TResponse> SendAsync<TRequest, TResponse>(TRequest request, CancellationToken cancellation = default)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> => SendAsync<TRequest, TResponse>(_ => request, cancellation);

    /// <summary>
    /// As <see cref="SendAsync{TRequest, TResponse}(TRequest, CancellationToken)"/>, for a request that depends on its version.
    /// </summary>
    /// <param name="makeRequest">Makes the request for the version that was chosen; called again when it is sent again.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public async Task<TResponse> SendAsync<TRequest, TResponse>(
        Func<short, TRequest> makeRequest, CancellationToken cancellation = default)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        _closed.ThrowIfCancellationRequested();
        using var timeout = new CancellationTokenSource(_retryTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellation, _closed);
        try
        {
            await _turn.WaitAsync(either.Token);
            try
            {
                return await SendInTurnAsync<TRequest, TResponse>(makeRequest, either.Token);
            }
            finally
            {
                _turn.Release();
            }
        }
        catch (OperationCanceledException) when (
            timeout.IsCancellationRequested && !cancellation.IsCancellationRequested && !_closed.IsCancellationRequested)
        {
            throw new RequestFailedException(
                RequestFailureKind.TimedOut, mayHaveBeenExecuted: true,
                $"No active controller answered within {_retryTimeout.TotalMilliseconds} ms: {_locator.Describe()}");
        }
    }

    /// <summary>Ends what waits, and closes the connection.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_closed.IsCancellationRequested)
            return;
        _closing.Cancel();
        await _turn.WaitAsync(); // who sends has given up by now, or does at once
        if (_channel is { } channel)
            await channel.DisposeAsync();
        _channel = null;
        _turn.Release();
        _closing.Dispose();
    }

    private async Task<TResponse> SendInTurnAsync<TRequest, TResponse>(Func<short, TRequest> makeRequest, CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        ControllerAddress? failed = null;
        while (true)
        {
            var controller = await FindControllerAsync(cancellation);
            var channel = await ChannelToAsync(controller.Address);
            try
            {
                var response = await channel.SendAsync<TRequest, TResponse>(makeRequest, cancellation: cancellation);
                if (!IsNotController(response))
                    return response;
                LogNotController(_purpose, controller);
            }
            catch (RequestFailedException e) when (e.Kind is RequestFailureKind.Disconnected or RequestFailureKind.TimedOut
                or RequestFailureKind.AuthenticationFailed) // credentials may be on their way
            {
                LogLost(_purpose, controller, e.Message);
            }

            // An idle connection may have been closed: the first attempt after that goes to a new one, at once.
            if (controller == failed)
                await PauseAsync(controller, cancellation);
            failed = controller;
        }
    }

    private async Task<ControllerAddress> FindControllerAsync(CancellationToken cancellation)
    {
        ControllerAddress? current;
        while ((current = _locator.Current) is null)
            await _locator.WaitForChangeAsync(null, cancellation);
        return current;
    }

    private async Task<RequestChannel> ChannelToAsync(NodeAddress address)
    {
        if (_channel is { } present)
        {
            if (present.Address == address)
                return present;
            _channel = null;
            await present.DisposeAsync();
        }

        var made = _connect(address);
        _channel = made;
        return made;
    }

    /// <summary>Waits until another controller is known, or for a moment.</summary>
    private async Task PauseAsync(ControllerAddress failed, CancellationToken cancellation)
    {
        using var moment = new CancellationTokenSource(RetryInterval, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(moment.Token, cancellation);
        try
        {
            await _locator.WaitForChangeAsync(failed, either.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // Nobody else is known: the same one again.
        }
    }

    /// <summary>Whether the receiver says that it is not the active controller.</summary>
    private static bool IsNotController<TResponse>(TResponse response) => ErrorCode.NotController == (ErrorCode)(response switch
    {
        EnvelopeResponse envelope => envelope.ErrorCode,
        BrokerRegistrationResponse registration => registration.ErrorCode,
        BrokerHeartbeatResponse heartbeat => heartbeat.ErrorCode,
        AllocateProducerIdsResponse allocation => allocation.ErrorCode,
        AssignReplicasToDirsResponse assignment => assignment.ErrorCode,
        ControllerRegistrationResponse registration => registration.ErrorCode,
        AlterPartitionResponse alteration => alteration.ErrorCode,
        CreateTopicsResponse { Topics: [var topic, ..] } => topic.ErrorCode,
        _ => (short)ErrorCode.None,
    });

    [LoggerMessage(Level = LogLevel.Debug, Message = "{Controller} is not the active controller ({Purpose}); looking for it")]
    private partial void LogNotController(string purpose, ControllerAddress controller);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Lost the controller {Controller} ({Purpose}): {Reason}")]
    private partial void LogLost(string purpose, ControllerAddress controller, string reason);
}
