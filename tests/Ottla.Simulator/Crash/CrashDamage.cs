using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Crash;

/// <summary>
/// Flips a bit on the disk of a <see cref="CrashMachine"/> while no process lives. A log must be recovered as if nothing had happened.
/// </summary>
/// <remarks>
/// Only bits are flipped that Kafka's formats let anybody notice without reading the whole log, which is what Ottla promises:
/// <list type="bullet">
/// <item>A producer snapshot has a checksum: any bit. It is dropped, and the producers come from an older one and the log.</item>
/// <item>An index has none, but its entries grow and are not negative: their sign bits. It is made anew from the log. A flip that leaves it
/// plausible is
/// found by <c>ottla log verify</c>, and otherwise only by a reader who is led to where no batch starts.</item>
/// <item>A checkpoint is text: the top bits, which no digit has. Leader epochs are read from the batches. What is lost of the others makes
/// recovery begin at the
/// log's start, and may bring deleted records back. A digit that becomes another one cannot be noticed.</item>
/// <item>Batches past the recovery point are compared with their checksums: any bit under these, or of the size. They are cut off from
/// there on.
/// Offset and leader epoch lie outside the checksum; an impossible offset is cut off too, a leader epoch decides nothing.</item>
/// </list>
/// Of flushed batches little is promised: recovery reads only those of the segment that holds the recovery point, and can do no more than
/// cut them off. Others are served as they are, and clients compare the checksum. <see cref="CrashInvariants.CheckDamaged"/> makes sure
/// that a damaged batch never looks like a good one, and that nothing else changes.
/// </remarks>
internal static class CrashDamage
{
    private static readonly string[] s_checkpoints =
    [
        OffsetCheckpointFile.RecoveryPoint, OffsetCheckpointFile.LogStartOffset, OffsetCheckpointFile.HighWatermark,
            OffsetCheckpointFile.Cleaner, LogFileNames.LeaderEpochCheckpoint,
    ];

    /// <summary>Flips one bit that must not matter.</summary>
    /// <returns>Where; null when there is none.</returns>
    public static string? Strike(CrashMachine machine, Prng random)
    {
        var files = machine.Disk.ReadAllFiles().Where(file => file.Value.Length > 0 && !CrashInvariants.IsDeleted(file.Key))
            .Select(file => (Path: file.Key, Bits: BitsOf(machine, file.Key, file.Value))).ToList();
        files.RemoveAll(file => file.Bits.Count == 0);
        if (files.Count == 0)
            return null;
        var (path, bits) = files[random.NextInt(files.Count)];
        return Flip(machine, path, bits[random.NextInt(bits.Count)]);
    }

    /// <summary>Flips one bit of the records of a flushed batch.</summary>
    /// <returns>Which batch of which log; null when there is none.</returns>
    public static (LogModel Model, long BaseOffset)? StrikeFlushed(CrashMachine machine, Prng random)
    {
        var batches = new List<(LogModel Model, string Path, long Position, int Size, long BaseOffset)>();
        foreach (var (path, bytes) in machine.Disk.ReadAllFiles())
        {
            if (ModelOf(machine, path) is { } model)
                batches.AddRange(
                    Batches(bytes).Where(batch => batch.Size > RecordBatchLayout.HeaderSizeBytes)
                    .Select(batch => (model, path, batch.Position, batch.Size, batch.BaseOffset)));
        }

        if (batches.Count == 0)
            return null;
        var chosen = batches[random.NextInt(batches.Count)];
        Flip(machine, chosen.Path, (
            chosen.Position + RecordBatchLayout.HeaderSizeBytes + random.NextInt(chosen.Size - RecordBatchLayout.HeaderSizeBytes),
            random.NextInt(8)));
        return (chosen.Model, chosen.BaseOffset);
    }

    private static string Flip(CrashMachine machine, string path, (long Position, int Bit) where)
    {
        machine.Disk.FlipBit(path, where.Position, where.Bit);
        return $"bit {where.Bit} of byte {where.Position} of {path}";
    }

    private static List<(long Position, int Bit)> BitsOf(CrashMachine machine, string path, byte[] bytes)
    {
        var name = Path.GetFileName(path);
        if (s_checkpoints.Contains(name))
            return [.. Enumerable.Range(0, bytes.Length).Select(position => ((long)position, 7))];
        return Path.GetExtension(name) switch
        {
            LogFileNames.ProducerSnapshotSuffix => [.. Enumerable.Range(0, bytes.Length * 8).Select(bit => ((long)bit / 8, bit % 8))],
            LogFileNames.OffsetIndexSuffix => SignBits(bytes.Length, OffsetIndex.EntryBytes, 0, 4),
            LogFileNames.TimeIndexSuffix => SignBits(bytes.Length, TimeIndex.EntryBytes, 0, 8),
            LogFileNames.TransactionIndexSuffix => SignBits(bytes.Length, TransactionIndex.EntryBytes, 0, 2, 10, 18, 26),
            LogFileNames.LogSuffix when ModelOf(machine, path) is { TruncatesTo: null } model => UnflushedBits(model, bytes),
            _ => [],
        };
    }

    private static List<(long Position, int Bit)> SignBits(int length, int entryBytes, params int[] fields) =>
        [.. Enumerable.Range(0, length / entryBytes).SelectMany(entry => fields.Select(field => ((long)entry * entryBytes + field, 7)))];

    private static List<(long Position, int Bit)> UnflushedBits(LogModel model, byte[] bytes) =>
        [.. Batches(bytes).Where(batch => batch.BaseOffset >= model.FlushedEndOffset)
            .SelectMany(
                batch => Enumerable.Range(0, batch.Size).Where(IsProtected).Select(position => (batch.Position + position, position % 8)))];

    private static bool IsProtected(int positionInBatch) =>
        positionInBatch is >= RecordBatchLayout.LengthOffset and < RecordBatchLayout.PartitionLeaderEpochOffset
        or >= RecordBatchLayout.MagicOffset;

    private static LogModel? ModelOf(CrashMachine machine, string path) =>
        path.EndsWith(LogFileNames.LogSuffix, StringComparison.Ordinal)
            ? machine.Models.LastOrDefault(
                model => Path.GetDirectoryName(path) == Path.Combine(CrashMachine.LogDirectory, model.Partition.ToString()))
            : null;

    private static List<(long Position, int Size, long BaseOffset, long LastOffset)> Batches(byte[] bytes)
    {
        var batches = new List<(long Position, int Size, long BaseOffset, long LastOffset)>();
        for (var rest = bytes.AsSpan(); rest.Length >= RecordBatchLayout.HeaderSizeBytes; rest = rest[batches[^1].Size..])
        {
            var batch = new RecordBatchView(rest);
            if (!RecordBatchView.TryReadSize(rest, out var size, out _) || size < RecordBatchLayout.HeaderSizeBytes || size > rest.Length
                || !batch.IsCrcValid)
                break;
            batches.Add((bytes.Length - rest.Length, size, batch.BaseOffset, batch.LastOffset));
        }

        return batches;
    }
}
