using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Ottla.Protocol.Batches;

namespace Ottla.Benchmarks.Floor;

/// <summary>One file of batches, and where each begins. Shared by all connections, under its own lock.</summary>
internal sealed class FloorPartition : IDisposable
{
    private const long PreallocatedBytes = 1L << 30; // a segment's size, reserved as brokers reserve it
    private const int InitialIndexEntries = 1024;

    private readonly Lock _lock = new();
    private readonly SafeFileHandle _file;
    private (long Offset, long Position)[] _index = new (long, long)[InitialIndexEntries];
    private int _batches;
    private long _nextOffset;
    private long _size;
    private TaskCompletionSource? _arrival;

    public FloorPartition(string path) =>
        _file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None, FileOptions.None, PreallocatedBytes);

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
        TaskCompletionSource? arrival;
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
            arrival = _arrival;
            _arrival = null;
        }

        arrival?.SetResult();
        return offset;
    }

    /// <summary>Where the batch with that offset begins, and how much of the file follows.</summary>
    public FloorRange Find(long offset, int maxBytes)
    {
        lock (_lock)
        {
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

    /// <summary>Reads a range that <see cref="Find"/> gave, whole.</summary>
    public void Read(FloorRange range, Span<byte> destination)
    {
        for (var done = 0; done < range.Length;)
        {
            var count = RandomAccess.Read(_file, destination[done..range.Length], range.Position + done);
            if (count == 0)
                throw new EndOfStreamException();
            done += count;
        }
    }

    /// <summary>Ends when something lies at <paramref name="offset"/>, or when time is up.</summary>
    public async Task WaitAsync(long offset, int maxWaitMs)
    {
        Task arrival;
        lock (_lock)
        {
            if (offset < _nextOffset)
                return;
            _arrival ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            arrival = _arrival.Task;
        }

        await arrival.WaitAsync(TimeSpan.FromMilliseconds(maxWaitMs)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose()
    {
        lock (_lock)
            _file.Dispose();
    }
}

/// <summary>A run of a partition's file, and the partition's end at that moment.</summary>
internal readonly record struct FloorRange(long Position, int Length, long HighWatermark);
