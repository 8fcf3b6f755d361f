using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Cli.Admin;

/// <summary>
/// A command's connection to a cluster. It asks any broker, which passes on what is the controller's; or, given controllers, the active
/// one of them. While that one is another by now, or does not answer, it looks for it anew and asks again, until the time is over.
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
    /// <exception cref="AdminException">It did not answer, or refused.</exception>
    public async Task<string> ClusterIdAsync()
    {
        var request = new DescribeClusterRequest { EndpointType = settings.AreControllers ? ControllerEndpoints : (sbyte)1 };
        var response = await SendAsync<DescribeClusterRequest, DescribeClusterResponse>(
            _ => request, answer => ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));
        return response.ClusterId;
    }

    /// <summary>Sends a request, again where that may help, and returns the answer, which has no error.</summary>
    /// <param name="make">Makes the request, given the time that is left for it.</param>
    /// <param name="errorOf">The error of an answer.</param>
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

    /// <summary>Another server may know better, or be there.</summary>
    private void ForgetServer()
    {
        _activeController = null;
        _server = (_server + 1) % settings.Servers.Count;
    }

    private const string MayBeDone = "(An earlier attempt broke off, and may have been carried out: look before you try again.)";

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

    /// <summary>Asks a controller who the active one is (KIP-919).</summary>
    /// <returns>The one asked while there is none: it says itself that it is not.</returns>
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
                FailsWhileDisconnected = true
            };
        return _channels[address] = new RequestChannel(transport, _buffers, address, options, random, time, logger);
    }
}
