using System.Buffers.Binary;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>
/// The sparse time index of a segment (<c>.timeindex</c>): int64 greatest timestamp so far, int32 relative offset of the last
/// record of the batch that has it.
/// </summary>
/// <remarks>The log's lock guards it. Lives as long as its segment.</remarks>
internal sealed class TimeIndex(IFileSystem fileSystem, SegmentNames names, long baseOffset)
{
    public const int EntryBytes = 12;

    public IndexFile File { get; } = new(fileSystem, names, LogFileNames.TimeIndexSuffix, EntryBytes);

    public int Count => File.Count;

    /// <summary>The last slot is kept for the entry that closing the segment adds.</summary>
    public bool IsFull(int bytesMax) => Count >= bytesMax / EntryBytes - 1;

    /// <summary>The last entry, or (-1, base offset).</summary>
    public (long TimestampMs, long Offset) Last => Count == 0 ? (-1, baseOffset) : EntryAt(Count - 1);

    /// <summary>Reads the file and checks that its entries grow.</summary>
    /// <returns>False when it must be rebuilt.</returns>
    public bool TryLoad()
    {
        if (!File.TryLoad())
            return false;
        long timestamp = -1;
        long offset = -1;
        var entries = File.Entries;
        for (var i = 0; i < entries.Length; i += EntryBytes)
        {
            var nextTimestamp = BinaryPrimitives.ReadInt64BigEndian(entries[i..]);
            var nextOffset = BinaryPrimitives.ReadInt32BigEndian(entries[(i + 8)..]);
            if (nextTimestamp <= timestamp || nextOffset < offset)
                return false;
            timestamp = nextTimestamp;
            offset = nextOffset;
        }

        return true;
    }

    /// <summary>Reads the last entry of the file, without loading the index; (-1, base offset) when there is none.</summary>
    /// <returns>False when it cannot be an entry, because the file is damaged or longer than its entries.</returns>
    public bool TryReadLast(out (long TimestampMs, long Offset) last)
    {
        Span<byte> entry = stackalloc byte[EntryBytes];
        last = (-1, baseOffset);
        if (!File.TryReadLast(entry))
            return true;
        last = Parse(entry, baseOffset);
        return last.TimestampMs >= 0 && last.Offset >= baseOffset && last != (0, baseOffset);
    }

    /// <summary>Adds an entry if its timestamp is greater than the last one's.</summary>
    public void MaybeAppend(long timestampMs, long offset)
    {
        var last = Last;
        if (timestampMs <= last.TimestampMs || (Count > 0 && offset < last.Offset))
            return;
        Span<byte> entry = stackalloc byte[EntryBytes];
        BinaryPrimitives.WriteInt64BigEndian(entry, timestampMs);
        BinaryPrimitives.WriteInt32BigEndian(entry[8..], checked((int)(offset - baseOffset)));
        File.Append(entry);
    }

    /// <summary>The offset of the last entry whose timestamp is at most <paramref name="timestampMs"/>, else the base offset.</summary>
    public long LookupOffset(long timestampMs)
    {
        var low = 0;
        var high = Count - 1;
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            if (EntryAt(middle).TimestampMs <= timestampMs)
                low = middle + 1;
            else
                high = middle - 1;
        }

        return high < 0 ? baseOffset : EntryAt(high).Offset;
    }

    /// <summary>Drops the entries whose offset is <paramref name="offset"/> or after it.</summary>
    public void TruncateTo(long offset)
    {
        var count = Count;
        while (count > 0 && EntryAt(count - 1).Offset >= offset)
            count--;
        File.TruncateToCount(count);
    }

    private (long TimestampMs, long Offset) EntryAt(int slot) => Parse(File.Entries.Slice(slot * EntryBytes, EntryBytes), baseOffset);

    /// <summary>Reads one entry of the index of a segment.</summary>
    public static (long TimestampMs, long Offset) Parse(ReadOnlySpan<byte> entry, long baseOffset) =>
        (BinaryPrimitives.ReadInt64BigEndian(entry), baseOffset + BinaryPrimitives.ReadInt32BigEndian(entry[8..]));
}
