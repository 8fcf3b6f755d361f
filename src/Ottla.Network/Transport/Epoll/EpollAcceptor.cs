using System.Net.Sockets;
using Ottla.Kernel;

namespace Ottla.Network.Transport.Epoll;

/// <summary>
/// Accepts the connections of a listening socket, one accept at a time. The accept loop owns it; it lives as long as its listener.
/// </summary>
internal sealed class EpollAcceptor : EpollOperation<Socket>, IAcceptor, IEpollHandler, IEpollTurn
{
    private readonly Socket _socket;
    private readonly EpollLoop _loop;
    private readonly Func<EpollLoop> _nextLoop;
    private bool _hasAccepted;
    private bool _isDisposed;

    public EpollAcceptor(Socket socket, Func<EpollLoop> nextLoop)
    {
        _socket = socket;
        _nextLoop = nextLoop;
        _loop = nextLoop();
        socket.Blocking = false;
        _loop.Add(socket.SafeHandle, this, atEntrance: true);
    }

    public long Token { get; set; }

    public ValueTask<Socket> AcceptAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_hasAccepted && HandlerThread.Current is EpollThread thread && thread.Loop == _loop)
        {
            // One connection a round: the others of the loop do not wait until all who want to connect are served.
            Forget();
            _loop.EndTurn(this);
        }
        else if (TryRun(out var accepted))
        {
            _hasAccepted = true;
            return new ValueTask<Socket>(accepted);
        }

        _hasAccepted = false;
        return new ValueTask<Socket>(this, Wait(cancellationToken));
    }

    public void Begin() => Raise();

    public ITransportConnection Serve(Socket accepted) => EpollConnection.Serve(accepted, _nextLoop());

    public void OnEvents(uint events) => Raise();

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
            return;
        _loop.Remove(this);
        _socket.Dispose();
        Break();
    }

    protected override Attempt TryCall(out Socket result)
    {
        if (!_socket.Poll(0, SelectMode.SelectRead)) // a failed accept would throw an exception for each connection
        {
            result = null!;
            return Attempt.WouldBlock;
        }

        result = _socket.Accept();
        return Attempt.Done;
    }
}
