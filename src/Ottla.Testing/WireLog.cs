using System.Globalization;
using Ottla.Protocol.Messages;

namespace Ottla.Testing;

/// <summary>A request that a client sent to the test broker.</summary>
/// <param name="At">When it arrived, by the test's clock.</param>
/// <param name="Node">The node that it came to.</param>
/// <param name="Connection">The connection, counted from 1.</param>
/// <param name="ClientId">The client's id; null where it says none.</param>
/// <param name="Api">The API.</param>
/// <param name="Version">The version of the request.</param>
/// <param name="Bytes">The size of the request in bytes, without its length field.</param>
/// <param name="Fault">What the test has done to it, in words; null for nothing.</param>
public sealed record WireRequest(
    DateTimeOffset At, int Node, int Connection, string? ClientId, ApiKey Api, short Version, int Bytes, string? Fault)
{
    /// <inheritdoc/>
    public override string ToString() => string.Create(
        CultureInfo.InvariantCulture,
        $"{At:HH:mm:ss.fff} node {Node} connection {Connection} ({ClientId}) {Api} v{Version}, {Bytes} bytes")
        + (Fault is null ? "" : $": {Fault}");
}

/// <summary>The last requests that clients sent. Thread-safe.</summary>
public sealed class WireLog
{
    private const int RequestsMax = 10_000;

    private readonly Lock _lock = new();
    private readonly Queue<WireRequest> _requests = new();

    internal WireLog()
    {
    }

    /// <summary>What was sent, oldest first: the last 10,000 requests.</summary>
    public IReadOnlyList<WireRequest> Requests
    {
        get
        {
            lock (_lock)
                return [.. _requests];
        }
    }

    /// <summary>Forgets what was sent.</summary>
    public void Clear()
    {
        lock (_lock)
            _requests.Clear();
    }

    internal void Add(WireRequest request)
    {
        lock (_lock)
        {
            if (_requests.Count == RequestsMax)
                _requests.Dequeue();
            _requests.Enqueue(request);
        }
    }

    /// <summary>The last requests, one on a line.</summary>
    internal string Tail(int count) => string.Join('\n', Requests.TakeLast(count).Select(request => $"  {request}"));
}
