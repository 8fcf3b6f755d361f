using System.Runtime.InteropServices;

namespace Ottla.Network.Transport.Epoll;

/// <summary>Receives the events of a descriptor that a loop watches.</summary>
internal interface IEpollHandler
{
    /// <summary>The number that identifies it in the loop.</summary>
    long Token { get; set; }

    /// <summary>Handles events of the descriptor on the loop's thread. Does not throw.</summary>
    void OnEvents(uint events);
}

/// <summary>The rest of a connection's work, after its turn is over.</summary>
internal interface IEpollTurn
{
    /// <summary>Continues the work on the loop's thread. Does not throw.</summary>
    void Begin();
}

/// <summary>
/// An epoll descriptor and the connections that it watches. One <see cref="EpollThread"/> at a time serves and owns it. It lives as long as
/// the process.
/// </summary>
/// <remarks>
/// A second epoll descriptor, the entrance, watches who is not known yet: listeners, and connections before their login. It is watched by
/// the first, and each round serves a few of its events after all others. So a flood of strangers delays those who are known by as much as
/// these few cost, however many there are.
/// </remarks>
internal sealed unsafe class EpollLoop
{
    /// <summary>Events per call: enough to share the call's cost, few enough that the last one is handled soon.</summary>
    private const int EventsMax = 64;

    /// <summary>Events of the entrance per round. A login costs more than most requests.</summary>
    private const int EntranceEventsMax = 2;

    /// <summary>Identifies the entrance among the events. No handler has this token: generations begin with 1.</summary>
    private const long EntranceToken = 0;

    /// <summary>
    /// The most work items to defer on this loop. More go to the thread pool, so that waking a thousand waiters uses all processors.
    /// </summary>
    private const int DeferredMax = 32;

    private readonly TimeProvider _time;
    private readonly long _startedAt;
    private readonly int _epoll;
    private readonly int _entrance;
    private readonly EpollEvents _events = new(EventsMax);
    private readonly EpollEvents _entranceEvents = new(EntranceEventsMax);
    private readonly Queue<IThreadPoolWorkItem> _deferred = new();
    private readonly Queue<IEpollTurn> _turns = new();
    private readonly Lock _handlersLock = new();
    private readonly Stack<int> _freeSlots = new();
    private IEpollHandler?[] _handlers = new IEpollHandler?[16];
    private int _slotCount;
    private int _generation;
    private int _next;
    private int _count;
    private int _turnsLeft;
    private bool _isEntranceReady;
    private int _entranceNext;
    private int _entranceCount;

    /// <summary>
    /// The ticks of the clock in which the loop had nothing to do. While it waits, the time at which it began to is taken off, and the
    /// number is negative: so another thread reads all that it needs at once.
    /// </summary>
    private long _idleTicks;

    public EpollLoop(int index, TimeProvider time)
    {
        Index = index;
        _time = time;
        _startedAt = time.GetTimestamp();
        _epoll = Create();
        _entrance = Create();
        var interest = new EpollEvents(1);
        interest.Interest(0) = LinuxSockets.EventIn; // not edge-triggered: it is told again until the entrance is empty
        interest.SetData(0, EntranceToken);
        var result = LinuxSockets.ControlEpoll(_epoll, LinuxSockets.ControlAdd, _entrance, interest.Pointer);
        interest.Free();
        if (result != 0)
            throw new InvalidOperationException($"epoll_ctl: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    /// <summary>The index of this loop in its transport.</summary>
    public int Index { get; }

    /// <summary>How long it has handled events so far. Any thread may ask.</summary>
    public TimeSpan BusyTime
    {
        get
        {
            var now = _time.GetTimestamp();
            var idle = Volatile.Read(ref _idleTicks);
            return _time.GetElapsedTime(_startedAt, Math.Max(now - (idle < 0 ? idle + now : idle), _startedAt));
        }
    }

    /// <summary>The number of descriptors it watches.</summary>
    public int HandlerCount
    {
        get
        {
            lock (_handlersLock)
                return _slotCount - _freeSlots.Count;
        }
    }

    /// <summary>Watches a descriptor: every change is reported to <paramref name="handler"/>. Any thread may call it.</summary>
    /// <param name="descriptor">The descriptor.</param>
    /// <param name="handler">Who is told.</param>
    /// <param name="atEntrance">Whether those who are known come before it, until <see cref="Admit"/>.</param>
    /// <exception cref="System.Net.Sockets.SocketException">The kernel cannot watch more descriptors.</exception>
    public void Add(SafeHandle descriptor, IEpollHandler handler, bool atEntrance)
    {
        AddHandler(handler);
        try
        {
            Watch(atEntrance ? _entrance : _epoll, descriptor, handler);
        }
        catch
        {
            Remove(handler);
            throw;
        }
    }

    /// <summary>Has a descriptor leave the entrance. Any thread may call it.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">
    /// The kernel cannot watch more descriptors: this one is watched no more.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The descriptor is closed.</exception>
    public void Admit(SafeHandle descriptor, IEpollHandler handler)
    {
        if (LinuxSockets.ControlEpoll(_entrance, LinuxSockets.ControlDelete, descriptor, null) != 0)
            throw LinuxSockets.ExceptionOf(LinuxSockets.LastError);
        Watch(_epoll, descriptor, handler); // reports at once what is there already
    }

    /// <summary>
    /// Stops reporting to a handler; called once. The kernel stops watching a descriptor when it is closed. Any thread may call it.
    /// </summary>
    public void Remove(IEpollHandler handler)
    {
        lock (_handlersLock)
        {
            var slot = (int)handler.Token;
            _handlers[slot] = null;
            _freeSlots.Push(slot);
        }
    }

    /// <summary>Defers work until the running handler is done. Only the serving thread calls it.</summary>
    /// <returns>False when too much work is deferred already.</returns>
    public bool TryDefer(IThreadPoolWorkItem work)
    {
        if (_deferred.Count >= DeferredMax)
            return false;
        _deferred.Enqueue(work);
        return true;
    }

    /// <summary>
    /// Defers the rest of a connection's work until every other connection has had its turn. Only the serving thread calls it.
    /// </summary>
    public void EndTurn(IEpollTurn next) => _turns.Enqueue(next);

    /// <summary>
    /// Waits for events and handles them, as long as <paramref name="thread"/> owns the loop. What they wake comes after them: a follower's
    /// waiting fetch then gets the batches of several producers in one answer.
    /// </summary>
    public void Serve(EpollThread thread)
    {
        while (ReferenceEquals(thread.Loop, this))
        {
            if (_next < _count && _deferred.Count <= DeferredMax / 2)
            {
                var index = _next++;
                var token = _events.Data(index);
                if (token == EntranceToken)
                    _isEntranceReady = true;
                else
                    Find(token)?.OnEvents(_events.Interest(index));
            }
            else if (_deferred.TryDequeue(out var work))
            {
                work.Execute();
            }
            else if (_turnsLeft > 0)
            {
                _turnsLeft--;
                _turns.Dequeue().Begin();
            }
            else if (_entranceNext < _entranceCount)
            {
                var index = _entranceNext++;
                Find(_entranceEvents.Data(index))?.OnEvents(_entranceEvents.Interest(index));
            }
            else if (_isEntranceReady)
            {
                _isEntranceReady = false;
                _entranceNext = 0;
                _entranceCount = Wait(_entrance, _entranceEvents, EntranceEventsMax, timeoutMs: 0);
            }
            else
            {
                _next = 0;
                _turnsLeft = _turns.Count;
                _count = _turnsLeft > 0 ? Wait(_epoll, _events, EventsMax, timeoutMs: 0) : WaitIdly();
            }
        }
    }

    private static int Create()
    {
        var epoll = LinuxSockets.CreateEpoll(LinuxSockets.CloseOnExec);
        return epoll >= 0 ? epoll : throw new InvalidOperationException($"epoll_create1: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    private static int Wait(int epoll, EpollEvents events, int eventsMax, int timeoutMs)
    {
        var count = LinuxSockets.Wait(epoll, events.Pointer, eventsMax, timeoutMs);
        if (count < 0 && LinuxSockets.LastError != LinuxSockets.Interrupted)
            throw new InvalidOperationException($"epoll_wait: {Marshal.GetLastPInvokeErrorMessage()}");
        return count;
    }

    /// <summary>Waits until there is something to do.</summary>
    private int WaitIdly()
    {
        Volatile.Write(ref _idleTicks, _idleTicks - _time.GetTimestamp());
        var count = Wait(_epoll, _events, EventsMax, timeoutMs: -1);
        Volatile.Write(ref _idleTicks, _idleTicks + _time.GetTimestamp());
        return count;
    }

    private static void Watch(int epoll, SafeHandle descriptor, IEpollHandler handler)
    {
        var interest = new EpollEvents(1);
        try
        {
            interest.Interest(0) =
                LinuxSockets.EventIn | LinuxSockets.EventOut | LinuxSockets.EventPeerClosed | LinuxSockets.EventEdgeTriggered;
            interest.SetData(0, handler.Token);
            if (LinuxSockets.ControlEpoll(epoll, LinuxSockets.ControlAdd, descriptor, interest.Pointer) != 0)
                throw LinuxSockets.ExceptionOf(LinuxSockets.LastError);
        }
        finally
        {
            interest.Free();
        }
    }

    private void AddHandler(IEpollHandler handler)
    {
        lock (_handlersLock)
        {
            if (!_freeSlots.TryPop(out var slot))
                slot = _slotCount++;
            // The buffer may still hold events of the slot's previous owner. The generation number tells them apart.
            handler.Token = ((long)++_generation << 32) | (uint)slot;
            if (slot == _handlers.Length)
            {
                var grown = new IEpollHandler?[slot * 2];
                _handlers.CopyTo(grown, 0);
                Volatile.Write(ref _handlers, grown);
            }

            _handlers[slot] = handler;
        }
    }

    private IEpollHandler? Find(long token) =>
        Volatile.Read(ref Volatile.Read(ref _handlers)[(int)token]) is { } handler && handler.Token == token ? handler : null;
}
