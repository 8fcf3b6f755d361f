using System.Buffers.Binary;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;

namespace Ottla.Storage.Producers;

/// <summary>
/// The file <c>&lt;offset&gt;.snapshot</c>: the producers of a log as of an offset. int16 version 1, uint32 CRC-32C of the rest,
/// int32 count, 46-byte entries.
/// </summary>
internal static class ProducerSnapshotFile
{
    private const short CurrentVersion = 1;
    private const int CrcOffset = 2;
    private const int CountOffset = 6;
    private const int HeaderBytes = 10;
    private const int EntryBytes = 46;

    /// <summary>Reads a snapshot.</summary>
    /// <exception cref="InvalidDataException">The file is torn, of another version, or its checksum is wrong.</exception>
    public static List<ProducerState> Read(IFileSystem fileSystem, string path)
    {
        var bytes = fileSystem.ReadAllBytes(path, int.MaxValue / 2).AsSpan();
        if (bytes.Length < HeaderBytes)
            throw new InvalidDataException($"{path} is too short for a producer snapshot.");
        var version = BinaryPrimitives.ReadInt16BigEndian(bytes);
        if (version != CurrentVersion)
            throw new InvalidDataException($"{path} has the unknown version {version}.");
        if (BinaryPrimitives.ReadUInt32BigEndian(bytes[CrcOffset..]) != Crc32C.Compute(bytes[CountOffset..]))
            throw new InvalidDataException($"The checksum of {path} is wrong.");
        var count = BinaryPrimitives.ReadInt32BigEndian(bytes[CountOffset..]);
        if (count < 0 || bytes.Length - HeaderBytes != (long)count * EntryBytes)
            throw new InvalidDataException($"{path} claims {count} producers, but its length does not fit them.");
        var producers = new List<ProducerState>(count);
        for (var entry = bytes[HeaderBytes..]; !entry.IsEmpty; entry = entry[EntryBytes..])
            producers.Add(ReadEntry(entry));
        return producers;
    }

    /// <summary>Writes a snapshot.</summary>
    /// <param name="fileSystem">The disk.</param>
    /// <param name="path">The file; an existing one is overwritten.</param>
    /// <param name="producers">The producers, in the order of the file.</param>
    /// <param name="sync">Whether to fsync the file.</param>
    public static void Write(IFileSystem fileSystem, string path, IReadOnlyCollection<ProducerState> producers, bool sync)
    {
        var bytes = new byte[HeaderBytes + producers.Count * EntryBytes];
        BinaryPrimitives.WriteInt16BigEndian(bytes, CurrentVersion);
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(CountOffset), producers.Count);
        var position = HeaderBytes;
        foreach (var producer in producers)
        {
            WriteEntry(bytes.AsSpan(position), producer);
            position += EntryBytes;
        }

        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(CrcOffset), Crc32C.Compute(bytes.AsSpan(CountOffset)));
        using var file = fileSystem.Open(path, FileOpenMode.CreateOrTruncate);
        file.Write(0, bytes);
        if (sync)
            file.Flush();
    }

    private static ProducerState ReadEntry(ReadOnlySpan<byte> entry)
    {
        var producer = new ProducerState(BinaryPrimitives.ReadInt64BigEndian(entry));
        var epoch = BinaryPrimitives.ReadInt16BigEndian(entry[8..]);
        var batch = new ProducerBatch(
            BinaryPrimitives.ReadInt32BigEndian(entry[10..]),
            BinaryPrimitives.ReadInt64BigEndian(entry[14..]),
            BinaryPrimitives.ReadInt32BigEndian(entry[22..]),
            BinaryPrimitives.ReadInt64BigEndian(entry[26..]));
        producer.SetEpoch(epoch);
        if (batch.LastOffset >= 0)
            producer.AddBatch(epoch, batch);
        producer.LacksBatches = batch.LastOffset >= 0;
        producer.LastTimestampMs = batch.TimestampMs;
        producer.CoordinatorEpoch = BinaryPrimitives.ReadInt32BigEndian(entry[34..]);
        producer.CurrentTransactionFirstOffset = BinaryPrimitives.ReadInt64BigEndian(entry[38..]);
        return producer;
    }

    private static void WriteEntry(Span<byte> entry, ProducerState producer)
    {
        BinaryPrimitives.WriteInt64BigEndian(entry, producer.ProducerId);
        BinaryPrimitives.WriteInt16BigEndian(entry[8..], producer.ProducerEpoch);
        BinaryPrimitives.WriteInt32BigEndian(entry[10..], producer.LastSequence);
        BinaryPrimitives.WriteInt64BigEndian(entry[14..], producer.LastDataOffset);
        BinaryPrimitives.WriteInt32BigEndian(entry[22..], producer.LastOffsetDelta);
        BinaryPrimitives.WriteInt64BigEndian(entry[26..], producer.LastTimestampMs);
        BinaryPrimitives.WriteInt32BigEndian(entry[34..], producer.CoordinatorEpoch);
        BinaryPrimitives.WriteInt64BigEndian(entry[38..], producer.CurrentTransactionFirstOffset);
    }
}
