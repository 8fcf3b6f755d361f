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
internal sealed unsafe class EpollLoop
{
    /// <summary>Events per call: enough to share the call's cost, few enough that the last one is handled soon.</summary>
    private const int EventsMax = 64;

    /// <summary>
    /// The most work items to defer on this loop. More go to the thread pool, so that waking a thousand waiters uses all processors.
    /// </summary>
    private const int DeferredMax = 32;

    private readonly int _epoll;
    private readonly EpollEvents _events = new(EventsMax);
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

    public EpollLoop(int index)
    {
        Index = index;
        _epoll = LinuxSockets.CreateEpoll(LinuxSockets.CloseOnExec);
        if (_epoll < 0)
            throw new InvalidOperationException($"epoll_create1: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    /// <summary>The index of this loop in its transport.</summary>
    public int Index { get; }

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
    /// <exception cref="System.Net.Sockets.SocketException">The kernel cannot watch more descriptors.</exception>
    public void Add(SafeHandle descriptor, IEpollHandler handler)
    {
        AddHandler(handler);
        var interest = new EpollEvents(1);
        try
        {
            interest.Interest(0) =
                LinuxSockets.EventIn | LinuxSockets.EventOut | LinuxSockets.EventPeerClosed | LinuxSockets.EventEdgeTriggered;
            interest.SetData(0, handler.Token);
            if (LinuxSockets.ControlEpoll(_epoll, LinuxSockets.ControlAdd, descriptor, interest.Pointer) == 0)
                return;
            var error = LinuxSockets.LastError;
            Remove(handler);
            throw LinuxSockets.ExceptionOf(error);
        }
        finally
        {
            interest.Free();
        }
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
                Find(_events.Data(index))?.OnEvents(_events.Interest(index));
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
            else
            {
                _next = 0;
                _turnsLeft = _turns.Count;
                _count = LinuxSockets.Wait(_epoll, _events.Pointer, EventsMax, timeoutMs: _turnsLeft > 0 ? 0 : -1);
                if (_count < 0 && LinuxSockets.LastError != LinuxSockets.Interrupted)
                    throw new InvalidOperationException($"epoll_wait: {Marshal.GetLastPInvokeErrorMessage()}");
            }
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
