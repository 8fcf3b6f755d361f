namespace Ottla.Broker.Server;

/// <summary>Counts the connections of a listener since the start. Any thread counts.</summary>
/// <param name="listener">The listener's name.</param>
internal sealed class ListenerCounters(string listener)
{
    private long _opened;
    private long _closed;
    private long _loggedIn;
    private long _notLoggedIn;
    private long _idle;

    /// <summary>The listener's name.</summary>
    public string Listener => listener;

    /// <summary>Connections that were accepted.</summary>
    public long Opened => Interlocked.Read(ref _opened);

    /// <summary>Connections that have ended.</summary>
    public long Closed => Interlocked.Read(ref _closed);

    /// <summary>Connections whose client has proved who it is.</summary>
    public long LoggedIn => Interlocked.Read(ref _loggedIn);

    /// <summary>Connections that ended before that, where it was asked for.</summary>
    public long NotLoggedIn => Interlocked.Read(ref _notLoggedIn);

    /// <summary>Connections that were closed because nothing came over them.</summary>
    public long Idle => Interlocked.Read(ref _idle);

    /// <summary>Counts a connection that is closed because nothing comes over it.</summary>
    public void CountIdle() => Interlocked.Increment(ref _idle);

    /// <summary>Counts a connection that was accepted.</summary>
    public void CountOpened() => Interlocked.Increment(ref _opened);

    /// <summary>Counts a client that has proved who it is.</summary>
    public void CountLogin() => Interlocked.Increment(ref _loggedIn);

    /// <summary>Counts a connection that has ended.</summary>
    /// <param name="isLoginMissing">Whether its client should have logged in, and had not.</param>
    public void CountClosed(bool isLoginMissing)
    {
        Interlocked.Increment(ref _closed);
        if (isLoginMissing)
            Interlocked.Increment(ref _notLoggedIn);
    }
}
