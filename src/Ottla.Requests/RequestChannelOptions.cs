using Ottla.Network.Transport;
using Ottla.Requests.Security;

namespace Ottla.Requests;

/// <summary>How a <see cref="RequestChannel"/> behaves. Defaults are those of Kafka's clients.</summary>
public sealed record RequestChannelOptions
{
    /// <summary>The client id in every request header; null for none.</summary>
    public required string? ClientId { get; init; }

    /// <summary>How versions are chosen.</summary>
    public IVersionChoice Versions { get; init; } = VersionChoice.Negotiated;

    /// <summary>
    /// How long a request may take, from the call on: waiting, connecting and the answer (<c>request.timeout.ms</c>). A caller may give
    /// another bound for its request.
    /// </summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long setting up a connection may take, login and ApiVersions included (<c>socket.connection.setup.timeout.ms</c>).
    /// </summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// The wait after the first failed or broken connection (<c>reconnect.backoff.ms</c>); doubles with every further failure.
    /// </summary>
    public TimeSpan ReconnectBackoff { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>The longest such wait (<c>reconnect.backoff.max.ms</c>).</summary>
    public TimeSpan ReconnectBackoffMax { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// What happens to requests that are not sent yet when there is no connection: false, they wait for the next attempt, as long as their
    /// time-out lets them; true, they fail at once, as between Kafka's nodes, where the sender turns to another node.
    /// </summary>
    public bool FailsWhileDisconnected { get; init; }

    /// <summary>The most requests that are sent and not answered (<c>max.in.flight.requests.per.connection</c>).</summary>
    public int InFlightMax { get; init; } = 5;

    /// <summary>The most requests that wait to be sent. One more fails with <see cref="RequestFailureKind.Overloaded"/>.</summary>
    public int WaitingMax { get; init; } = 1024;

    /// <summary>The longest answer, in bytes. A longer one closes the connection.</summary>
    public int AnswerBytesMax { get; init; } = 100 * 1024 * 1024;

    /// <summary>
    /// The length of answers that this side asks for, in bytes: memory for one as long is taken when its length is known, and not as it
    /// arrives.
    /// </summary>
    public int ExpectedAnswerBytes { get; init; }

    /// <summary>The buffers of the socket.</summary>
    public SocketBufferSizes BufferSizes { get; init; } = SocketBufferSizes.OperatingSystemDefaults;

    /// <summary>The name of this software in ApiVersions (KIP-511).</summary>
    public string SoftwareName { get; init; } = "ottla";

    /// <summary>Its version.</summary>
    public string SoftwareVersion { get; init; } = typeof(RequestChannel).Assembly.GetName().Version?.ToString(3) ?? "0";

    /// <summary>TLS and login of new connections; null sends in clear text.</summary>
    public IConnectionSecurity? Security { get; init; }

    /// <summary>Who learns what goes over the connections; null for nobody.</summary>
    public IChannelObserver? Observer { get; init; }
}
