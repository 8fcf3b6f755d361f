using System.Buffers.Binary;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Simulator.Disk;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Replication;

/// <summary>
/// Reads a replica's log from its node's disk, from outside and without an operation of the node: whether the node runs or not.
/// </summary>
/// <remarks>Lives as long as a run, and reads only what is new since it looked the last time.</remarks>
internal sealed class ReplicaScan(string node, TopicPartition partition, BatchBook book)
{
    private readonly List<Segment> _segments = [];
    private readonly List<StoredBatch> _batches = [];

    /// <summary>What it has read, and in which version.</summary>
    private (SimDirectory? Directory, long Version) _seen;

    /// <summary>The batches, up to the first that is not whole.</summary>
    public IReadOnlyList<StoredBatch> Batches => _batches;

    /// <summary>What was in it at the look before, and is not any more.</summary>
    public IReadOnlyList<StoredBatch> Dropped { get; private set; } = [];

    /// <summary>Whether there are bytes behind the last whole batch of a segment.</summary>
    public bool IsTorn => _segments.Exists(segment => segment.Position < segment.File.Cache.Length);

    /// <summary>Whether the disk has all of it on its platter.</summary>
    public bool IsSynced => _segments.TrueForAll(segment => segment.File.IsSynced);

    /// <summary>Looks again.</summary>
    /// <returns>From which batch on it is not as before.</returns>
    public int Update(SimDisk disk, string directory)
    {
        var seen = (disk.PeekDirectory(directory), disk.PeekDirectory(directory)?.Version ?? -1);
        if (seen == _seen)
        {
            Dropped = [];
            return _batches.Count;
        }

        _seen = seen;
        var files = disk.PeekFiles(directory, LogFileNames.LogSuffix);
        var kept = 0;
        while (kept < _segments.Count && kept < files.Count && _segments[kept].IsStill(files[kept].File)
            && (kept == _segments.Count - 1 || !_segments[kept].HasGrown))
            kept++;
        var changedFrom = _batches.Count;
        List<StoredBatch> reread = [];
        if (kept < _segments.Count)
        {
            changedFrom = _segments[kept].FirstBatch;
            reread.AddRange(_batches[changedFrom..]);
            _batches.RemoveRange(changedFrom, _batches.Count - changedFrom);
            _segments.RemoveRange(kept, _segments.Count - kept);
        }

        if (kept > 0)
            Read(_segments[kept - 1]);
        for (; kept < files.Count; kept++)
        {
            _segments.Add(new Segment(files[kept].File, _batches.Count));
            Read(_segments[kept]);
        }

        Dropped = reread.Count == 0 ? [] : [.. reread.Except(_batches[changedFrom..])];
        return changedFrom;
    }

    private void Read(Segment segment)
    {
        Span<byte> prefix = stackalloc byte[RecordBatchLayout.LogOverheadBytes];
        var content = segment.File.Cache;
        while (content.Read(segment.Position, prefix) == prefix.Length)
        {
            var size = RecordBatchLayout.LogOverheadBytes + BinaryPrimitives.ReadInt32BigEndian(prefix[RecordBatchLayout.LengthOffset..]);
            if (size < RecordBatchLayout.HeaderSizeBytes || segment.Position + size > content.Length)
                return;
            var bytes = new byte[size];
            content.Read(segment.Position, bytes);
            if (!new RecordBatchView(bytes).IsCrcValid)
                return;
            _batches.Add(book.Note(node, partition, bytes));
            segment.Position += size;
        }
    }

    /// <summary>A file of it, and how far it was read.</summary>
    private sealed class Segment(SimFileNode file, int firstBatch)
    {
        private readonly int _rewrites = file.Rewrites;

        public SimFileNode File => file;

        public int FirstBatch => firstBatch;

        public long Position { get; set; }

        public bool HasGrown => Position < file.Cache.Length;

        public bool IsStill(SimFileNode other) => ReferenceEquals(file, other) && _rewrites == file.Rewrites;
    }
}
