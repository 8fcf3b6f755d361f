using System.Runtime.InteropServices;

namespace Ottla.Network.Transport.Epoll;

/// <summary>What a descriptor of a loop is told to.</summary>
internal interface IEpollHandler
{
    /// <summary>The number that the loop knows it by.</summary>
    long Token { get; set; }

    /// <summary>Events of the descriptor, on the loop's thread. Does not throw.</summary>
    void OnEvents(uint events);
}

/// <summary>Work of a connection that has had its turn, and goes on with the next.</summary>
internal interface IEpollTurn
{
    /// <summary>Goes on, on the loop's thread. Does not throw.</summary>
    void Begin();
}

/// <summary>An epoll descriptor and the connections it watches. Served by one <see cref="EpollThread"/> at a time, whose it is; lives as long as the process.</summary>
internal sealed unsafe class EpollLoop
{
    /// <summary>Events taken in one call: enough to share the call's cost, few enough that the last one does not wait long.</summary>
    private const int EventsMax = 64;

    /// <summary>Work put off beyond this goes to the thread pool: who wakes a thousand waiters shares it with the other processors.</summary>
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

    /// <summary>Which of the transport's loops it is.</summary>
    public int Index { get; }

    /// <summary>Descriptors it watches.</summary>
    public int HandlerCount
    {
        get
        {
            lock (_handlersLock)
                return _slotCount - _freeSlots.Count;
        }
    }

    /// <summary>Tells <paramref name="handler"/> every change of the descriptor from now on. Any thread.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The kernel watches no more descriptors.</exception>
    public void Add(SafeHandle descriptor, IEpollHandler handler)
    {
        AddHandler(handler);
        var interest = new EpollEvents(1);
        try
        {
            interest.Interest(0) = LinuxSockets.EventIn | LinuxSockets.EventOut | LinuxSockets.EventPeerClosed | LinuxSockets.EventEdgeTriggered;
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

    /// <summary>Tells it nothing any more; called once. The kernel forgets a descriptor by itself, when it is closed. Any thread.</summary>
    public void Remove(IEpollHandler handler)
    {
        lock (_handlersLock)
        {
            var slot = (int)handler.Token;
            _handlers[slot] = null;
            _freeSlots.Push(slot);
        }
    }

    /// <summary>Puts work off until the running handler is done. The serving thread only.</summary>
    /// <returns>False when there is enough already.</returns>
    public bool TryDefer(IThreadPoolWorkItem work)
    {
        if (_deferred.Count >= DeferredMax)
            return false;
        _deferred.Enqueue(work);
        return true;
    }

    /// <summary>Puts the rest of a connection's work off until every other one has had its turn. The serving thread only.</summary>
    public void EndTurn(IEpollTurn next) => _turns.Enqueue(next);

    /// <summary>Waits for events and handles them, for as long as the loop is <paramref name="thread"/>'s.</summary>
    public void Serve(EpollThread thread)
    {
        while (ReferenceEquals(thread.Loop, this))
        {
            if (_deferred.TryDequeue(out var work))
            {
                work.Execute();
            }
            else if (_next < _count)
            {
                var index = _next++;
                Find(_events.Data(index))?.OnEvents(_events.Interest(index));
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
            // Events of a slot's last owner may still lie in the buffer: the generation tells them from its own.
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
