namespace Ottla.Requests;

/// <summary>Why a request has no answer.</summary>
public enum RequestFailureKind
{
    /// <summary>There is no connection, or it broke before the answer arrived.</summary>
    Disconnected,

    /// <summary>The answer did not arrive in time.</summary>
    TimedOut,

    /// <summary>The peer does not offer the API, or no version of it that can carry the request. Nothing was sent.</summary>
    UnsupportedVersion,

    /// <summary>The peer sent bytes that are not the answer: its connection is closed. Or the request itself cannot be encoded.</summary>
    Malformed,

    /// <summary>TLS or SASL failed: the peer is not who it should be, or does not accept this node.</summary>
    AuthenticationFailed,

    /// <summary>More requests wait than the channel may hold. Nothing was sent.</summary>
    Overloaded,

    /// <summary>The channel was closed.</summary>
    Closed,
}

/// <summary>A request got no answer.</summary>
/// <param name="kind">Why.</param>
/// <param name="mayHaveBeenExecuted">Whether the peer may have received the request.</param>
/// <param name="message">What happened, to whom.</param>
/// <param name="innerException">The cause.</param>
public sealed class RequestFailedException(
    RequestFailureKind kind, bool mayHaveBeenExecuted, string message, Exception? innerException = null)
    : Exception(message, innerException)
{
    /// <summary>Why there is no answer.</summary>
    public RequestFailureKind Kind { get; } = kind;

    /// <summary>
    /// Whether bytes of the request were sent, so that the peer may have carried it out or still may. When false, sending it again cannot
    /// do anything twice.
    /// </summary>
    public bool MayHaveBeenExecuted { get; } = mayHaveBeenExecuted;
}
