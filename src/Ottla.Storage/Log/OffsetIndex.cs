using System.Buffers.Binary;
using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// The sparse offset index of a segment (<c>.index</c>): int32 offset relative to the base, int32 position in the log; the offset
/// is the last one of the batch at the position.
/// </summary>
/// <remarks>The log's lock guards it. Lives as long as its segment.</remarks>
internal sealed class OffsetIndex(IFileSystem fileSystem, SegmentNames names, long baseOffset)
{
    public const int EntryBytes = 8;

    public IndexFile File { get; } = new(fileSystem, names, LogFileNames.OffsetIndexSuffix, EntryBytes);

    public int Count => File.Count;

    public bool IsFull(int bytesMax) => Count >= bytesMax / EntryBytes;

    /// <summary>The last entry's offset, or the base offset.</summary>
    public long LastOffset => Count == 0 ? baseOffset : OffsetAt(Count - 1);

    /// <summary>Reads the file and checks that it can be the index of a log of <paramref name="logLength"/> bytes.</summary>
    /// <returns>False when it must be rebuilt.</returns>
    public bool TryLoad(long logLength)
    {
        if (!File.TryLoad())
            return false;
        long offset = -1;
        long position = -1;
        var entries = File.Entries;
        for (var i = 0; i < entries.Length; i += EntryBytes)
        {
            var nextOffset = BinaryPrimitives.ReadInt32BigEndian(entries[i..]);
            var nextPosition = BinaryPrimitives.ReadInt32BigEndian(entries[(i + 4)..]);
            if (nextOffset <= offset || nextPosition <= position || nextPosition >= logLength)
                return false;
            offset = nextOffset;
            position = nextPosition;
        }

        return true;
    }

    /// <summary>
    /// The position in the last entry as the file has it, without loading the index: 0 when there is none, -1 when it cannot be
    /// one of a log of <paramref name="logLength"/> bytes.
    /// </summary>
    public long ReadLastPosition(long logLength)
    {
        Span<byte> entry = stackalloc byte[EntryBytes];
        if (!File.TryReadLast(entry))
            return 0;
        var position = BinaryPrimitives.ReadInt32BigEndian(entry[4..]);
        return position > 0 && position < logLength ? position : -1;
    }

    public void Append(long offset, long position)
    {
        Invariant.Check(Count == 0 || offset > LastOffset, "offsets in an index grow");
        Span<byte> entry = stackalloc byte[EntryBytes];
        BinaryPrimitives.WriteInt32BigEndian(entry, checked((int)(offset - baseOffset)));
        BinaryPrimitives.WriteInt32BigEndian(entry[4..], checked((int)position));
        File.Append(entry);
    }

    /// <summary>
    /// The position at which a search for <paramref name="offset"/> starts: that of the last entry not after it, otherwise 0.
    /// </summary>
    public long LookupPosition(long offset)
    {
        var slot = LastSlotWhere(0, offset - baseOffset);
        return slot < 0 ? 0 : PositionAt(slot);
    }

    /// <summary>
    /// A position that the batch with <paramref name="offset"/> does not start after; <paramref name="end"/> when the index does not
    /// reach so far.
    /// </summary>
    public long LookupPositionFrom(long offset, long end)
    {
        var slot = LastSlotWhere(0, offset - 1 - baseOffset) + 1;
        return slot < Count ? PositionAt(slot) : end;
    }

    /// <summary>
    /// An offset that a slice of <paramref name="maxBytes"/>, or of one batch, from <paramref name="offset"/> on does not reach.
    /// </summary>
    public long LookupUpperBound(long offset, int maxBytes)
    {
        // The slice starts at the first entry after the offset, or before it.
        var slot = LastSlotWhere(0, offset - baseOffset) + 1;
        if (slot >= Count)
            return long.MaxValue;
        slot = LastSlotWhere(4, PositionAt(slot) + maxBytes - 1) + 1;
        return slot < Count ? OffsetAt(slot) + 1 : long.MaxValue;
    }

    /// <summary>The last indexed batch start that is not after <paramref name="position"/>, else 0.</summary>
    public long LookupBoundary(long position)
    {
        var slot = LastSlotWhere(4, position);
        return slot < 0 ? 0 : PositionAt(slot);
    }

    /// <summary>Drops the entries whose offset is <paramref name="offset"/> or after it.</summary>
    public void TruncateTo(long offset) => File.TruncateToCount(LastSlotWhere(0, offset - 1 - baseOffset) + 1);

    /// <summary>Reads one entry of the index of a segment.</summary>
    public static (long Offset, long Position) Parse(ReadOnlySpan<byte> entry, long baseOffset) =>
        (baseOffset + BinaryPrimitives.ReadInt32BigEndian(entry), BinaryPrimitives.ReadInt32BigEndian(entry[4..]));

    private long OffsetAt(int slot) => baseOffset + BinaryPrimitives.ReadInt32BigEndian(File.Entries[(slot * EntryBytes)..]);

    private long PositionAt(int slot) => BinaryPrimitives.ReadInt32BigEndian(File.Entries[(slot * EntryBytes + 4)..]);

    /// <summary>The last slot whose int32 at <paramref name="field"/> is at most <paramref name="target"/>, or -1.</summary>
    private int LastSlotWhere(int field, long target)
    {
        var entries = File.Entries;
        var low = 0;
        var high = File.Count - 1;
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            if (BinaryPrimitives.ReadInt32BigEndian(entries[(middle * EntryBytes + field)..]) <= target)
                low = middle + 1;
            else
                high = middle - 1;
        }

        return high;
    }
}
