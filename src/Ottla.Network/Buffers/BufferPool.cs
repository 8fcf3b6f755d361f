using System.Numerics;
using System.Runtime.CompilerServices;
#if DEBUG
using Ottla.Kernel;
#endif

namespace Ottla.Network.Buffers;

/// <summary>The memory of connections: arrays in size classes, lent and taken back. Thread-safe; one per process.</summary>
/// <remarks>
/// Not <see cref="System.Buffers.ArrayPool{T}.Shared"/>: that keeps an array of every size per thread and more per core, and lets go of them
/// only when a full collection happens to run, which on an idle broker is never. It also spreads buffers over the threads that returned them,
/// while ours are returned by other threads than took them. Here there is one short stack per size class (last in, first out: the warm one
/// again), a bound on what is retained, and <see cref="Trim"/>, which the owner calls from time to time to let go of what was not needed.
/// Each doubling of the size has four classes, so at most a fifth of a buffer goes unused. Contents are not cleared.
/// Debug builds fail on a buffer returned twice, overwrite what is returned, and name who still holds what (<see cref="DescribeRented"/>).
/// </remarks>
public sealed class BufferPool
{
    /// <summary>The smallest class, in bytes.</summary>
    public const int BufferBytesMin = 1024;

    /// <summary>The largest class, in bytes. Larger buffers are lent too, at their exact size, but never retained.</summary>
    public const int PooledBytesMax = 4 * 1024 * 1024;

    /// <summary>What is retained by default at most, in bytes: slabs for some hundred busy connections.</summary>
    public const long RetainedBytesMaxDefault = 32 * 1024 * 1024;

    private const int StepsPerDoublingLog2 = 2;

    private readonly SizeClass[] _classes;
    private readonly long _retainedBytesMax;
    private long _rentedBytes;
    private long _retainedBytes;
    private long _releasedBytes;

    /// <summary>A pool that retains nothing yet.</summary>
    /// <param name="retainedBytesMax">Bytes kept at most for the next rent; 0 keeps nothing.</param>
    public BufferPool(long retainedBytesMax = RetainedBytesMaxDefault)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(retainedBytesMax);
        _retainedBytesMax = retainedBytesMax;
        _classes = new SizeClass[ClassOf(PooledBytesMax) + 1];
        for (var i = 0; i < _classes.Length; i++)
            _classes[i] = new SizeClass();
    }

    /// <summary>Bytes lent at the moment: whole buffers, not only the parts asked for.</summary>
    public long RentedBytes => Interlocked.Read(ref _rentedBytes);

    /// <summary>Bytes kept for the next rent.</summary>
    public long RetainedBytes => Interlocked.Read(ref _retainedBytes);

    /// <summary>Bytes left to the garbage collector since the beginning.</summary>
    public long ReleasedBytes => Interlocked.Read(ref _releasedBytes);

    /// <summary>Lends a buffer of at least <paramref name="bytesMin"/> bytes.</summary>
    /// <param name="bytesMin">Bytes needed.</param>
    /// <param name="member">Filled in by the compiler, for <see cref="DescribeRented"/>.</param>
    /// <param name="line">Filled in by the compiler, for <see cref="DescribeRented"/>.</param>
    public PooledBuffer Rent(int bytesMin, [CallerMemberName] string member = "", [CallerLineNumber] int line = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytesMin);
        byte[]? array = null;
        if (bytesMin <= PooledBytesMax)
        {
            var index = ClassOf(bytesMin);
            array = _classes[index].Pop();
            if (array is not null)
                Interlocked.Add(ref _retainedBytes, -array.Length);
            else
                bytesMin = BytesOf(index);
        }

        array ??= GC.AllocateUninitializedArray<byte>(bytesMin);
        Interlocked.Add(ref _rentedBytes, array.Length);
        TrackRent(array, member, line);
        return new PooledBuffer(this, array);
    }

    /// <summary>Lets go of the buffers that no rent needed since the previous call; on an idle broker the second call lets go of all.</summary>
    /// <returns>Bytes given to the garbage collector.</returns>
    public long Trim()
    {
        long released = 0;
        foreach (var sizeClass in _classes)
            released += sizeClass.Trim();
        Interlocked.Add(ref _retainedBytes, -released);
        Interlocked.Add(ref _releasedBytes, released);
        return released;
    }

    internal void Return(byte[] array)
    {
        TrackReturn(array);
        Interlocked.Add(ref _rentedBytes, -array.Length);
        if (array.Length > PooledBytesMax)
        {
            Interlocked.Add(ref _releasedBytes, array.Length);
            return;
        }

        if (Interlocked.Add(ref _retainedBytes, array.Length) > _retainedBytesMax)
        {
            Interlocked.Add(ref _retainedBytes, -array.Length);
            Interlocked.Add(ref _releasedBytes, array.Length);
            return;
        }

        _classes[ClassOf(array.Length)].Push(array);
    }

    /// <summary>The smallest class that holds <paramref name="bytes"/>.</summary>
    internal static int ClassOf(int bytes)
    {
        if (bytes <= BufferBytesMin)
            return 0;
        var last = (uint)(bytes - 1);
        var doubling = BitOperations.Log2(last);
        var step = (int)(last >> (doubling - StepsPerDoublingLog2)) & ((1 << StepsPerDoublingLog2) - 1);
        return ((doubling - BitOperations.Log2(BufferBytesMin)) << StepsPerDoublingLog2) + step + 1;
    }

    /// <summary>The size of a class, in bytes.</summary>
    internal static int BytesOf(int index)
    {
        var doubled = BufferBytesMin << (index >> StepsPerDoublingLog2);
        var step = index & ((1 << StepsPerDoublingLog2) - 1);
        return doubled + (step * (doubled >> StepsPerDoublingLog2));
    }

#if DEBUG
    private readonly Lock _trackingLock = new();
    private readonly Dictionary<byte[], (string Member, int Line)> _rented = new(ReferenceEqualityComparer.Instance);

    /// <summary>Who rented what is lent at the moment, a line each; empty in release builds.</summary>
    public string DescribeRented()
    {
        lock (_trackingLock)
            return string.Join('\n', _rented.Select(rent => $"{rent.Key.Length} bytes rented by {rent.Value.Member}, line {rent.Value.Line}"));
    }

    private void TrackRent(byte[] array, string member, int line)
    {
        lock (_trackingLock)
            _rented.Add(array, (member, line));
    }

    private void TrackReturn(byte[] array)
    {
        bool wasRented;
        lock (_trackingLock)
            wasRented = _rented.Remove(array);
        Invariant.Check(wasRented, "a buffer is returned once, to the pool it came from");
        // Whoever still reads it finds garbage at once instead of another connection's bytes once in a while.
        array.AsSpan().Fill(0xDB);
    }
#else
    /// <summary>Who rented what is lent at the moment, a line each; empty in release builds.</summary>
#pragma warning disable CA1822 // The debug build's twin is an instance method.
    public string DescribeRented() => "";
#pragma warning restore CA1822

    private static void TrackRent(byte[] array, string member, int line)
    {
        _ = array;
        _ = member;
        _ = line;
    }

    private static void TrackReturn(byte[] array) => _ = array;
#endif

    /// <summary>The retained buffers of one size, last in first out. Guarded by its own lock.</summary>
    private sealed class SizeClass
    {
        private readonly Lock _lock = new();
        private byte[]?[] _retained = [];
        private int _count;
        private int _unneeded;

        public byte[]? Pop()
        {
            lock (_lock)
            {
                if (_count == 0)
                    return null;
                var array = _retained[--_count];
                _retained[_count] = null;
                _unneeded = Math.Min(_unneeded, _count);
                return array;
            }
        }

        public void Push(byte[] array)
        {
            lock (_lock)
            {
                if (_count == _retained.Length)
                    Array.Resize(ref _retained, Math.Max(4, _count * 2));
                _retained[_count++] = array;
            }
        }

        public long Trim()
        {
            lock (_lock)
            {
                // The bottom of the stack: as many as were left over even at the busiest moment since the last call.
                var dropped = _unneeded;
                var released = dropped == 0 ? 0 : (long)dropped * _retained[0]!.Length;
                _count -= dropped;
                Array.Copy(_retained, dropped, _retained, 0, _count);
                Array.Clear(_retained, _count, dropped);
                _unneeded = _count;
                return released;
            }
        }
    }
}
