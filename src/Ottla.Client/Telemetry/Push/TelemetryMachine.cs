using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Push;

/// <summary>What is to be done for the push of metrics.</summary>
internal enum TelemetryStep
{
    /// <summary>Nothing before <see cref="TelemetryMachine.NextDeadline"/>.</summary>
    Wait,

    /// <summary>Ask what is subscribed to.</summary>
    Subscribe,

    /// <summary>Push.</summary>
    Push,

    /// <summary>Push for the last time.</summary>
    PushLast,

    /// <summary>Nothing any more.</summary>
    End,
}

/// <summary>
/// When a client asks what to push, when it pushes, and what errors mean (KIP-714), as a function of what happens.
/// </summary>
/// <remarks>
/// No clock, socket or lock. Its host calls <see cref="Advance"/> after each other call and at <see cref="NextDeadline"/>, carries the step
/// out, and says how that ended. The rules are those of Kafka's Java client: the first push comes at a random part of the interval, half of
/// it to one and a half; what is not known any more is asked for at once, and what cannot be mended ends the push for good. Here a
/// compression type that was refused is not used again, and a subscription that is refused is never asked for again without a pause.
/// </remarks>
internal sealed class TelemetryMachine
{
    private const double FirstPartMin = 0.5;

    private readonly HashSet<CompressionType> _refused = [];
    private Instant _dueAt;
    private bool _needsSubscription = true;
    private bool _isUnderway;
    private bool _isClosing;
    private bool _isOver;

    /// <param name="now">When the client began.</param>
    public TelemetryMachine(Instant now) => _dueAt = now;

    /// <summary>What is subscribed to; null before the first answer.</summary>
    public TelemetrySubscription? Subscription { get; private set; }

    /// <summary>The id that the cluster has given this client; zero before.</summary>
    public Uuid ClientInstanceId => Subscription?.ClientInstanceId ?? Uuid.Zero;

    /// <summary>Whether nothing is pushed any more.</summary>
    public bool IsOver => _isOver;

    /// <summary>The error for which nothing is pushed any more; none while there is none.</summary>
    public ErrorCode EndedBy { get; private set; }

    /// <summary>When <see cref="Advance"/> has something to do by time alone; null for never.</summary>
    public Instant? NextDeadline => _isOver || _isUnderway ? null : _dueAt;

    /// <summary>How the next push is compressed: the first type of the cluster's that it has not refused.</summary>
    public CompressionType Compression
    {
        get
        {
            foreach (var type in Subscription?.Compressions ?? [])
            {
                if (!_refused.Contains(type))
                    return type;
            }

            return CompressionType.None;
        }
    }

    /// <summary>Says what is to be done now.</summary>
    public TelemetryStep Advance(Instant now)
    {
        if (_isClosing && !_isUnderway && !_isOver)
        {
            // Without a subscription nobody knows what to push, and there is no time to ask.
            _isOver = true;
            if (_needsSubscription || Subscription is not { WantsAny: true })
                return TelemetryStep.End;
            _isUnderway = true;
            return TelemetryStep.PushLast;
        }

        if (_isOver)
            return TelemetryStep.End;
        if (_isUnderway || now < _dueAt)
            return TelemetryStep.Wait;
        _isUnderway = true;
        return _needsSubscription ? TelemetryStep.Subscribe : TelemetryStep.Push;
    }

    /// <summary>The cluster has said what is subscribed to, or an error.</summary>
    public void OnSubscription(Instant now, GetTelemetrySubscriptionsResponse answer)
    {
        _isUnderway = false;
        var error = (ErrorCode)answer.ErrorCode;
        if (error == ErrorCode.None && answer.ClientInstanceId == Uuid.Zero)
            error = ErrorCode.InvalidRequest; // nobody could say whose metrics they are
        if (error != ErrorCode.None)
        {
            OnError(now, error, answer.ThrottleTimeMs, IntervalMs);
            return;
        }

        Subscription = new TelemetrySubscription(answer);
        _needsSubscription = !Subscription.WantsAny;
        var wait = _needsSubscription ? IntervalMs : FirstIntervalMs(Subscription);
        Wait(now, wait, answer.ThrottleTimeMs);
    }

    /// <summary>A push was answered.</summary>
    /// <param name="now">The time.</param>
    /// <param name="error">The error of the answer.</param>
    /// <param name="throttleMs">How long the client has to be silent, in ms.</param>
    /// <returns>Whether the cluster has the metrics.</returns>
    public bool OnPushed(Instant now, ErrorCode error, int throttleMs = 0)
    {
        if (error == ErrorCode.UnsupportedCompressionType && Compression != CompressionType.None)
            _refused.Add(Compression);
        _isUnderway = false;
        if (error == ErrorCode.None)
            Wait(now, IntervalMs, throttleMs);
        else
            OnError(now, error, throttleMs, 0);
        return error == ErrorCode.None;
    }

    /// <summary>A request got no answer. Another node may answer, after a while.</summary>
    public void OnNoAnswer(Instant now)
    {
        _isUnderway = false;
        _needsSubscription = true;
        Wait(now, IntervalMs, 0);
    }

    /// <summary>
    /// The node that was to be asked does not offer this. Others may, and it may after an upgrade: the caller looks again after a while.
    /// </summary>
    public void OnUnsupported(Instant now)
    {
        _isUnderway = false;
        _needsSubscription = true;
        Wait(now, TelemetrySubscription.DefaultIntervalMs, 0);
    }

    /// <summary>The client is being closed: one push is left, if there is something to push.</summary>
    public void OnClose() => _isClosing = true;

    private int IntervalMs => Subscription?.IntervalMs ?? TelemetrySubscription.DefaultIntervalMs;

    private void OnError(Instant now, ErrorCode error, int throttleMs, int unknownMs)
    {
        _needsSubscription = true;
        switch (error)
        {
            case ErrorCode.UnknownSubscriptionId or ErrorCode.UnsupportedCompressionType:
                Wait(now, unknownMs, throttleMs);
                break;
            case ErrorCode.TelemetryTooLarge or ErrorCode.ThrottlingQuotaExceeded:
                Wait(now, IntervalMs, throttleMs);
                break;
            default:
                EndedBy = error;
                _isOver = true;
                break;
        }
    }

    private void Wait(Instant now, int intervalMs, int throttleMs) => _dueAt = now.AddMilliseconds(Math.Max(intervalMs, throttleMs));

    /// <summary>
    /// Half of the interval to one and a half, so that clients that start together do not push together. The cluster has drawn the id at
    /// random: it says which part, and nothing random is drawn here.
    /// </summary>
    private static int FirstIntervalMs(TelemetrySubscription subscription)
    {
        var random = new Prng(subscription.ClientInstanceId.High ^ subscription.ClientInstanceId.Low ^ (ulong)subscription.Id);
        var part = FirstPartMin + (random.NextUInt64() >> 11) * (1.0 / (1UL << 53));
        return (int)Math.Min(int.MaxValue, part * subscription.IntervalMs);
    }
}
