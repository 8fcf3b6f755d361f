namespace Ottla.Requests;

/// <summary>Learns what goes over the connections of channels, for metrics.</summary>
/// <remarks>Called from any thread; must not wait or throw.</remarks>
public interface IChannelObserver
{
    /// <summary>A connection may be used.</summary>
    void OnConnected(NodeAddress node);

    /// <summary>A connection that was used has ended.</summary>
    void OnDisconnected(NodeAddress node);

    /// <summary>A request is about to be sent.</summary>
    /// <param name="node">The peer.</param>
    /// <param name="bytes">Its length, with its prefix.</param>
    void OnSent(NodeAddress node, int bytes);

    /// <summary>A request was answered.</summary>
    /// <param name="node">The peer.</param>
    /// <param name="bytes">The length of the answer, with its prefix.</param>
    /// <param name="latency">The time since the request was sent.</param>
    void OnAnswered(NodeAddress node, int bytes, TimeSpan latency);
}
