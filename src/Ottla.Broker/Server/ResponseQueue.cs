using System.Threading.Tasks.Sources;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;

namespace Ottla.Broker.Server;

/// <summary>The replies of one connection, in the order of its requests, whenever each of them gets ready.</summary>
/// <remarks>
/// Requests are added by the connection's task; replies complete anywhere. Whoever finds the queue idle sends what is ready, all of it at once.
/// Lives as long as its connection.
/// </remarks>
internal sealed class ResponseQueue(
    FrameSender sender,
    BufferPool pool,
    int inFlightMax,
    Action<Exception> onFailure,
    Action<RequestContext, Exception> onRequestFailure,
    TimeProvider time,
    CancellationToken closing)
{
    /// <summary>Frames and slots kept for reuse: more than this are in flight only in bursts.</summary>
    private const int ReuseMax = 16;

    /// <summary>
    /// Bytes of replies that a connection may have ready and not sent before its next request waits: more than goes out in one send saves nothing, and a
    /// client that asks without reading would fill the memory. Ranges of files do not count: they are read when they are sent. One reply may be larger.
    /// </summary>
    public const int UnsentBytesMax = 128 * 1024;

    private readonly Lock _lock = new();
    private readonly Queue<ResponseSlot> _slots = new();
    private readonly Stack<ResponseSlot> _idleSlots = new();
    private readonly Stack<FrameBuffer> _idleFrames = new();
    private readonly List<FrameBuffer> _sending = [];
    private readonly StartWaiter _startWaiter = new();
    private TaskCompletionSource? _roomWanted;
    private long _unsentBytes;
    private long _sendingBytes;
    private int _unansweredCount;
    private int _unansweredAloneCount;
    private bool? _startWanted;
    private bool _isSending;
    private bool _hasFailed;

    /// <summary>The messages of the hot path that this connection uses again.</summary>
    public MessageExchanges Exchanges { get; } = new();

    /// <summary>Takes the next place in the order of replies.</summary>
    /// <param name="overlaps">Whether others of its kind may start before it is answered.</param>
    public ResponseSlot Open(bool overlaps)
    {
        lock (_lock)
        {
            if (!_idleSlots.TryPop(out var slot))
                slot = new ResponseSlot(this);
            slot.Overlaps = overlaps;
            _unansweredCount++;
            if (!overlaps)
                _unansweredAloneCount++;
            _slots.Enqueue(slot);
            return slot;
        }
    }

    /// <summary>An empty frame to encode a reply into.</summary>
    public FrameBuffer RentFrame()
    {
        lock (_lock)
            return _idleFrames.TryPop(out var frame) ? frame : new FrameBuffer(pool);
    }

    /// <summary>Whether the next reply is still being made, so that the client waits for this broker and not the other way round.</summary>
    public bool AwaitsHandler
    {
        get
        {
            lock (_lock)
                return !_isSending && _slots.Count > 0;
        }
    }

    /// <summary>
    /// Whether the next request may start: what came before is answered, or overlaps as it does, and neither too many replies nor too many
    /// bytes wait to be sent.
    /// </summary>
    /// <param name="overlaps">Whether it overlaps others of its kind.</param>
    public bool MayStart(bool overlaps)
    {
        lock (_lock)
            return HasRoomFor(inFlightMax, UnsentBytesMax) && HasTurn(overlaps);
    }

    /// <summary>Sends what is ready, and waits until the next request may start or the connection fails. One call at a time.</summary>
    public async ValueTask WaitToStartAsync(bool overlaps)
    {
        await WaitUntilBelowAsync(inFlightMax, UnsentBytesMax);
        ValueTask turn;
        lock (_lock)
        {
            if (_hasFailed || HasTurn(overlaps))
                return;
            _startWanted = overlaps;
            turn = _startWaiter.WaitAsync();
        }

        await turn;
    }

    /// <summary>A reply got ready outside the connection's task: sends it if it is its turn, and lets the next request start.</summary>
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

        _startWaiter.Wake(wakesInline);
    }

    /// <summary>The time since a request arrived.</summary>
    public TimeSpan TimeSince(in RequestContext context) => time.GetElapsedTime(context.ArrivedAt);

    /// <summary>Tells of a request that failed in a way that its handler does not know.</summary>
    public void ReportFailure(RequestContext context, Exception exception) => onRequestFailure(context, exception);

    /// <summary>Waits until every request was answered.</summary>
    public ValueTask DrainAsync() => WaitUntilBelowAsync(1, UnsentBytesMax);

    /// <summary>Sends every reply that is ready and whose turn it is. Returns at once when somebody else is sending: they will see to it.</summary>
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
        while (TryTakeReady(isContinuing: true));
    }

    /// <summary>As <see cref="FlushAsync"/>, for a reply that got ready outside the connection's task.</summary>
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
                // FlushAsync has told the connection already.
            }
        }
    }

    /// <summary>Gives up: the connection cannot go on.</summary>
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

        onFailure(exception);
        waiter?.TrySetResult();
        WakeForFailure();
    }

    /// <summary>Releases the replies that will never be sent, and whoever waits for them. Nothing is sent afterwards.</summary>
    public void Close()
    {
        TaskCompletionSource? waiter;
        lock (_lock)
        {
            _hasFailed = true;
            while (_slots.TryDequeue(out var slot))
                slot.TakeFrame()?.Dispose();
            waiter = _roomWanted;
            _roomWanted = null;
        }

        waiter?.TrySetResult();
        WakeForFailure();
    }

    internal void Complete(ResponseSlot slot, FrameBuffer? frame)
    {
        lock (_lock)
        {
            slot.MarkComplete(frame);
            _unansweredCount--;
            if (!slot.Overlaps)
                _unansweredAloneCount--;
            if (_hasFailed)
                slot.TakeFrame()?.Dispose();
            else
                _unsentBytes += frame?.Length ?? 0;
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

        _startWaiter.Wake(inline: false);
    }

    /// <summary>Collects the ready replies at the head of the queue; the caller then sends them, and is the only one to.</summary>
    private bool TryTakeReady(bool isContinuing)
    {
        TaskCompletionSource? waiter = null;
        bool hasReady;
        lock (_lock)
        {
            if (_isSending != isContinuing)
                return false;
            foreach (var sent in _sending)
            {
                if (_idleFrames.Count < ReuseMax)
                    _idleFrames.Push(sent); // the sender has emptied it
            }

            _sending.Clear();
            _unsentBytes -= _sendingBytes;
            _sendingBytes = 0;
            while (!_hasFailed && _slots.TryPeek(out var slot) && slot.IsComplete)
            {
                _slots.Dequeue();
                if (slot.TakeFrame() is { } frame)
                {
                    _sending.Add(frame);
                    _sendingBytes += frame.Length;
                }

                slot.Reset();
                if (_idleSlots.Count < ReuseMax)
                    _idleSlots.Push(slot);
            }

            _isSending = hasReady = _sending.Count > 0;
            if (_roomWanted is not null && HasRoomFor(inFlightMax, UnsentBytesMax))
                (waiter, _roomWanted) = (_roomWanted, null);
        }

        waiter?.TrySetResult();
        return hasReady;
    }

    private bool HasRoomFor(int requests, long bytes) => _slots.Count + _sending.Count < requests && _unsentBytes < bytes;

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
                // Continue elsewhere than in the sender's stack: the waiter goes on to read and handle requests.
                _roomWanted ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                waiting = _roomWanted.Task;
            }

            await waiting;
        }
    }
}

/// <summary>The place of one reply in its connection's order. Reused: it is its request's only until it is complete.</summary>
internal sealed class ResponseSlot(ResponseQueue queue)
{
    private FrameBuffer? _frame;

    public ResponseQueue Queue => queue;

    public bool IsComplete { get; private set; }

    /// <summary>Whether others of its kind may start before it is complete.</summary>
    public bool Overlaps { get; set; }

    public void Complete(FrameBuffer frame) => queue.Complete(this, frame);

    /// <summary>The client wanted no reply (acks=0).</summary>
    public void CompleteWithoutResponse() => queue.Complete(this, null);

    internal void MarkComplete(FrameBuffer? frame)
    {
        Invariant.Check(!IsComplete, "a reply completes once");
        _frame = frame;
        IsComplete = true;
    }

    internal FrameBuffer? TakeFrame()
    {
        var frame = _frame;
        _frame = null;
        return frame;
    }

    internal void Reset() => IsComplete = false;
}

/// <summary>The connection's task, waiting for the turn of its next request. One wait at a time; used again.</summary>
internal sealed class StartWaiter : IValueTaskSource
{
    private ManualResetValueTaskSourceCore<bool> _woken;

    /// <summary>Begins to wait; <see cref="Wake"/> follows once.</summary>
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
