using System.Collections.Concurrent;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Hosts;

/// <summary>
/// Takes note of heartbeats when they come in, before the commands that are queued ahead of them: a busy controller must not take a broker
/// for dead. Also of the end of the connections that carried them.
/// </summary>
/// <remarks>
/// <see cref="Add"/> is called from any thread; <see cref="Drain"/> under the lock of the <see cref="ControllerHost"/>. A connection has
/// one
/// request under way, so no more is queued than there are connections.
/// </remarks>
/// <param name="controller">Who is told.</param>
/// <param name="onClose">Called from any thread when a connection of heartbeats was closed, which is to be drained soon.</param>
internal sealed class HeartbeatIntake(QuorumController controller, Action onClose)
{
    private readonly ConcurrentQueue<Event> _events = new();
    private readonly Dictionary<int, ConnectionInfo> _connections = [];

    /// <summary>Whether something came in that is not handed on yet.</summary>
    public bool HasNews => !_events.IsEmpty;

    /// <summary>A heartbeat came in.</summary>
    public void Add(BrokerHeartbeatRequest heartbeat, Instant arrivedAt, ConnectionInfo connection) =>
        _events.Enqueue(new Event(connection, heartbeat, arrivedAt, heartbeat.BrokerId));

    /// <summary>Hands everything that came in to the controller.</summary>
    public void Drain()
    {
        while (_events.TryDequeue(out var next))
        {
            if (next.Heartbeat is null)
                Close(next.BrokerId, next.Connection);
            else if (controller.Hear(next.Heartbeat, next.ArrivedAt, next.Connection))
                Watch(next.BrokerId, next.Connection);
        }
    }

    /// <summary>Has the end of a connection noted, once.</summary>
    private void Watch(int brokerId, ConnectionInfo connection)
    {
        if (_connections.TryGetValue(brokerId, out var known) && ReferenceEquals(known, connection))
            return;
        _connections[brokerId] = connection;
        connection.Closing.UnsafeRegister(
            _ =>
            {
                _events.Enqueue(new Event(connection, null, default, brokerId));
                onClose();
            },
            null);
    }

    private void Close(int brokerId, ConnectionInfo connection)
    {
        if (_connections.TryGetValue(brokerId, out var known) && ReferenceEquals(known, connection))
            _connections.Remove(brokerId);
        controller.Disconnect(brokerId, connection);
    }

    /// <param name="Connection">The connection.</param>
    /// <param name="Heartbeat">What came over it; null when it is closed.</param>
    /// <param name="ArrivedAt">When.</param>
    /// <param name="BrokerId">The broker at its other end.</param>
    private readonly record struct Event(ConnectionInfo Connection, BrokerHeartbeatRequest? Heartbeat, Instant ArrivedAt, int BrokerId);
}
