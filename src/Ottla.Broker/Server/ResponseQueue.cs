using System.Threading.Tasks.Sources;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;

namespace Ottla.Broker.Server;

/// <summary>What a connection is told of by the queue of its replies. Any thread may call it.</summary>
internal interface IResponseFailures
{
    /// <summary>Replies cannot be sent any more.</summary>
    void OnSendFailure(Exception exception);

    /// <summary>A handler failed, and the client gets an error of Kafka's or none.</summary>
    void OnRequestFailure(RequestContext context, Exception exception);
}

/// <summary>The replies of one connection, which leave in the order of the requests.</summary>
/// <remarks>
/// The connection's task adds requests; any thread completes replies. A thread that finds the queue idle sends all replies that are ready,
/// in one send. Lives as long as its connection.
/// </remarks>
internal sealed class ResponseQueue(
    FrameSender sender,
    BufferPool pool,
    int inFlightMax,
    IResponseFailures failures,
    TimeProvider time,
    CancellationToken closing)
{
    /// <summary>How many slots are kept for reuse. Only bursts need more.</summary>
    private const int ReuseMax = 16;

    /// <summary>
    /// How many bytes of unsent replies a connection may have before its next request waits. More than one send carries would gain nothing,
    /// and a client that sends requests without reading replies would fill the memory. Ranges of files do not count, because they are read
    /// when they are sent. A single reply may be larger.
    /// </summary>
    public const int UnsentBytesMax = 128 * 1024;

    private readonly Lock _lock = new();
    private readonly Queue<ResponseSlot> _slots = new();
    private readonly Stack<ResponseSlot> _idleSlots = new();
    private readonly List<FrameBuffer> _sending = [];
    private readonly List<ResponseSlot> _sendingSlots = [];
    private StartWaiter? _startWaiter;
    private TaskCompletionSource? _roomWanted;
    private int _unsentCount;
    private long _unsentBytes;
    private long _sendingBytes;
    private int _unansweredCount;
    private int _unansweredAloneCount;
    private bool? _startWanted;
    private long _mutedUntil;
    private bool _isSending;
    private bool _hasFailed;

    /// <summary>What clients may use; null for no quotas.</summary>
    public ClientQuotas? Quotas { get; init; }

    /// <summary>Whether the connection was told to read no more requests for a while, and that may not be over.</summary>
    public bool IsMuted => Volatile.Read(ref _mutedUntil) != 0;

    /// <summary>How long the connection reads no more requests, because its client is above a quota; zero for not at all.</summary>
    public TimeSpan MutedFor
    {
        get
        {
            var until = Volatile.Read(ref _mutedUntil);
            return until == 0 || time.GetElapsedTime(time.GetTimestamp(), until) is not { Ticks: > 0 } rest ? TimeSpan.Zero : rest;
        }
    }

    /// <summary>The objects that this connection's requests use again.</summary>
    public Exchanges Exchanges { get; } = new();

    /// <summary>Reserves the next place in the order of replies.</summary>
    /// <param name="overlaps">Whether later requests of the same API may start before it is answered.</param>
    public ResponseSlot Open(bool overlaps)
    {
        lock (_lock)
        {
            if (!_idleSlots.TryPop(out var slot))
                slot = new ResponseSlot(this, new FrameBuffer(pool));
            slot.Overlaps = overlaps;
            _unsentCount++;
            _unansweredCount++;
            if (!overlaps)
                _unansweredAloneCount++;
            _slots.Enqueue(slot);
            return slot;
        }
    }

    /// <summary>Whether a handler still works on the next reply, so that the client waits for this broker.</summary>
    public bool AwaitsHandler
    {
        get
        {
            lock (_lock)
                return !_isSending && _slots.Count > 0;
        }
    }

    /// <summary>
    /// Whether the next request may start: all earlier requests are answered or overlap with it, and not too many replies or bytes wait to
    /// be sent.
    /// </summary>
    /// <param name="overlaps">Whether it overlaps with earlier requests of the same API.</param>
    /// <remarks>
    /// Only the connection's task calls it, so without the lock. Other threads answer and send: what they do meanwhile lets more start.
    /// </remarks>
    public bool MayStart(bool overlaps) =>
        Volatile.Read(ref overlaps ? ref _unansweredAloneCount : ref _unansweredCount) == 0
        && Volatile.Read(ref _unsentCount) < inFlightMax && Volatile.Read(ref _unsentBytes) < UnsentBytesMax;

    /// <summary>
    /// Sends the replies that are ready, and waits until the next request may start or the connection fails. One call at a time.
    /// </summary>
    public async ValueTask WaitToStartAsync(bool overlaps)
    {
        await WaitUntilBelowAsync(inFlightMax, UnsentBytesMax);
        ValueTask turn;
        lock (_lock)
        {
            if (_hasFailed || HasTurn(overlaps))
                return;
            _startWanted = overlaps;
            turn = (_startWaiter ??= new StartWaiter()).WaitAsync();
        }

        await turn;
    }

    /// <summary>Sends a reply that another thread completed, if it is its turn, and lets the next request start.</summary>
    /// <param name="wakesInline">Whether the connection may go on in the caller's stack.</param>
    public void OnAnswerReady(bool wakesInline)
    {
        FlushInBackground();
        lock (_lock)
        {
            if (_startWanted is not { } overlaps || !HasTurn(overlaps))
                return;
            _startWanted = null;
        }

        _startWaiter!.Wake(wakesInline);
    }

    /// <summary>Has the connection read no more requests for a while. Answers that are there already are sent.</summary>
    public void Mute(int milliseconds)
    {
        var until = time.GetTimestamp() + (long)(milliseconds / 1000.0 * time.TimestampFrequency);
        long known;
        do
        {
            known = Volatile.Read(ref _mutedUntil);
        }
        while (until > known && Interlocked.CompareExchange(ref _mutedUntil, until, known) != known);
    }

    /// <summary>The time since a handler was called, from a timestamp of <see cref="Now"/>.</summary>
    public TimeSpan TimeSince(long timestamp) => time.GetElapsedTime(timestamp);

    /// <summary>How long a request's handler has waited for something else; zero when it did not.</summary>
    public TimeSpan TimeWaited(Exchange exchange) => exchange.WaitsSince == 0 ? TimeSpan.Zero : time.GetElapsedTime(exchange.WaitsSince);

    /// <summary>A timestamp.</summary>
    public long Now => time.GetTimestamp();

    /// <summary>The time between two timestamps.</summary>
    public TimeSpan Between(long earlier, long later) => time.GetElapsedTime(earlier, later);

    /// <summary>The time since a request arrived.</summary>
    public TimeSpan TimeSince(in RequestContext context) => time.GetElapsedTime(context.ArrivedAt);

    /// <summary>Logs a request that failed with an unexpected exception.</summary>
    public void ReportFailure(RequestContext context, Exception exception) => failures.OnRequestFailure(context, exception);

    /// <summary>Waits until all requests are answered.</summary>
    public ValueTask DrainAsync() => WaitUntilBelowAsync(1, UnsentBytesMax);

    /// <summary>
    /// Sends every reply that is ready and whose turn it is. Returns at once when another thread is sending, which then sends these too.
    /// </summary>
    public async ValueTask FlushAsync()
    {
        if (!TryTakeReady(isContinuing: false))
            return;
        do
        {
            try
            {
                await sender.SendAsync(_sending, closing);
            }
            catch (Exception e)
            {
                Fail(e);
                throw;
            }
        }
        while (TryTakeMore());
    }

    /// <summary>Counts what was sent, and collects what became ready meanwhile. Only the thread that sends calls it.</summary>
    private bool TryTakeMore()
    {
        var now = Now;
        foreach (var sent in _sendingSlots)
            sent.CountSent(now);
        return TryTakeReady(isContinuing: true);
    }

    /// <summary>Like <see cref="FlushAsync"/>, for a reply that another thread completed.</summary>
    private void FlushInBackground()
    {
        var flush = FlushAsync();
        if (!flush.IsCompletedSuccessfully)
            _ = ObserveAsync(flush);

        static async Task ObserveAsync(ValueTask flush)
        {
            try
            {
                await flush;
            }
            catch (Exception)
            {
                // FlushAsync has reported it to the connection.
            }
        }
    }

    /// <summary>Fails the connection.</summary>
    public void Fail(Exception exception)
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            if (_hasFailed)
                return;
            _hasFailed = true;
            waiter = _roomWanted;
            _roomWanted = null;
        }

        failures.OnSendFailure(exception);
        waiter?.TrySetResult();
        WakeForFailure();
    }

    /// <summary>Releases the replies that will never be sent, and wakes the tasks that wait for them. Nothing is sent afterwards.</summary>
    public void Close()
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            _hasFailed = true;
            while (_slots.TryDequeue(out var slot))
            {
                if (slot.IsComplete)
                    slot.Frame.Dispose();
            }

            waiter = _roomWanted;
            _roomWanted = null;
        }

        waiter?.TrySetResult();
        WakeForFailure();
    }

    internal void Complete(ResponseSlot slot)
    {
        lock (_lock)
        {
            slot.MarkComplete();
            _unansweredCount--;
            if (!slot.Overlaps)
                _unansweredAloneCount--;
            if (_hasFailed)
                slot.Frame.Dispose();
            else
                _unsentBytes += slot.Frame.Length;
        }
    }

    /// <summary>Called under the lock.</summary>
    private bool HasTurn(bool overlaps) => (overlaps ? _unansweredAloneCount : _unansweredCount) == 0;

    private void WakeForFailure()
    {
        lock (_lock)
        {
            if (_startWanted is null)
                return;
            _startWanted = null;
        }

        _startWaiter!.Wake(inline: false);
    }

    /// <summary>Collects the ready replies at the head of the queue. The caller sends them; no other thread sends meanwhile.</summary>
    private bool TryTakeReady(bool isContinuing)
    {
        TaskCompletionSource? waiter = null;
        bool hasReady;
        lock (_lock)
        {
            if (_isSending != isContinuing)
                return false;
            foreach (var sent in _sendingSlots)
                Recycle(sent); // the sender has emptied its frame
            _sendingSlots.Clear();
            _sending.Clear();
            _unsentBytes -= _sendingBytes;
            _sendingBytes = 0;
            while (!_hasFailed && _slots.TryPeek(out var slot) && slot.IsComplete)
            {
                _slots.Dequeue();
                if (slot.HasReply)
                {
                    _sendingSlots.Add(slot);
                    _sending.Add(slot.Frame);
                    _sendingBytes += slot.Frame.Length;
                }
                else
                {
                    Recycle(slot);
                }
            }

            _isSending = hasReady = _sending.Count > 0;
            if (_roomWanted is not null && HasRoomFor(inFlightMax, UnsentBytesMax))
                (waiter, _roomWanted) = (_roomWanted, null);
        }

        waiter?.TrySetResult();
        return hasReady;
    }

    /// <summary>Called under the lock.</summary>
    private void Recycle(ResponseSlot slot)
    {
        _unsentCount--;
        slot.Reset();
        if (_idleSlots.Count < ReuseMax)
            _idleSlots.Push(slot);
    }

    private bool HasRoomFor(int requests, long bytes) => _unsentCount < requests && _unsentBytes < bytes;

    private async ValueTask WaitUntilBelowAsync(int requests, long bytes)
    {
        await FlushAsync();
        while (true)
        {
            Task waiting;
            lock (_lock)
            {
                if (_hasFailed || HasRoomFor(requests, bytes))
                    return;
                // Not on the sender's stack: the waiter continues with reading and handling requests.
                _roomWanted ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                waiting = _roomWanted.Task;
            }

            await waiting;
        }
    }
}

/// <summary>The place of one reply in its connection's order. Reused for a later request once the reply is sent.</summary>
internal sealed class ResponseSlot(ResponseQueue queue, FrameBuffer frame)
{
    private ApiMetrics? _metrics;
    private long _completedAt;

    public ResponseQueue Queue => queue;

    /// <summary>The reply. It is written by who answers, before that completes the slot.</summary>
    public FrameBuffer Frame => frame;

    /// <summary>Whether the request is answered, or needs no answer.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>Whether there is something to send.</summary>
    public bool HasReply { get; private set; }

    /// <summary>Whether later requests of the same API may start before it is complete.</summary>
    public bool Overlaps { get; set; }

    /// <summary>The reply is in the frame.</summary>
    /// <param name="metrics">Counts how long it takes until it is sent; null to count nothing.</param>
    public void Complete(ApiMetrics? metrics = null)
    {
        HasReply = true;
        _metrics = metrics;
        _completedAt = metrics is null ? 0 : queue.Now;
        queue.Complete(this);
    }

    /// <summary>The client wanted no reply (acks=0).</summary>
    public void CompleteWithoutResponse() => queue.Complete(this);

    internal void MarkComplete()
    {
        Invariant.Check(!IsComplete, "a reply completes once");
        IsComplete = true;
    }

    /// <summary>The reply was sent.</summary>
    internal void CountSent(long now) => _metrics?.CountSent(queue.Between(_completedAt, now));

    internal void Reset() => (IsComplete, HasReply) = (false, false);
}

/// <summary>Lets the connection's task wait for the turn of its next request. One wait at a time; reused.</summary>
internal sealed class StartWaiter : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _woken;

    /// <summary>Starts a wait. <see cref="Wake"/> must follow once.</summary>
    public ValueTask WaitAsync()
    {
        _woken.Reset();
        return new ValueTask(this, _woken.Version);
    }

    public void Wake(bool inline)
    {
        _woken.RunContinuationsAsynchronously = !inline;
        _woken.SetResult(true);
    }

    void IValueTaskSource.GetResult(short token) => _woken.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _woken.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _woken.OnCompleted(continuation, state, token, flags);
}
