using System.Net;
using System.Net.Sockets;

namespace Ottla.Chaos.Network;

/// <summary>
/// The network of a run on a machine without namespaces: everything is on loopback, and each listener of a node is reached through a proxy,
/// which holds back or delays what rules say.
/// </summary>
/// <remarks>
/// What a proxy does not know is who connects: a rule about one other machine counts for all of them, and what a machine sends on
/// connections that it made itself is not touched. A task per direction of a connection; lives as long as the run.
/// </remarks>
internal sealed class ProxyNetwork : INetwork
{
    private const string NodeSubnet = "127.77.0.";
    private const string ProxySubnet = "127.77.1.";
    private const int ChunkBytes = 16 * 1024;
    private const int Backlog = 128;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource _over = new();
    private readonly List<Socket> _listeners = [];
    private LinkRule[] _rules = [];
    private long _delivered;
    private long _held;

    /// <inheritdoc/>
    public (long Delivered, long Lost) Counts => (Interlocked.Read(ref _delivered), Interlocked.Read(ref _held));

    /// <summary>Where a node listens.</summary>
    public static string NodeAddressOf(int machine) => NodeSubnet + machine.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Where others reach it.</summary>
    public static string ProxyAddressOf(int machine) => ProxySubnet + machine.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Stands before a listener of a machine from now on.</summary>
    public void Connect(int machine, int port)
    {
        var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Parse(ProxyAddressOf(machine)), port));
        listener.Listen(Backlog);
        _listeners.Add(listener);
        _ = AcceptAsync(listener, machine, port);
    }

    /// <inheritdoc/>
    public void Add(IEnumerable<LinkRule> rules) => Volatile.Write(ref _rules, [.. _rules, .. rules]);

    /// <inheritdoc/>
    public void Remove(IReadOnlyCollection<LinkRule> rules) => Volatile.Write(ref _rules, [.. _rules.Except(rules)]);

    /// <inheritdoc/>
    public void Dispose()
    {
        _over.Cancel();
        foreach (var listener in _listeners)
            listener.Dispose();
    }

    private async Task AcceptAsync(Socket listener, int machine, int port)
    {
        while (!_over.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await listener.AcceptAsync(_over.Token), machine, port);
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                if (_over.IsCancellationRequested)
                    return;
            }
        }
    }

    private async Task ServeAsync(Socket outside, int machine, int port)
    {
        using var inside = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using (outside)
        {
            try
            {
                outside.NoDelay = true;
                await PassRulesAsync(machine, port, isInward: true, 0); // who is cut off is not even refused
                await inside.ConnectAsync(IPAddress.Parse(NodeAddressOf(machine)), port, _over.Token);
                // The first end ends both: a half-closed connection is nothing that Kafka's clients or nodes make.
                await Task.WhenAny(
                    PumpAsync(outside, inside, machine, port, isInward: true), PumpAsync(inside, outside, machine, port, isInward: false));
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // The node does not run, or the run is over: whoever connected sees its connection end.
            }
        }
    }

    private async Task PumpAsync(Socket from, Socket to, int machine, int port, bool isInward)
    {
        var chunk = new byte[ChunkBytes];
        try
        {
            int count;
            while ((count = await from.ReceiveAsync(chunk, _over.Token)) > 0)
            {
                await PassRulesAsync(machine, port, isInward, count);
                for (var sent = 0; sent < count;)
                    sent += await to.SendAsync(chunk.AsMemory(sent, count - sent), _over.Token);
                Interlocked.Increment(ref _delivered);
            }
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // The connection has ended.
        }
    }

    /// <summary>Waits until what was received may go on.</summary>
    private async Task PassRulesAsync(int machine, int port, bool isInward, int count)
    {
        var isHeld = false;
        while (Array.Find(Volatile.Read(ref _rules), rule => Applies(rule, machine, port, isInward)) is { } rule)
        {
            if (rule.Effect is { } slow)
            {
                await Task.Delay(slow.Delay + TimeSpan.FromSeconds((double)count / slow.BytesPerSecond), _over.Token);
                return;
            }

            if (!isHeld)
                Interlocked.Increment(ref _held);
            isHeld = true;
            await Task.Delay(Interval, _over.Token);
        }
    }

    /// <summary>Whether a rule is about what goes to (inward) or comes from a machine on connections to one of its listeners.</summary>
    internal static bool Applies(LinkRule rule, int machine, int port, bool isInward)
    {
        var (near, far) = isInward ? (rule.To, rule.From) : (rule.From, rule.To);
        if ((rule.Port ?? port) != port)
            return false;
        var isClientPort = port == Machines.Machine.ClientPort;
        return near == machine
            ? far is null || far == PacketSwitch.Clients == isClientPort
            : near is null && (far is null || (far == PacketSwitch.Clients && isClientPort))
            || (near == PacketSwitch.Clients && far is null && isClientPort);
    }
}
