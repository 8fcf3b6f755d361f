using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.StateMachines.Telemetry;

/// <summary>A push, as far as it decides whether it is taken.</summary>
/// <param name="Instance">The client.</param>
/// <param name="SubscriptionId">What it was asked for.</param>
/// <param name="Compression">The codec's number.</param>
/// <param name="SizeBytes">The size as it was sent.</param>
/// <param name="IsTerminating">Whether it is the client's last one.</param>
public readonly record struct TelemetryPush(Uuid Instance, int SubscriptionId, sbyte Compression, int SizeBytes, bool IsTerminating);

/// <summary>
/// Which clients ask and push how often (KIP-714), with the errors and in the order of checks of Kafka. A function of what happens: no
/// clock, lock or socket.
/// </summary>
/// <remarks>
/// A broker knows a client from its first request until its connection ends, until it has been silent for long, or until
/// <see cref="InstancesMax"/> others came after it. It may then ask again at once.
/// </remarks>
/// <param name="bytesMax">The most bytes of a push, before and after its decompression (<c>telemetry.max.bytes</c>).</param>
public sealed class TelemetryIntake(int bytesMax)
{
    /// <summary>The most clients that are known at a time, as in Kafka.</summary>
    public const int InstancesMax = 16_384;

    private const long SilenceMsMin = 60_000;
    private const int IntervalsOfSilence = 3;

    private readonly Dictionary<Uuid, LinkedListNode<Instance>> _byId = [];

    /// <summary>Those that were heard of last are last.</summary>
    private readonly LinkedList<Instance> _instances = new();
    private TelemetrySubscriptions _subscriptions = TelemetrySubscriptions.None;

    /// <summary>The codecs that clients may use, the best one first.</summary>
    public static IReadOnlyList<CompressionType> AcceptedCompressions { get; } =
        [CompressionType.Zstd, CompressionType.Lz4, CompressionType.Gzip, CompressionType.Snappy];

    /// <summary>The most bytes of a push.</summary>
    public int BytesMax => bytesMax;

    /// <summary>How many clients are known.</summary>
    public int InstanceCount => _byId.Count;

    /// <summary>Requests that came too early.</summary>
    public long ThrottledCount { get; private set; }

    /// <summary>Pushes of what is not asked for any more.</summary>
    public long UnknownSubscriptionCount { get; private set; }

    /// <summary>Takes over other subscriptions: what is known of a client counts no more from its next request on.</summary>
    public void Change(TelemetrySubscriptions subscriptions) => _subscriptions = subscriptions;

    /// <summary>Whether no client has this id.</summary>
    public static bool IsReserved(Uuid instance) => instance == Uuid.Zero || instance == Uuid.One;

    /// <summary>Whether a client is known.</summary>
    public bool Knows(Uuid instance) => _byId.ContainsKey(instance);

    /// <summary>A client asks what to push.</summary>
    /// <exception cref="ApiException">THROTTLING_QUOTA_EXCEEDED: it asks too often.</exception>
    public WantedMetrics Subscribe(Uuid id, TelemetryClient client, Instant now)
    {
        var instance = Find(id, client, now);
        var isEarly = now.UnixMilliseconds - Math.Max(instance.AskedAtMs, instance.PushedAtMs) < instance.Wanted.IntervalMs;
        if (!isEarly)
            instance.AskedAtMs = now.UnixMilliseconds;
        else if (instance.LastError is not (ErrorCode.UnknownSubscriptionId or ErrorCode.UnsupportedCompressionType))
            throw Throttle();
        instance.LastError = ErrorCode.None;
        return instance.Wanted;
    }

    /// <summary>A client pushes: when this returns, the push is to be taken.</summary>
    /// <exception cref="ApiException">
    /// INVALID_REQUEST: no client has this id, or it has pushed for the last time. THROTTLING_QUOTA_EXCEEDED: it pushes too often.
    /// UNKNOWN_SUBSCRIPTION_ID, UNSUPPORTED_COMPRESSION_TYPE, TELEMETRY_TOO_LARGE.
    /// </exception>
    public void Push(in TelemetryPush push, TelemetryClient client, Instant now)
    {
        if (IsReserved(push.Instance))
            throw new ApiException(ErrorCode.InvalidRequest, "Invalid client instance id");
        var instance = Find(push.Instance, client, now);
        instance.LastError = Check(push, instance, now);
        instance.IsTerminated = push.IsTerminating;
        if (instance.LastError != ErrorCode.None)
            throw new ApiException(instance.LastError);
    }

    /// <summary>What a client pushed cannot be read.</summary>
    public void Refuse(Uuid id, ErrorCode error)
    {
        if (_byId.TryGetValue(id, out var node))
            node.Value.LastError = error;
    }

    /// <summary>The connection of a client has ended.</summary>
    public void Forget(Uuid id)
    {
        if (_byId.Remove(id, out var node))
            _instances.Remove(node);
    }

    private ErrorCode Check(in TelemetryPush push, Instance instance, Instant now)
    {
        if (instance.IsTerminated)
            return ErrorCode.InvalidRequest;

        // The first push after a question may come earlier than the interval: clients choose that time at random.
        var isInTime = instance.AskedAtMs > instance.PushedAtMs
            || now.UnixMilliseconds - instance.PushedAtMs >= instance.Wanted.IntervalMs;
        if (isInTime)
            instance.PushedAtMs = now.UnixMilliseconds;
        else if (!push.IsTerminating)
            return Throttle().Error.Code;
        if (push.SubscriptionId != instance.Wanted.Id)
        {
            UnknownSubscriptionCount++;
            return ErrorCode.UnknownSubscriptionId;
        }

        if (!Enum.IsDefined((CompressionType)push.Compression))
            return ErrorCode.UnsupportedCompressionType;
        return push.SizeBytes > bytesMax ? ErrorCode.TelemetryTooLarge : ErrorCode.None;
    }

    private ApiException Throttle()
    {
        ThrottledCount++;
        return new ApiException(ErrorCode.ThrottlingQuotaExceeded);
    }

    private Instance Find(Uuid id, TelemetryClient client, Instant now)
    {
        ForgetSilent(now);
        if (_byId.TryGetValue(id, out var node))
        {
            _instances.Remove(node);
            if (!ReferenceEquals(node.Value.Subscriptions, _subscriptions))
                node.Value = new Instance(id, node.Value.Client, _subscriptions, _subscriptions.For(id, node.Value.Client));
        }
        else
        {
            if (_byId.Count == InstancesMax)
                Forget(_instances.First!.Value.Id);
            node = new LinkedListNode<Instance>(new Instance(id, client, _subscriptions, _subscriptions.For(id, client)));
            _byId.Add(id, node);
        }

        _instances.AddLast(node);
        node.Value.HeardAtMs = now.UnixMilliseconds;
        return node.Value;
    }

    /// <summary>
    /// Forgets clients that were silent for long. One that waits behind a client with a longer interval is forgotten with it.
    /// </summary>
    private void ForgetSilent(Instant now)
    {
        while (_instances.First is { Value: var oldest }
            && now.UnixMilliseconds - oldest.HeardAtMs >= Math.Max(SilenceMsMin, (long)IntervalsOfSilence * oldest.Wanted.IntervalMs))
            Forget(oldest.Id);
    }

    private sealed class Instance(Uuid id, TelemetryClient client, TelemetrySubscriptions subscriptions, WantedMetrics wanted)
    {
        public Uuid Id => id;

        public TelemetryClient Client => client;

        public TelemetrySubscriptions Subscriptions => subscriptions;

        public WantedMetrics Wanted => wanted;

        public long HeardAtMs { get; set; }

        public long AskedAtMs { get; set; }

        public long PushedAtMs { get; set; }

        public bool IsTerminated { get; set; }

        public ErrorCode LastError { get; set; }
    }
}
