using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>
/// What the active controller knows of brokers from their heartbeats alone: when they were last heard, how far their metadata is, and at
/// which offset their shutdown began. None of it is in the log, so each active controller begins anew.
/// </summary>
/// <remarks>
/// The loop of the active controller owns it. It learns from heartbeats (<see cref="Hear"/>) and from the records that were appended
/// (<see cref="Apply"/>); decisions only read it. There is one entry for each registered broker.
/// </remarks>
internal sealed class BrokerSessions(int sessionTimeoutMs)
{
    private const sbyte IsFenced = 1;
    private const sbyte IsShuttingDown = 1;

    private readonly SortedDictionary<int, Session> _sessions = [];

    /// <summary>A controller becomes active: unfenced brokers get a whole session to find it. A fenced one has nothing to lose.</summary>
    public void Begin(MetadataImage image, Instant now)
    {
        _sessions.Clear();
        foreach (var broker in image.Cluster.Brokers.Values)
        {
            _sessions[broker.Id] = new Session(broker.Epoch)
            {
                LastContact = broker.Fenced ? null : now,
                // Its predecessor knew when the shutdown began: not later than this.
                ShutdownOffset = broker is { Fenced: false, InControlledShutdown: true } ? image.Provenance.LastOffset : null,
            };
        }
    }

    /// <summary>The controller is not active any more.</summary>
    public void End() => _sessions.Clear();

    /// <summary>
    /// A heartbeat came in, whatever is decided about it. One of a process that is not registered (any more) says nothing.
    /// </summary>
    /// <param name="heartbeat">The heartbeat.</param>
    /// <param name="arrivedAt">When it came in.</param>
    /// <param name="connection">What it came over; only compared.</param>
    /// <returns>Whether the broker is registered.</returns>
    public bool Hear(BrokerHeartbeatRequest heartbeat, Instant arrivedAt, object connection)
    {
        if (Find(heartbeat.BrokerId, heartbeat.BrokerEpoch) is not { } session)
            return false;
        if (session.LastContact is not { } last || last < arrivedAt)
            session.LastContact = arrivedAt;
        session.MetadataOffset = heartbeat.CurrentMetadataOffset;
        session.WantsToStop = heartbeat.WantShutDown;
        session.Connection = connection;
        session.HasEnded = false;
        return true;
    }

    /// <summary>A connection that heartbeats came over is closed.</summary>
    public void Disconnect(int brokerId, object connection)
    {
        if (!_sessions.TryGetValue(brokerId, out var session) || !ReferenceEquals(session.Connection, connection))
            return;
        session.Connection = null;
        session.SuspectedAt = null;
    }

    /// <summary>
    /// The unfenced brokers whose process may have ended, as no connection is open that their heartbeats came over; each again after a
    /// while. The host finds out, and tells it with <see cref="End(int, long)"/>.
    /// </summary>
    public IEnumerable<BrokerRegistration> Suspect(ClusterImage cluster, Instant now)
    {
        foreach (var (id, session) in _sessions)
        {
            if (session is not { Connection: null, LastContact: not null, HasEnded: false }
                || session.SuspectedAt?.AddMilliseconds(QuorumController.SuspicionIntervalMs) > now
                || cluster.Broker(id) is not { Fenced: false } broker || broker.Epoch != session.Epoch)
                continue;
            session.SuspectedAt = now;
            yield return broker;
        }
    }

    /// <summary>The process of a broker has ended, unless one was heard of meanwhile. Returns whether its session is over.</summary>
    public bool End(int brokerId, long epoch)
    {
        if (Find(brokerId, epoch) is not { Connection: null, LastContact: not null } session)
            return false;
        session.HasEnded = true;
        return true;
    }

    /// <summary>Learns from records that were appended, of which the last one has the offset <paramref name="lastOffset"/>.</summary>
    public void Apply(IReadOnlyList<MetadataRecord> records, long lastOffset)
    {
        foreach (var record in records)
        {
            switch (record.Message)
            {
                case RegisterBrokerRecord registered when Find(registered.BrokerId, registered.BrokerEpoch) is null:
                    _sessions[registered.BrokerId] = new Session(registered.BrokerEpoch);
                    break;
                case UnregisterBrokerRecord unregistered:
                    _sessions.Remove(unregistered.BrokerId);
                    break;
                case BrokerRegistrationChangeRecord change when Find(change.BrokerId, change.BrokerEpoch) is { } session:
                    if (change.InControlledShutdown == IsShuttingDown)
                        session.ShutdownOffset ??= lastOffset;
                    if (change.Fenced == IsFenced)
                        session.ShutdownOffset = null;
                    break;
                default:
                    break;
            }
        }
    }

    /// <summary>Whether a broker was heard within the last session time-out.</summary>
    public bool IsAlive(BrokerRegistration broker, Instant now) =>
        Find(broker.Id, broker.Epoch) is { } session && session.LastContact is { } last && !IsOver(session, last, now);

    /// <summary>Whether a connection is open that a broker's last heartbeat came over.</summary>
    public bool IsConnected(BrokerRegistration broker) => Find(broker.Id, broker.Epoch) is { Connection: not null };

    /// <summary>Whether a broker has asked to stop with its last heartbeat.</summary>
    public bool WantsToStop(BrokerRegistration broker) => Find(broker.Id, broker.Epoch) is { WantsToStop: true };

    /// <summary>
    /// A broker that was not heard for longer than its session, or whose process has ended; null for none. One at a time, so that each
    /// fencing is seen by the next.
    /// </summary>
    public BrokerSilence? FindExpired(Instant now)
    {
        foreach (var (id, session) in _sessions)
        {
            if (session.LastContact is { } last && IsOver(session, last, now))
                return new BrokerSilence(id, session.Epoch, now.MillisecondsSince(last), session.HasEnded);
        }

        return null;
    }

    /// <summary>When the session of a broker may be over that has sent no heartbeat since: not before that anyone's.</summary>
    public Instant NextExpiration(Instant now)
    {
        var next = now.AddMilliseconds(sessionTimeoutMs + 1L);
        foreach (var session in _sessions.Values)
        {
            if (session.LastContact?.AddMilliseconds(sessionTimeoutMs + 1L) is { } over && over < next)
                next = over;
        }

        return next;
    }

    /// <summary>Ends the session of a broker that is fenced already.</summary>
    public void Expire(int brokerId) => _sessions[brokerId].LastContact = null;

    /// <summary>
    /// Whether every active broker's metadata has the shutdown of a broker: then nobody sends requests to it as a leader any more.
    /// </summary>
    public bool EverybodyKnowsOfShutdown(BrokerRegistration leaving, ClusterImage cluster)
    {
        if (Find(leaving.Id, leaving.Epoch)?.ShutdownOffset is not { } offset)
            return true; // it is not known to this controller as shutting down, so there is nothing to wait for
        foreach (var broker in cluster.Brokers.Values)
        {
            if (broker.IsActive && (Find(broker.Id, broker.Epoch)?.MetadataOffset ?? -1) < offset)
                return false;
        }

        return true;
    }

    private Session? Find(int brokerId, long epoch) =>
        _sessions.TryGetValue(brokerId, out var session) && session.Epoch == epoch ? session : null;

    private bool IsOver(Session session, Instant last, Instant now) =>
        session.HasEnded || now.MillisecondsSince(last) > sessionTimeoutMs;

    private sealed class Session(long epoch)
    {
        public long Epoch => epoch;

        /// <summary>When it was last heard; null when its session is over or has not begun.</summary>
        public Instant? LastContact { get; set; }

        /// <summary>Up to where its metadata is applied; -1 when it has not said.</summary>
        public long MetadataOffset { get; set; } = -1;

        /// <summary>The offset of what began its shutdown. It is set once, or a busy cluster would never let it go.</summary>
        public long? ShutdownOffset { get; set; }

        /// <summary>Whether its last heartbeat asked to stop.</summary>
        public bool WantsToStop { get; set; }

        /// <summary>The connection of its last heartbeat; null when that is closed, or when it has not sent one.</summary>
        public object? Connection { get; set; }

        /// <summary>When its process was last suspected to have ended; null when that is due.</summary>
        public Instant? SuspectedAt { get; set; }

        /// <summary>Whether its process has ended, so that there is nobody to wait for.</summary>
        public bool HasEnded { get; set; }
    }
}

/// <summary>A broker that was not heard for too long.</summary>
/// <param name="BrokerId">The broker.</param>
/// <param name="Epoch">The epoch of its session.</param>
/// <param name="Milliseconds">For how long it was not heard.</param>
/// <param name="HasEnded">Whether its process has ended.</param>
internal readonly record struct BrokerSilence(int BrokerId, long Epoch, long Milliseconds, bool HasEnded);
