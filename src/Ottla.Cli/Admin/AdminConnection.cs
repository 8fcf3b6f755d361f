using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Cli.Admin;

/// <summary>
/// A command's connection to a cluster. It asks any broker, which forwards requests for the controller; or, if the user names controllers,
/// the active one of them. When that does not answer or is active no more, the connection finds the active one anew and repeats the
/// request, until the time is over.
/// </summary>
/// <remarks>Used by one command, one call at a time; lives as long as the command.</remarks>
internal sealed class AdminConnection(AdminSettings settings, ITransport transport, Prng random, TimeProvider time, ILogger logger)
    : IAsyncDisposable
{
    private const int NoNode = -1;
    private const sbyte ControllerEndpoints = 2;

    private readonly BufferPool _buffers = new();
    private readonly Dictionary<NodeAddress, RequestChannel> _channels = [];

    private int _server;
    private NodeAddress? _activeController;

    /// <summary>Asks the cluster for its id.</summary>
    /// <exception cref="AdminException">The cluster did not answer, or refused.</exception>
    public async Task<string> ClusterIdAsync()
    {
        var request = new DescribeClusterRequest { EndpointType = settings.AreControllers ? ControllerEndpoints : (sbyte)1 };
        var response = await SendAsync<DescribeClusterRequest, DescribeClusterResponse>(
            _ => request, answer => ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
        return response.ClusterId;
    }

    /// <summary>Sends a request, repeats it after transient errors, and returns an answer without an error.</summary>
    /// <param name="make">Makes the request; gets the time that is left for it.</param>
    /// <param name="errorOf">Returns the error of an answer.</param>
    /// <exception cref="AdminException">The cluster did not answer in time, or with an error.</exception>
    public Task<TResponse> SendAsync<TRequest, TResponse>(Func<TimeSpan, TRequest> make, Func<TResponse, (ErrorCode, string?)> errorOf)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> =>
        SendAsync(ChannelAsync, ForgetServer, settings.CallTimeout, make, errorOf);

    /// <summary>Sends a request to one broker, which alone can answer it; again where that may help.</summary>
    /// <param name="broker">The broker.</param>
    /// <param name="patience">How long it may take with all attempts; null for as long as any call.</param>
    /// <param name="make">Makes the request, given the time that is left for it.</param>
    /// <param name="errorOf">The error of an answer.</param>
    /// <exception cref="AdminException">The broker did not answer in time, or with an error.</exception>
    public Task<TResponse> SendToAsync<TRequest, TResponse>(
        NodeAddress broker, TimeSpan? patience, Func<TimeSpan, TRequest> make, Func<TResponse, (ErrorCode, string?)> errorOf)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> =>
        SendAsync(_ => Task.FromResult(To(broker)), () => { }, patience ?? settings.CallTimeout, make, errorOf);

    private async Task<TResponse> SendAsync<TRequest, TResponse>(
        Func<TimeSpan, Task<RequestChannel>> choose, Action onFailure, TimeSpan patience, Func<TimeSpan, TRequest> make,
        Func<TResponse, (ErrorCode, string?)> errorOf)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        var started = time.GetTimestamp();
        var mayBeDone = false;
        while (true)
        {
            string reason;
            var left = patience - time.GetElapsedTime(started);
            var wait = left < settings.RequestTimeout ? left : settings.RequestTimeout;
            try
            {
                var channel = await choose(wait);
                var response = await channel.SendAsync<TRequest, TResponse>(make(wait), wait);
                var (error, message) = errorOf(response);
                if (error == ErrorCode.None)
                    return response;
                if (!IsTransient(error))
                    throw mayBeDone ? new AdminException(error, $"{message} {MayBeDone}") : new AdminException(error, message);
                reason = new AdminException(error, message).Message;
            }
            catch (RequestFailedException e)
            {
                if (e.Kind is RequestFailureKind.UnsupportedVersion or RequestFailureKind.AuthenticationFailed)
                    throw new AdminException(e.Message);
                reason = e.Message;
                mayBeDone |= e.MayHaveBeenExecuted;
            }

            onFailure();
            if (time.GetElapsedTime(started) + settings.RetryBackoff >= patience)
                throw new AdminException(
                    $"Timed out after {patience.TotalMilliseconds} ms. {reason}{(mayBeDone ? $" {MayBeDone}" : "")}");
            await Task.Delay(settings.RetryBackoff, time);
        }
    }

    /// <summary>Makes the next attempt ask another server.</summary>
    private void ForgetServer()
    {
        _activeController = null;
        _server = (_server + 1) % settings.Servers.Count;
    }

    private const string MayBeDone = "(An earlier attempt lost its connection, and may have succeeded: check that before you try again.)";

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var channel in _channels.Values)
            await channel.DisposeAsync();
    }

    private static bool IsTransient(ErrorCode error) => error
        is ErrorCode.NotController or ErrorCode.NotLeaderOrFollower or ErrorCode.RequestTimedOut or ErrorCode.BrokerNotAvailable
        or ErrorCode.LeaderNotAvailable or ErrorCode.NetworkException or ErrorCode.CoordinatorNotAvailable;

    private async Task<RequestChannel> ChannelAsync(TimeSpan timeout)
    {
        if (_activeController is { } known)
            return To(known);
        var server = settings.Servers[_server];
        var channel = To(new NodeAddress(NoNode, server.Host, server.Port));
        return settings.AreControllers ? To(_activeController = await FindActiveAsync(channel, timeout)) : channel;
    }

    /// <summary>Asks a controller for the active one (KIP-919).</summary>
    /// <returns>The active controller; the one asked while there is none, which then refuses requests itself.</returns>
    private static async Task<NodeAddress> FindActiveAsync(RequestChannel controller, TimeSpan timeout)
    {
        var answer = await controller.SendAsync<DescribeClusterRequest, DescribeClusterResponse>(
            new DescribeClusterRequest { EndpointType = ControllerEndpoints }, timeout);
        if (answer.ErrorCode != (short)ErrorCode.None)
            throw new AdminException((ErrorCode)answer.ErrorCode, answer.ErrorMessage);
        return answer.Brokers.FirstOrDefault(node => node.BrokerId == answer.ControllerId) is { } active
            ? new NodeAddress(active.BrokerId, active.Host, active.Port)
            : controller.Address;
    }

    private RequestChannel To(NodeAddress address)
    {
        if (_channels.TryGetValue(address, out var channel))
            return channel;
        var options =
            new RequestChannelOptions
            {
                ClientId = settings.ClientId,
                RequestTimeout = settings.RequestTimeout,
                FailsWhileDisconnected = true,
                Security = settings.Security,
            };
        return _channels[address] = new RequestChannel(transport, _buffers, address, options, random, time, logger);
    }
}
