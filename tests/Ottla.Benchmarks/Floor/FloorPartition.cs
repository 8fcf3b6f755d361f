using System.Buffers.Binary;
using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using Ottla.Protocol.Batches;

namespace Ottla.Benchmarks.Floor;

/// <summary>One file of batches, and where each begins. Shared by all connections, under its own lock.</summary>
internal sealed class FloorPartition : IDisposable
{
    private const int InitialIndexEntries = 1024;

    private readonly object _lock = new(); // waited on, too
    private readonly SafeFileHandle _file;
    private (long Offset, long Position)[] _index = new (long, long)[InitialIndexEntries];
    private int _batches;
    private long _nextOffset;
    private long _size;

    public FloorPartition(string path) =>
        _file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None);

    public long NextOffset
    {
        get
        {
            lock (_lock)
                return _nextOffset;
        }
    }

    /// <summary>Appends a batch whose checksum was checked, under the offset it gets.</summary>
    public long Append(Span<byte> batch)
    {
        long offset;
        lock (_lock)
        {
            offset = _nextOffset;
            BinaryPrimitives.WriteInt64BigEndian(batch, offset);
            BinaryPrimitives.WriteInt32BigEndian(batch[RecordBatchLayout.PartitionLeaderEpochOffset..], 0);
            RandomAccess.Write(_file, batch, _size);
            if (_batches == _index.Length)
                Array.Resize(ref _index, _index.Length * 2);
            _index[_batches++] = (offset, _size);
            _size += batch.Length;
            _nextOffset += BinaryPrimitives.ReadInt32BigEndian(batch[RecordBatchLayout.RecordCountOffset..]);
            Monitor.PulseAll(_lock);
        }

        return offset;
    }

    /// <summary>Where the batch with that offset begins, and how much of the file follows; waits for it while there is nothing.</summary>
    public FloorRange Find(long offset, int maxBytes, int maxWaitMs)
    {
        lock (_lock)
        {
            var waited = Stopwatch.GetTimestamp();
            while (offset >= _nextOffset && maxWaitMs - Stopwatch.GetElapsedTime(waited).TotalMilliseconds is > 1 and var left)
                Monitor.Wait(_lock, (int)left);
            if (offset >= _nextOffset)
                return new FloorRange(_size, 0, _nextOffset);
            var low = 0;
            var high = _batches - 1;
            while (low < high)
            {
                var middle = (low + high + 1) / 2;
                if (_index[middle].Offset <= offset)
                    low = middle;
                else
                    high = middle - 1;
            }

            var position = _index[low].Position;
            return new FloorRange(position, (int)Math.Min(_size - position, maxBytes), _nextOffset);
        }
    }

    /// <summary>Sends a range that <see cref="Find"/> gave, whole.</summary>
    public void Send(FloorRange range, SafeHandle socket) => NativeMethods.SendFile(socket, _file, range.Position, range.Length);

    public void Dispose()
    {
        lock (_lock)
            _file.Dispose();
    }
}

/// <summary>A run of a partition's file, and the partition's end at that moment.</summary>
internal readonly record struct FloorRange(long Position, int Length, long HighWatermark);
