using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Api;
using Ottla.Broker.Metadata;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Peers;

/// <summary>A node that answers what brokers ask of controllers as a test wants. Lives as long as the test.</summary>
internal sealed class FakeController : IAsyncDisposable
{
    private readonly HeavyRequests _heavy = new(static () => 1, TimeProvider.System);
    private readonly BrokerServer _server;

    public FakeController(InMemoryTransport network, int id)
    {
        var settings = new ServerSettings(1 << 20, 100, 100, 100, new Dictionary<IPAddress, int>(), -1);
        _server = new BrokerServer(network, () => settings, new BufferPool(), _heavy, TimeProvider.System, NullLogger.Instance);
        var endPoint = _server.Listen(new ServerListener("CONTROLLER", new IPEndPoint(IPAddress.Loopback, 0)), 10, default);
        Address = new ControllerAddress(new NodeAddress(id, "127.0.0.1", endPoint.Port), Epoch: id);
        ApiTable? table = null;
        table = new ApiTable(
            ApiListeners.Controller,
            [
                new PlainApiEntry<ApiVersionsRequest, ApiVersionsResponse>(new ApiVersionsHandler(
                    () => table!, new ClusterView("c", () => MetadataImage.Empty), id, SupportedFeatures.Latest, () => 1)),
                new PlainApiEntry<EnvelopeRequest, EnvelopeResponse>(
                    new Handler<EnvelopeRequest, EnvelopeResponse>(request => Envelope(request))),
                new PlainApiEntry<AllocateProducerIdsRequest, AllocateProducerIdsResponse>(
                    new Handler<AllocateProducerIdsRequest, AllocateProducerIdsResponse>(request => Allocate(request))),
                new PlainApiEntry<AlterPartitionRequest, AlterPartitionResponse>(
                    new Handler<AlterPartitionRequest, AlterPartitionResponse>(request => AlterPartition(request))),
            ]);
        _server.StartAccepting(table);
    }

    /// <summary>Where it is reached.</summary>
    public ControllerAddress Address { get; }

    public Func<EnvelopeRequest, Task<EnvelopeResponse>> Envelope { get; set; } =
        _ => throw new InvalidOperationException("no test asks for it");

    public Func<AllocateProducerIdsRequest, Task<AllocateProducerIdsResponse>> Allocate { get; set; } =
        _ => throw new InvalidOperationException("no test asks for it");

    public Func<AlterPartitionRequest, Task<AlterPartitionResponse>> AlterPartition { get; set; } =
        _ => throw new InvalidOperationException("no test asks for it");

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _heavy.Dispose();
    }

    /// <summary>A channel to whomever a locator names.</summary>
    public static ControllerChannel ChannelOf(
        InMemoryTransport network, IControllerLocator locator, TimeProvider time, TimeSpan retryTimeout) => new(
        "test",
        locator,
        address => new RequestChannel(
            network, new BufferPool(), address,
            new RequestChannelOptions
            {
                ClientId = "1",
                ReconnectBackoff = TimeSpan.Zero,
                ReconnectBackoffMax = TimeSpan.Zero,
                FailsWhileDisconnected = true,
                InFlightMax = 1,
            },
            new Prng(1), time, NullLogger.Instance),
        retryTimeout,
        time,
        NullLogger.Instance);

    private sealed class Handler<TRequest, TResponse>(Func<TRequest, Task<TResponse>> answer) : IApiHandler<TRequest, TResponse>
        where TRequest : IRequestMessage<TRequest>
        where TResponse : class, IResponseMessage<TResponse>
    {
        public async ValueTask<TResponse?> HandleAsync(RequestContext context, TRequest request) => await answer(request);
    }
}

/// <summary>Names the active controller that a test sets.</summary>
internal sealed class FakeLocator : IControllerLocator
{
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private ControllerAddress? _current;

    public ControllerAddress? Current
    {
        get => _current;
        set
        {
            _current = value;
            Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
        }
    }

    public async Task WaitForChangeAsync(ControllerAddress? seen, CancellationToken cancellation)
    {
        while (true)
        {
            var changed = _changed.Task;
            if (_current != seen)
                return;
            await changed.UntilCanceled(cancellation);
        }
    }

    public string Describe() => _current?.ToString() ?? "nobody";
}
