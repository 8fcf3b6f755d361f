using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.Benchmarks.Compaction;

/// <summary>
/// Compacts a log in this process, and copies the same files beside it: how much more than moving its bytes does compaction cost?
/// </summary>
internal static class CompactionBench
{
    public const string Usage = "bench compaction [DIR [MEGABYTES]]     compact a log, beside a plain copy of its files";

    private const int DefaultMegabytes = 512;
    private const int RecordBytes = 1_000;
    private const int RecordsPerBatch = 64;
    private const int SegmentBytes = 128 * 1024 * 1024;
    private const int Rounds = 3;

    /// <summary>How often each key was written: compaction keeps the last.</summary>
    private const int VersionsPerKey = 4;

    private static readonly TopicPartition s_partition = new("compacted", 0);

    /// <summary>Measures with each codec, and prints a table.</summary>
    public static async Task<int> RunAsync(IReadOnlyList<string> arguments)
    {
        var parent = arguments.Count > 0 ? arguments[0] : Path.GetTempPath();
        var megabytes = arguments.Count > 1 ? int.Parse(arguments[1], CultureInfo.InvariantCulture) : DefaultMegabytes;
        Console.WriteLine(
            $"{megabytes} MB of records of {RecordBytes} bytes, every key {VersionsPerKey} times, in {parent}; the median of {Rounds} "
                + "rounds");
        Console.WriteLine("codec   log MB  copy MB/s  compaction MB/s  CPU s/GB  to the copy");
        foreach (var codec in (CompressionType[])[CompressionType.None, CompressionType.Lz4, CompressionType.Zstd])
        {
            var rounds = new List<Round>();
            for (var i = 0; i < Rounds; i++)
            {
                var directory = Path.Combine(parent, $"ottla-compaction-{Environment.ProcessId}");
                try
                {
                    rounds.Add(await MeasureAsync(directory, codec, megabytes));
                }
                finally
                {
                    Directory.Delete(directory, recursive: true);
                }
            }

            var (logBytes, copy, compaction, cpu) = rounds.OrderBy(round => round.CompactionSeconds / round.CopySeconds)
                .ElementAt(Rounds / 2);
            var mb = logBytes / 1e6;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{codec.ToString().ToLowerInvariant(),-6} {mb,7:F0} {mb / copy,10:F0} {mb / compaction,16:F0} "
                    + $"{cpu / logBytes * 1e9,9:F2} {compaction / copy,11:F1}x"));
        }

        return 0;
    }

    private static async Task<Round> MeasureAsync(string directory, CompressionType codec, int megabytes)
    {
        var fileSystem = new RealFileSystem();
        using var manager = LogManager.Open(
            new LogManagerOptions
            {
                LogDirectories = [directory],
                ConfigFor = _ => LogConfig.Default with { Compact = true, Delete = false, SegmentBytes = SegmentBytes },
            },
            fileSystem,
            TimeProvider.System,
            NullLogger.Instance);
        var log = manager.GetOrCreate(s_partition, new Uuid(1, 2));
        Fill(log, codec, megabytes * 1_000_000L);
        log.Flush();

        var copySeconds = Copy(log.Directory, Path.Combine(directory, "copy"));
        var bytes = log.SizeInBytes;
        var cpu = Environment.CpuUsage.TotalTime;
        var watch = Stopwatch.StartNew();
        if (!await manager.Cleaner.CleanDirtiestAsync() || log.SizeInBytes > bytes / 2)
            throw new BenchException("The log was not compacted.");
        return new Round(bytes, copySeconds, watch.Elapsed.TotalSeconds, (Environment.CpuUsage.TotalTime - cpu).TotalSeconds);
    }

    private static void Fill(PartitionLog log, CompressionType codec, long bytes)
    {
        var prng = new Prng(42);
        var records = bytes / RecordBytes;
        var keys = records / VersionsPerKey;
        var value = new byte[RecordBytes];
        var key = new byte[16];
        using var builder = new RecordBatchBuilder(new RecordBatchOptions());
        for (long record = 0; record < records;)
        {
            builder.Reset(new RecordBatchOptions { Compression = codec });
            for (var i = 0; i < RecordsPerBatch && record < records; i++, record++)
            {
                // Hexadecimal digits: half compressible, as text is.
                for (var position = 0; position < value.Length; position += 16)
                    prng.NextUInt64()
                    .TryFormat(value.AsSpan(position, Math.Min(16, value.Length - position)), out _, "x", CultureInfo.InvariantCulture);
                (record % keys).TryFormat(key, out var keyBytes, default, CultureInfo.InvariantCulture);
                builder.Append(1_000 + record, new NullableBytes(key.AsSpan(0, keyBytes)), new NullableBytes(value));
            }

            log.AppendAsLeader(builder.Build(), 0, AppendOrigin.Client, new Instant(1_000));
        }

        log.AdvanceHighWatermark(log.LogEndOffset);
        log.Roll(new Instant(1_000));
    }

    /// <summary>Reads and writes every file, and flushes it.</summary>
    private static double Copy(string source, string target)
    {
        Directory.CreateDirectory(target);
        var buffer = new byte[256 * 1024];
        var watch = Stopwatch.StartNew();
        foreach (var path in Directory.EnumerateFiles(source))
        {
            using var from = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var to = File.OpenHandle(Path.Combine(target, Path.GetFileName(path)), FileMode.CreateNew, FileAccess.Write);
            for (long position = 0; RandomAccess.Read(from, buffer, position) is var read and > 0; position += read)
                RandomAccess.Write(to, buffer.AsSpan(0, read), position);
            RandomAccess.FlushToDisk(to);
        }

        var seconds = watch.Elapsed.TotalSeconds;
        Directory.Delete(target, recursive: true);
        return seconds;
    }

    private sealed record Round(long LogBytes, double CopySeconds, double CompactionSeconds, double CpuSeconds);
}
