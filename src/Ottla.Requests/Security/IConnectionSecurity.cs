using Ottla.Network.Transport;

namespace Ottla.Requests.Security;

/// <summary>Secures new connections: TLS, login, both or neither. Thread-safe; lives as long as the channels that use it.</summary>
public interface IConnectionSecurity
{
    /// <summary>Takes a new connection and returns the one to use. When it throws, the caller disposes the connection.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="address">Who should be at its other end.</param>
    /// <param name="cancellation">Ends the attempt.</param>
    /// <exception cref="System.Security.Authentication.AuthenticationException">The peer or this node is refused.</exception>
    /// <exception cref="IOException">The connection failed.</exception>
    ValueTask<SecuredConnection> SecureAsync(ITransportConnection connection, NodeAddress address, CancellationToken cancellation);
}

/// <summary>A connection that is ready for requests.</summary>
/// <param name="Connection">The connection to use.</param>
/// <param name="SessionLifetime">How long the peer lets its session last; null when it has no end.</param>
public readonly record struct SecuredConnection(ITransportConnection Connection, TimeSpan? SessionLifetime)
{
    /// <summary>
    /// The part of a session after which a new connection takes its place, as Kafka's clients log in again before the end.
    /// </summary>
    private const double UsedPart = 0.85;

    /// <summary>When a new connection should take its place, as a timestamp of the clock; null for never.</summary>
    /// <param name="time">The clock.</param>
    public long? RenewAt(TimeProvider time)
    {
        ArgumentNullException.ThrowIfNull(time);
        return SessionLifetime is { } lifetime
            ? time.GetTimestamp() + (long)(lifetime.TotalSeconds * UsedPart * time.TimestampFrequency)
            : null;
    }
}
