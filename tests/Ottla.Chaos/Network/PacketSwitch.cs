using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;

namespace Ottla.Chaos.Network;

/// <summary>
/// The network of a run: every packet between the machines, and between them and the clients, passes here and is delivered, lost or
/// delayed, as the rules say. Silently: who is cut off hears nothing, as with a switch that has lost its power.
/// </summary>
/// <remarks>
/// A thread for each machine reads its packets; another one delivers what is due from slow links. The rules are replaced whole by whoever
/// makes faults. Lives as long as the run.
/// </remarks>
internal sealed class PacketSwitch : INetwork
{
    /// <summary>The number of the clients' side among the machines.</summary>
    public const int Clients = 100;

    private const string Subnet = "10.77.0.";
    private const int HeaderBytesMin = 20;
    private const int SourceAddressOffset = 12;
    private const int TargetAddressOffset = 16;
    private const int ProtocolOffset = 9;
    private const byte Tcp = 6;

    /// <summary>What a slow link holds; more is lost, as in a switch.</summary>
    private const int HeldBytesMax = 8 * 1024 * 1024;

    private readonly TunDevice?[] _devices = new TunDevice?[byte.MaxValue + 1];
    private readonly Lock _heldLock = new();
    private readonly PriorityQueue<HeldPacket, long> _held = new();
    private readonly Dictionary<(int From, int To), long> _freeAt = [];
    private readonly SemaphoreSlim _wake = new(0);
    private LinkRule[] _rules = [];
    private int _heldBytes;
    private long _delivered;
    private long _lost;
    private volatile bool _isOver;

    /// <inheritdoc/>
    public (long Delivered, long Lost) Counts => (Interlocked.Read(ref _delivered), Interlocked.Read(ref _lost));

    public PacketSwitch() => Start("packets due", DeliverHeld);

    public static string AddressOf(int machine) => Subnet + machine.ToString(System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Connects a machine; its packets are passed on from now on.</summary>
    public void Connect(int machine, TunDevice device)
    {
        _devices[machine] = device;
        Start($"packets of {machine}", () => PassOn(machine, device));
    }

    /// <inheritdoc/>
    public void Add(IEnumerable<LinkRule> rules) => Volatile.Write(ref _rules, [.. _rules, .. rules]);

    /// <inheritdoc/>
    public void Remove(IReadOnlyCollection<LinkRule> rules) => Volatile.Write(ref _rules, [.. _rules.Except(rules)]);

    /// <inheritdoc/>
    public void Dispose()
    {
        _isOver = true;
        _wake.Release();
        foreach (var device in _devices)
            device?.Dispose();
    }

    private static void Start(string name, Action work) => new Thread(() => work()) { Name = name, IsBackground = true }.Start();

    private void PassOn(int machine, TunDevice device)
    {
        var buffer = new byte[TunDevice.PacketBytesMax];
        while (!_isOver)
        {
            var count = device.Read(buffer);
            if (count <= 0)
                return;
            var packet = buffer.AsSpan(0, count);
            if (TryRead(packet, out var header))
                PassOn(packet, header with { From = machine });
        }
    }

    private void PassOn(ReadOnlySpan<byte> packet, in PacketHeader header)
    {
        if (_devices[header.To] is not { } target)
            return;
        foreach (var rule in Volatile.Read(ref _rules))
        {
            if (!rule.Matches(header))
                continue;
            if (rule.Effect is { } slow)
                Hold(packet, header, slow);
            else
                Interlocked.Increment(ref _lost);
            return;
        }

        target.Write(packet);
        Interlocked.Increment(ref _delivered);
    }

    private static bool TryRead(ReadOnlySpan<byte> packet, out PacketHeader header)
    {
        header = default;
        if (packet.Length < HeaderBytesMin || packet[0] >> 4 != 4)
            return false; // IPv6 talks to itself (neighbour discovery)
        var headerBytes = (packet[0] & 0xf) * sizeof(int);
        var (source, target) = (0, 0);
        if (packet[ProtocolOffset] == Tcp && packet.Length >= headerBytes + sizeof(int))
        {
            source = BinaryPrimitives.ReadUInt16BigEndian(packet[headerBytes..]);
            target = BinaryPrimitives.ReadUInt16BigEndian(packet[(headerBytes + sizeof(short))..]);
        }

        header = new PacketHeader(packet[SourceAddressOffset + 3], packet[TargetAddressOffset + 3], source, target);
        return true;
    }

    private void Hold(ReadOnlySpan<byte> packet, in PacketHeader header, SlowLink slow)
    {
        if (Volatile.Read(ref _heldBytes) + packet.Length > HeldBytesMax)
        {
            Interlocked.Increment(ref _lost);
            return;
        }

        var copy = ArrayPool<byte>.Shared.Rent(packet.Length);
        packet.CopyTo(copy);
        var now = Stopwatch.GetTimestamp();
        lock (_heldLock)
        {
            _heldBytes += packet.Length;
            var key = (header.From, header.To);
            var sentAt = Math.Max(now, _freeAt.GetValueOrDefault(key)) + Stopwatch.Frequency * packet.Length / slow.BytesPerSecond;
            _freeAt[key] = sentAt;
            _held.Enqueue(
                new HeldPacket(copy, packet.Length, header.To), sentAt + (long)(slow.Delay.TotalSeconds * Stopwatch.Frequency));
        }

        _wake.Release();
    }

    private void DeliverHeld()
    {
        while (!_isOver)
        {
            HeldPacket packet = default;
            var wait = Timeout.InfiniteTimeSpan;
            lock (_heldLock)
            {
                if (_held.TryPeek(out _, out var due))
                {
                    var left = due - Stopwatch.GetTimestamp();
                    if (left <= 0)
                    {
                        packet = _held.Dequeue();
                        _heldBytes -= packet.Length;
                    }
                    else
                    {
                        wait = TimeSpan.FromMilliseconds(1 + left * 1000 / Stopwatch.Frequency);
                    }
                }
            }

            if (packet.Bytes is null)
            {
                _wake.Wait(wait);
                continue;
            }

            _devices[packet.To]?.Write(packet.Bytes.AsSpan(0, packet.Length));
            Interlocked.Increment(ref _delivered);
            ArrayPool<byte>.Shared.Return(packet.Bytes);
        }
    }

    private readonly record struct HeldPacket(byte[] Bytes, int Length, int To);
}
