using Microsoft.Extensions.Logging;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Requests;

/// <summary>Making connections, and what follows when one ends.</summary>
public sealed partial class RequestChannel
{
    /// <summary>How often a peer that cannot be reached is named in the log.</summary>
    private static readonly TimeSpan FailureLogInterval = TimeSpan.FromSeconds(30);

    private long? _failureLoggedAt;
    private int _connectionsMade;

    /// <summary>How long until the next attempt is due. Called under the lock.</summary>
    private TimeSpan BackoffLeft() => _failures == 0 ? TimeSpan.Zero : _retryAfter - _time.GetElapsedTime(_failedAt);

    /// <summary>Makes a connection and serves it until it ends; then again, as long as requests wait.</summary>
    private async Task ServeAsync(TaskCompletionSource serving)
    {
        try
        {
            while (await WaitForTurnAsync())
            {
                if (await OpenAsync() is not { } connection)
                    continue;
                await using (connection)
                    OnEnded(connection, await connection.ReceiveAsync(Advance));
                _options.Observer?.OnDisconnected(Address);
            }
        }
        finally
        {
            serving.SetResult();
        }
    }

    /// <summary>Waits until a connection is wanted and the next attempt is due.</summary>
    /// <returns>False when nothing waits to be sent, or the channel was closed: the caller has ended to serve.</returns>
    private async Task<bool> WaitForTurnAsync()
    {
        while (true)
        {
            TimeSpan wait;
            lock (_lock)
            {
                while (_waiting.TryPeek(out var first) && first.IsOver)
                    _waiting.Dequeue();
                if (_isClosed || _waiting.Count == 0)
                {
                    _serving = null;
                    return false;
                }

                wait = BackoffLeft();
            }

            if (wait <= TimeSpan.Zero)
                return true;
            try
            {
                await Task.Delay(Rounded(wait), _time, _closed);
            }
            catch (OperationCanceledException)
            {
                // The channel is closed: the next round says so.
            }
        }
    }

    /// <returns>A connection that requests may use; null when it failed, which is noted.</returns>
    private async Task<ChannelConnection?> OpenAsync()
    {
        using var tooLong = new CancellationTokenSource(_options.ConnectTimeout, _time);
        using var setup = CancellationTokenSource.CreateLinkedTokenSource(tooLong.Token, _closed);
        ITransportConnection? transport = null;
        ChannelConnection? connection = null;
        try
        {
            var secured = await ConnectionSetup.ConnectAsync(_transport, Address, _options, setup.Token);
            transport = secured.Connection;
            connection = new ChannelConnection(secured, Address, _buffers, _options, _time);
            if (_options.Versions.Negotiates)
                connection.Versions = await NegotiateAsync(connection, setup.Token);
            if (TryUse(connection))
                return connection;
        }
        catch (Exception e)
        {
            var (kind, reason) = ConnectionSetup.Describe(e, tooLong.IsCancellationRequested, _options);
            OnNotConnected(kind, reason, e);
        }

        if (connection is not null)
            await connection.DisposeAsync();
        else if (transport is not null)
            await transport.DisposeAsync();
        return null;
    }

    private bool TryUse(ChannelConnection connection)
    {
        lock (_lock)
        {
            if (_isClosed)
                return false;
            _connection = connection;
            _connectionsMade++;
            _failures = 0;
            _failureLoggedAt = null;
        }

        LogConnected(_logger, Address);
        _options.Observer?.OnConnected(Address);
        Advance();
        return true;
    }

    /// <summary>Asks what the peer supports: in the newest version that it knows, which it says when ours is too new (KIP-511).</summary>
    private async Task<PeerVersions> NegotiateAsync(ChannelConnection connection, CancellationToken cancellation)
    {
        var own = ApiVersionRange.OfThisVersion(ApiKey.ApiVersions);
        for (var version = own.Max; ;)
        {
            var request = new ApiVersionsRequest
            {
                ClientSoftwareName = _options.SoftwareName,
                ClientSoftwareVersion = _options.SoftwareVersion,
            };
            var pending = new PendingRequest<ApiVersionsRequest, ApiVersionsResponse>(
                _ => request, version, _time.GetTimestamp(), _options.ConnectTimeout)
            {
                Version = version,
            };
            await connection.CallAsync(pending, cancellation);
            var answer = await pending.Answer;
            if (answer.ErrorCode == (short)ErrorCode.None)
                return new PeerVersions(answer);
            if (answer.ErrorCode != (short)ErrorCode.UnsupportedVersion || version == own.Min)
                throw new IOException($"the peer answered ApiVersions version {version} with {(ErrorCode)answer.ErrorCode}");
            var theirs = new PeerVersions(answer).RangeOf(ApiKey.ApiVersions)?.Max ?? own.Min;
            version = Math.Clamp(theirs, own.Min, (short)(version - 1));
        }
    }

    private void OnNotConnected(RequestFailureKind kind, string reason, Exception cause)
    {
        TimeSpan retryAfter;
        bool isNews;
        lock (_lock)
        {
            if (_isClosed)
                return;
            NoteFailure(reason);
            retryAfter = _retryAfter;
            isNews = _failureLoggedAt is not { } loggedAt || _time.GetElapsedTime(loggedAt) >= FailureLogInterval;
            if (isNews)
                _failureLoggedAt = _time.GetTimestamp();
        }

        if (isNews)
            LogNotConnected(_logger, Address, reason, (long)retryAfter.TotalMilliseconds);
        if (_options.FailsWhileDisconnected || kind == RequestFailureKind.AuthenticationFailed)
            FailWaiting(kind, reason, cause);
    }

    private void OnEnded(ChannelConnection connection, (RequestFailureKind Kind, string Reason, Exception? Cause) ended)
    {
        lock (_lock)
        {
            if (_isClosed)
                return;
            if (connection.IsRetired)
                return; // nothing was in flight, and what waits goes over the next connection: it was not used, or its session ends
            _connection = null;
            NoteFailure(ended.Reason);
        }

        LogEnded(_logger, Address, ended.Reason, connection.InFlightCount);
        connection.FailAll(ended.Kind, $"The connection to {Address} ended: {ended.Reason}.", ended.Cause);
        if (_options.FailsWhileDisconnected)
            FailWaiting(RequestFailureKind.Disconnected, ended.Reason, ended.Cause);
    }

    /// <summary>Called under the lock.</summary>
    private void NoteFailure(string reason)
    {
        _failures++;
        _failedAt = _time.GetTimestamp();
        _retryAfter = _backoff.DelayAfter(_failures);
        _lastFailure = reason;
    }

    private void FailWaiting(RequestFailureKind kind, string reason, Exception? cause)
    {
        List<PendingRequest> waiting;
        lock (_lock)
        {
            waiting = [.. _waiting];
            _waiting.Clear();
        }

        foreach (var request in waiting)
            request.Fail(NotSent(kind, reason, cause));
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "Connected to {Address}")]
    private static partial void LogConnected(ILogger logger, NodeAddress address);

    [LoggerMessage(Level = LogLevel.Warning,
        Message = "Cannot connect to {Address}: {Reason}. The next attempt is due in {RetryMs} ms; check that the node runs and can be "
            + "reached")]
    private static partial void LogNotConnected(ILogger logger, NodeAddress address, string reason, long retryMs);

    [LoggerMessage(
        Level = LogLevel.Information, Message = "The connection to {Address} ended with {InFlight} requests in flight: {Reason}")]
    private static partial void LogEnded(ILogger logger, NodeAddress address, string reason, int inFlight);
}
