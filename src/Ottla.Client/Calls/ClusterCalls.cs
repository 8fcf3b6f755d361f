using Ottla.Client.Cluster;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Calls;

/// <summary>Sends a request to whoever can answer it, and again where that may help, until the time is over.</summary>
/// <remarks>
/// Thread-safe; owned by the client. All methods take a function that makes the request for the version that is sent and one that finds the
/// error of an answer, and return an answer without an error. They throw:
/// <see cref="KafkaTimeoutException"/> when the time is over; <see cref="KafkaException"/> for an error of the answer that another attempt
/// does not mend (with the code), when no common version exists (<see cref="ErrorCode.UnsupportedVersion"/>), or the login failed
/// (<see cref="ErrorCode.SaslAuthenticationFailed"/>); <see cref="SslAuthenticationException"/> when TLS failed;
/// <see cref="OperationCanceledException"/> when the caller's token was cancelled.
/// Errors of single items of an answer are the caller's: its function returns <see cref="ApiError.None"/> for them.
/// </remarks>
internal sealed class ClusterCalls
{
    private readonly OttlaClientOptions _options;
    private readonly ClusterConnections _connections;
    private readonly ClusterMetadata _metadata;
    private readonly TimeProvider _time;
    private readonly Func<Prng> _newRandom;
    private int _next;

    /// <param name="options">The client's options.</param>
    /// <param name="connections">Its connections.</param>
    /// <param name="metadata">Its metadata.</param>
    /// <param name="newRandom">Makes a generator for one call.</param>
    public ClusterCalls(OttlaClientOptions options, ClusterConnections connections, ClusterMetadata metadata, Func<Prng> newRandom)
    {
        _options = options;
        _connections = connections;
        _metadata = metadata;
        _time = options.TimeProvider;
        _newRandom = newRandom;
        Coordinators = new Coordinators(this);
    }

    /// <summary>Where coordinators are.</summary>
    public Coordinators Coordinators { get; }

    /// <summary>Asks the node that has least to do; another attempt may go to another node.</summary>
    public Task<TResponse> ToAnyNodeAsync<TRequest, TResponse>(
        Func<short, TRequest> makeRequest, Func<TResponse, ApiError> errorOf, CallOptions options, CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> =>
        CallAsync(_ => ValueTask.FromResult(AnyNode(options)), null, makeRequest, errorOf, options, cancellation);

    /// <summary>Asks one node.</summary>
    public Task<TResponse> ToNodeAsync<TRequest, TResponse>(
        int nodeId, Func<short, TRequest> makeRequest, Func<TResponse, ApiError> errorOf, CallOptions options,
        CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> =>
        CallAsync(
            token => MetadataSaysAsync(image => image.AddressOf(nodeId), $"node {nodeId} is not known", options, token), null, makeRequest,
            errorOf, options, cancellation);

    /// <summary>Asks the node that the metadata names as controller: for changes of the cluster. Any broker forwards them.</summary>
    public Task<TResponse> ToControllerAsync<TRequest, TResponse>(
        Func<short, TRequest> makeRequest, Func<TResponse, ApiError> errorOf, CallOptions options, CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> =>
        CallAsync(
            token => MetadataSaysAsync(image => image.AddressOf(image.ControllerId), "no controller is known", options, token), null,
            makeRequest, errorOf, options, cancellation);

    /// <summary>Asks the leader of a partition, which the caller has in an interest of the metadata.</summary>
    public Task<TResponse> ToLeaderAsync<TRequest, TResponse>(
        TopicPartition partition, Func<short, TRequest> makeRequest, Func<TResponse, ApiError> errorOf, CallOptions options,
        CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> =>
        CallAsync(
            token => MetadataSaysAsync(image => image.LeaderOf(partition), $"{partition} has no known leader", options, token), null,
            makeRequest, errorOf, options, cancellation);

    /// <summary>Asks the coordinator of a key; looks for it anew when it has moved or cannot be reached.</summary>
    public Task<TResponse> ToCoordinatorAsync<TRequest, TResponse>(
        CoordinatorType type, string key, Func<short, TRequest> makeRequest, Func<TResponse, ApiError> errorOf, CallOptions options,
        CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse> =>
        CallAsync(
            async token =>
            {
                var lookup = new CallOptions { Timeout = options.Timeout, HasConstantBackoff = options.HasConstantBackoff };
                return ConnectionsOf(options).To(await Coordinators.FindAsync(type, key, lookup, token));
            },
            error =>
            {
                if (error is null || ErrorKinds.InvalidatesCoordinator(error.Value))
                    Coordinators.Forget(type, key);
            },
            makeRequest, errorOf, options, cancellation);

    /// <summary>The node that has least to do, for a request that any node can answer.</summary>
    public NodeAddress AnyNodeAddress() => AnyNode(CallOptions.Default).Address;

    /// <summary>The channel to the node that has least to do; it connects when something is sent.</summary>
    public RequestChannel AnyNode() => AnyNode(CallOptions.Default);

    private ConnectionGroup ConnectionsOf(CallOptions options) => options.Connections ?? _connections.Shared;

    private RequestChannel AnyNode(CallOptions options)
    {
        var nodes = _metadata.Current.Nodes.Values;
        return ConnectionsOf(options).ToLeastLoaded(
            nodes.Length > 0 ? [.. nodes.Select(node => node.Address)] : _connections.BootstrapNodes, Interlocked.Increment(ref _next));
    }

    /// <summary>The channel to the node that the metadata names; asks for the metadata anew while it names none.</summary>
    private async ValueTask<RequestChannel> MetadataSaysAsync(
        Func<ClusterImage, NodeAddress?> find, string otherwise, CallOptions options, CancellationToken cancellation)
    {
        var node = find(_metadata.Current) ?? find(await _metadata.RefreshAsync(cancellation));
        return node is not null
            ? ConnectionsOf(options).To(node)
            : throw new RequestFailedException(RequestFailureKind.Disconnected, mayHaveBeenExecuted: false, otherwise);
    }

    /// <param name="choose">Finds the channel for an attempt.</param>
    /// <param name="onFailure">Learns that an attempt failed: with an error of the answer, or null without an answer.</param>
    /// <param name="makeRequest">Makes the request.</param>
    /// <param name="errorOf">Finds the error.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellation">The caller's token.</param>
    private async Task<TResponse> CallAsync<TRequest, TResponse>(
        Func<CancellationToken, ValueTask<RequestChannel>> choose, Action<ErrorCode?>? onFailure, Func<short, TRequest> makeRequest,
        Func<TResponse, ApiError> errorOf, CallOptions options, CancellationToken cancellation)
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        using var deadline = new CallDeadline(options.Timeout ?? _options.ApiTimeout, _time, cancellation);
        var isRetriable = options.IsRetriable ?? ErrorKinds.IsRetriable;
        ExponentialBackoff? backoff = null;
        Exception? last = null;
        try
        {
            for (var failures = 1; ; failures++)
            {
                try
                {
                    var channel = await choose(deadline.Token);
                    var answer = await channel.SendAsync<TRequest, TResponse>(
                        makeRequest, Min(deadline.Left, options.RequestTimeout ?? _options.RequestTimeout), options.VersionMax,
                        deadline.Token);
                    var error = errorOf(answer);
                    if (!error.IsFailure)
                        return answer;
                    var failure = new KafkaException(error.Code, error.Message ?? $"{TRequest.ApiKey} failed at {channel.Address}")
                    {
                        Detail = error.Message,
                    };
                    if (!isRetriable(error.Code))
                        throw failure;
                    last = failure;
                    onFailure?.Invoke(error.Code);
                    if (ErrorKinds.InvalidatesMetadata(error.Code) || error.Code == ErrorCode.NotController)
                        _metadata.RequestUpdate();
                }
                catch (RequestFailedException e) when (e.IsRefusal())
                {
                    throw e.ToKafkaException();
                }
                catch (RequestFailedException e)
                {
                    if (e.MayHaveBeenExecuted && !options.MayRepeat)
                        throw new KafkaException(ErrorCode.NetworkException, $"{e.Message} It may have been executed", e);
                    last = e;
                    onFailure?.Invoke(null);
                    _metadata.RequestUpdate();
                }

                backoff ??= _options.NewRetryBackoff(_newRandom(), options.HasConstantBackoff);
                await Task.Delay(backoff.DelayAfter(failures), _time, deadline.Token);
            }
        }
        catch (OperationCanceledException) when (deadline.IsOver)
        {
            throw deadline.TimedOut($"{TRequest.ApiKey}", last?.Message ?? _metadata.LastFailure, last);
        }
    }

    private static TimeSpan Min(TimeSpan one, TimeSpan other) => one < other ? one : other;
}
