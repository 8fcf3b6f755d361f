using System.Buffers.Binary;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Simulator.Faults;
using Ottla.UnitTests.Requests;

namespace Ottla.UnitTests.Client.Push;

/// <summary>A push as the node received it.</summary>
/// <param name="At">When.</param>
/// <param name="Request">The request.</param>
/// <param name="Metrics">Its metrics.</param>
internal sealed record ReceivedPush(DateTimeOffset At, PushTelemetryRequest Request, List<ReadMetric> Metrics);

/// <summary>What makes the nodes of a simulated cluster take metrics, for one client: it answers the two requests in their place.</summary>
internal sealed class TelemetryNode
{
    public static readonly Uuid Instance = new(7, 8);

    private readonly TimeProvider _time;

    /// <summary>Takes the client's network over.</summary>
    public TelemetryNode(FaultTransport network, TimeProvider time)
    {
        _time = time;
        network.Decide = request => request.Key switch
        {
            ApiKey.ApiVersions when IsOffered => new RequestFault.AnswerAfter(answer => Offer(answer, request.Version)),
            ApiKey.GetTelemetrySubscriptions => Fault ?? new RequestFault.Answer(OnSubscribe),
            ApiKey.PushTelemetry => Fault ?? new RequestFault.Answer(OnPush),
            _ => null,
        };
    }

    public bool IsOffered { get; set; } = true;

    /// <summary>What becomes of requests about metrics; null to answer them.</summary>
    public RequestFault? Fault { get; set; }

    /// <summary>What is subscribed to; its id counts up with every answer.</summary>
    public GetTelemetrySubscriptionsResponse Subscription { get; } = new()
    {
        ClientInstanceId = Instance,
        SubscriptionId = 100,
        AcceptedCompressionTypes = [],
        PushIntervalMs = 10_000,
        TelemetryMaxBytes = 1024 * 1024,
        DeltaTemporality = true,
        RequestedMetrics = ["*"],
    };

    /// <summary>The errors of the next pushes, in order.</summary>
    public Queue<ErrorCode> Errors { get; } = new();

    public List<(DateTimeOffset At, GetTelemetrySubscriptionsRequest Request)> Subscribed { get; } = [];

    public List<ReceivedPush> Pushes { get; } = [];

    private static byte[] Offer(byte[] answer, short version)
    {
        var reader = new WireReader(answer.AsMemory(sizeof(int)));
        var versions = ApiVersionsResponse.Read(ref reader, version);
        versions.ApiKeys =
        [
            .. versions.ApiKeys.Where(each => each.ApiKey is not ((short)ApiKey.GetTelemetrySubscriptions or (short)ApiKey.PushTelemetry)),
            new ApiVersionsResponse.ApiVersion { ApiKey = (short)ApiKey.GetTelemetrySubscriptions },
            new ApiVersionsResponse.ApiVersion { ApiKey = (short)ApiKey.PushTelemetry },
        ];
        return PeerSide.Encode(BinaryPrimitives.ReadInt32BigEndian(answer), version, versions);
    }

    private byte[] OnSubscribe(byte[] frame)
    {
        var (header, request) = Read<GetTelemetrySubscriptionsRequest>(frame);
        Subscribed.Add((_time.GetUtcNow(), request));
        Subscription.SubscriptionId++;
        return PeerSide.Encode(header.CorrelationId, 0, Subscription);
    }

    private byte[] OnPush(byte[] frame)
    {
        var (header, request) = Read<PushTelemetryRequest>(frame);
        Pushes.Add(new ReceivedPush(_time.GetUtcNow(), request, OtlpMetricsReader.Read(Expand(request))));
        return PeerSide.Encode(header.CorrelationId, 0, new PushTelemetryResponse
        {
            ErrorCode = (short)(Errors.TryDequeue(out var error) ? error : ErrorCode.None),
        });
    }

    private static (RequestHeader Header, TRequest Request) Read<TRequest>(byte[] frame)
        where TRequest : IRequestMessage<TRequest>
    {
        var reader = new WireReader(frame);
        var header = RequestHeader.Read(ref reader, 2);
        var request = TRequest.Read(ref reader, header.RequestApiVersion);
        Assert.Equal(0, reader.Remaining);
        return (header, request);
    }

    private static byte[] Expand(PushTelemetryRequest request)
    {
        var type = (CompressionType)request.CompressionType;
        if (type == CompressionType.None)
            return request.Metrics;
        using var decoder = CompressionCodecs.For(type).OpenDecoder(request.Metrics);
        var expanded = new byte[1024 * 1024];
        var length = 0;
        while (decoder.Read(expanded.AsSpan(length)) is > 0 and var count)
            length += count;
        return expanded[..length];
    }
}
