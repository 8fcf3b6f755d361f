using System.Numerics;
using System.Runtime.CompilerServices;
#if DEBUG
using Ottla.Kernel;
#endif

namespace Ottla.Network.Buffers;

/// <summary>The buffer pool of all connections: arrays in size classes. Thread-safe; one per process.</summary>
/// <remarks>
/// It replaces <see cref="System.Buffers.ArrayPool{T}.Shared"/>, which keeps arrays per thread and per core and frees them only in a full
/// collection, which an idle broker never has. Our buffers are also returned on other threads than they were rented on, which spreads them
/// there. This pool has one short stack per size class (the last buffer returned is rented next, because it is warm in the cache), a bound
/// on what it retains, and <see cref="Trim"/>, which the owner calls now and then to free unneeded buffers. Each doubling of the size has
/// four classes, so at most a fifth of a buffer is unused. Contents are not cleared. Debug builds throw when a buffer is returned twice,
/// overwrite returned buffers, and list who holds the rented ones (<see cref="DescribeRented"/>).
/// </remarks>
public sealed class BufferPool
{
    /// <summary>The smallest class, in bytes.</summary>
    public const int BufferBytesMin = 1024;

    /// <summary>
    /// The largest class, in bytes: the answer to a follower that is far behind fits (10 MiB by default). Larger buffers are allocated at
    /// their exact size and never retained.
    /// </summary>
    public const int PooledBytesMax = 16 * 1024 * 1024;

    /// <summary>Default bound on retained bytes: enough slabs for some hundred busy connections.</summary>
    public const long RetainedBytesMaxDefault = 32 * 1024 * 1024;

    private const int StepsPerDoublingLog2 = 2;

    private readonly SizeClass[] _classes;
    private readonly long _retainedBytesMax;
    private long _rentedBytes;
    private long _retainedBytes;
    private long _releasedBytes;

    /// <summary>Makes an empty pool.</summary>
    /// <param name="retainedBytesMax">The most bytes to keep for later rents; 0 keeps none.</param>
    public BufferPool(long retainedBytesMax = RetainedBytesMaxDefault)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(retainedBytesMax);
        _retainedBytesMax = retainedBytesMax;
        _classes = new SizeClass[ClassOf(PooledBytesMax) + 1];
        for (var i = 0; i < _classes.Length; i++)
            _classes[i] = new SizeClass();
    }

    /// <summary>Bytes of the buffers that are rented now, at their full size.</summary>
    public long RentedBytes => Interlocked.Read(ref _rentedBytes);

    /// <summary>Bytes of the buffers that are kept for later rents.</summary>
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

    /// <summary>
    /// Frees the buffers that no rent needed since the previous call. On an idle broker the second call frees all of them.
    /// </summary>
    /// <returns>Bytes freed.</returns>
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

    /// <summary>Lists the rented buffers and who rented them, one per line. Empty in release builds.</summary>
    public string DescribeRented()
    {
        lock (_trackingLock)
            return string.Join(
                '\n', _rented.Select(rent => $"{rent.Key.Length} bytes rented by {rent.Value.Member}, line {rent.Value.Line}"));
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
        Invariant.Check(wasRented, "a buffer is returned exactly once, to its own pool");
        // A use after the return reads garbage at once, instead of another connection's bytes now and then.
        array.AsSpan().Fill(0xDB);
    }
#else
    /// <summary>Lists the rented buffers and who rented them, one per line. Empty in release builds.</summary>
#pragma warning disable CA1822 // It is an instance method in debug builds.
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

    /// <summary>The retained buffers of one size as a stack. Guarded by its own lock.</summary>
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
                // Frees the bottom of the stack: the buffers that were left over even at the busiest moment since the last call.
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
