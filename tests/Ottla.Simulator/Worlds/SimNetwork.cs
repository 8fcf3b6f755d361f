using System.Net;
using System.Net.Sockets;
using Ottla.Kernel;

namespace Ottla.Simulator.Worlds;

/// <summary>How a network treats what is sent.</summary>
public sealed record NetworkWeather
{
    /// <summary>The longest that bytes usually take, in microseconds; the shortest is a tenth of it.</summary>
    public int DelayUsMax { get; init; } = 2_000;

    /// <summary>Of a thousand sends, how many hold up their connection.</summary>
    public int StallsPerThousand { get; init; }

    /// <summary>How long a connection is held up at most, in milliseconds.</summary>
    public int StallMsMax { get; init; } = 3_000;

    /// <summary>Of a hundred sends, how many arrive in pieces.</summary>
    public int PiecesPercent { get; init; } = 20;
}

/// <summary>
/// A network of streams as TCP makes them: bytes arrive in order, whole or in pieces, after a while, and even after their sender has given
/// up.
/// </summary>
/// <remarks>
/// Who aborts a connection, or dies, leaves what it has sent on its way; the reset follows behind. So a request can be carried out long
/// after its client has repeated it on another connection. Lives as long as the world; everything follows from its <see cref="Prng"/>.
/// </remarks>
public sealed class SimNetwork
{
    /// <summary>For cuts: connections to all ports.</summary>
    public const int AnyPort = 0;

    private const int FirstClientPort = 49_152;

    private readonly SimScheduler _scheduler;
    private readonly Prng _random;
    private readonly Dictionary<IPEndPoint, SimListener> _listeners = [];
    private readonly List<SimLink> _links = [];
    private readonly HashSet<(IPAddress From, IPAddress To, int Port)> _cuts = [];
    private readonly Dictionary<(IPAddress From, IPAddress To), int> _slowLinks = [];
    private readonly List<Action> _held = [];
    private int _portsGiven;

    internal SimNetwork(SimScheduler scheduler, Prng random)
    {
        _scheduler = scheduler;
        _random = random;
        Wires = new SimProcess(scheduler, this, 0, "network", IPAddress.None) { Fail = static failure => throw failure };
    }

    /// <summary>How it treats what is sent.</summary>
    public NetworkWeather Weather { get; set; } = new();

    /// <summary>What carries bytes: nobody's process.</summary>
    internal SimProcess Wires { get; }

    /// <summary>Breaks one of the connections off, in both directions.</summary>
    public void ResetAny()
    {
        if (_links.Count > 0)
            _links[_random.NextInt(_links.Count)].Reset();
    }

    /// <summary>Holds up everything that goes from one host to another, until <see cref="Heal"/>: no end of a connection is told.</summary>
    /// <param name="from">Whose bytes do not get through.</param>
    /// <param name="to">To whom.</param>
    /// <param name="port">
    /// Only connections to this port of either host, whichever way the bytes go; <see cref="AnyPort"/> for all connections.
    /// </param>
    public void Cut(IPAddress from, IPAddress to, int port = AnyPort) => _cuts.Add((from, to, port));

    /// <summary>Has everything that goes from one host to another take longer, until <see cref="Heal"/>.</summary>
    /// <param name="from">Whose bytes are slow.</param>
    /// <param name="to">To whom.</param>
    /// <param name="delayMsMax">How much longer at most.</param>
    public void Slow(IPAddress from, IPAddress to, int delayMsMax) => _slowLinks[(from, to)] = delayMsMax;

    /// <summary>Ends all cuts and slow links: what was held up arrives.</summary>
    public void Heal()
    {
        _cuts.Clear();
        _slowLinks.Clear();
        var held = _held.ToArray();
        _held.Clear();
        foreach (var arrive in held)
            arrive();
    }

    /// <summary>Whether nothing gets from one host to another over a connection to a port.</summary>
    internal bool IsCut(IPAddress from, IPAddress to, int port) =>
        _cuts.Count > 0 && (_cuts.Contains((from, to, AnyPort)) || _cuts.Contains((from, to, port)));

    /// <summary>Keeps something that arrives once the network is healed.</summary>
    internal void Hold(Action arrive) => _held.Add(arrive);

    internal SimListener Listen(IPEndPoint endpoint, SimTransport owner)
    {
        var listener = new SimListener(this, owner, endpoint);
        return _listeners.TryAdd(endpoint, listener) ? listener : throw new SocketException((int)SocketError.AddressAlreadyInUse);
    }

    internal void Forget(SimListener listener) => _listeners.Remove(listener.LocalEndPoint);

    internal void Forget(SimLink link) => _links.Remove(link);

    /// <summary>A connection to whoever listens there now; null when nobody does.</summary>
    internal SimConnection? Connect(IPAddress from, IPEndPoint to)
    {
        if (!_listeners.TryGetValue(to, out var listener))
            return null;
        var link = new SimLink(this, new IPEndPoint(from, FirstClientPort + _portsGiven++), to);
        _links.Add(link);
        listener.Add(link.Server);
        return link.Client;
    }

    /// <summary>How long the next bytes from one host to another take.</summary>
    internal TimeSpan NextDelay(IPAddress from, IPAddress to)
    {
        var weather = Weather;
        if (_slowLinks.Count > 0 && _slowLinks.TryGetValue((from, to), out var slownessMs))
            return TimeSpan.FromMicroseconds(_random.NextInt(weather.DelayUsMax, (slownessMs * 1_000) + weather.DelayUsMax));
        if (weather.StallsPerThousand > 0 && _random.NextInt(1000) < weather.StallsPerThousand)
            return TimeSpan.FromMilliseconds(_random.NextInt(1, weather.StallMsMax));
        return TimeSpan.FromMicroseconds(_random.NextInt(weather.DelayUsMax / 10, weather.DelayUsMax));
    }

    /// <summary>How many of <paramref name="count"/> bytes travel together.</summary>
    internal int NextPiece(int count) => count > 1 && _random.NextChance(Weather.PiecesPercent) ? _random.NextInt(1, count) : count;

    internal long NowTicks => _scheduler.NowTicks;

    internal void Carry(TimeSpan delay, Action arrive) => _scheduler.After(delay, Wires, arrive);
}
