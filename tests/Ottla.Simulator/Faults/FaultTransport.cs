using System.Net;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Faults;

/// <summary>
/// The network of a client under test: it sees every request, and refuses, loses or delays those that the test chooses.
/// </summary>
/// <remarks>Used by one client on one thread at a time, as in a <see cref="Worlds.World"/>; lives as long as the client.</remarks>
/// <param name="inner">The network behind it.</param>
/// <param name="time">The clock.</param>
public sealed class FaultTransport(ITransport inner, TimeProvider time) : ITransport
{
    private readonly Dictionary<ApiKey, int> _counts = [];
    private readonly List<SeenRequest> _seen = [];
    private int _connections;

    /// <summary>Says what becomes of a request; null to let it through.</summary>
    public Func<SeenRequest, RequestFault?>? Decide { get; set; }

    /// <summary>What the client has sent, in its order.</summary>
    public IReadOnlyList<SeenRequest> Seen => _seen;

    /// <summary>The connections that were closed or broke, by whoever: their numbers, and when.</summary>
    public Dictionary<int, DateTimeOffset> Closed { get; } = [];

    /// <inheritdoc/>
    public ITransportListener Listen(IPEndPoint endpoint, int backlog, SocketBufferSizes sizes) =>
        throw new NotSupportedException("a client does not listen");

    /// <inheritdoc/>
    public async ValueTask<ITransportConnection> ConnectAsync(EndPoint endpoint, CancellationToken cancellationToken)
    {
        var connection = await inner.ConnectAsync(endpoint, cancellationToken);
        return new FaultConnection(connection, this, ++_connections);
    }

    internal TimeProvider Time => time;

    internal RequestFault? See(ApiKey key, short version, int connection)
    {
        var number = _counts[key] = _counts.GetValueOrDefault(key) + 1;
        var request = new SeenRequest(key, version, connection, number, time.GetUtcNow());
        _seen.Add(request);
        return Decide?.Invoke(request);
    }

    internal void OnClosed(int connection) => Closed.TryAdd(connection, time.GetUtcNow());
}
