using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Compaction;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.UnitTests.Storage.Compaction;

/// <summary>A log manager with one compacted log, and what tests do to it.</summary>
internal sealed class CompactedLog : IDisposable
{
    public static readonly LogConfig Config = LogConfig.Default with
    {
        Compact = true,
        Delete = false,
        SegmentBytes = 10_000,
        IndexIntervalBytes = 100,
        RetentionMs = -1,
        MinCleanableDirtyRatio = 0.01,
        DeleteRetentionMs = 1_000,
        FileDeleteDelayMs = 0,
    };

    public CompactedLog(TestDisk? disk = null, LogConfig? config = null, CleanerOptions? options = null, FakeTimeProvider? time = null)
    {
        Time = time ?? new FakeTimeProvider(DateTimeOffset.FromUnixTimeMilliseconds(1_000_000));
        Disk = disk ?? TestDisk.Create(real: false);
        Options = options ?? CleanerOptions.Default;
        Manager = LogManager.Open(
            new LogManagerOptions
            {
                LogDirectories = [Disk.Root],
                RecoveryParallelism = 1,
                ConfigFor = _ => config ?? Config,
                Cleaner = () => Options,
            },
            Disk.FileSystem,
            Time,
            NullLogger.Instance);
        Log = Manager.GetOrCreate(TestLog.Partition, new Uuid(7, 7));
        Log.AdvanceHighWatermark(Log.LogEndOffset);
    }

    public FakeTimeProvider Time { get; }

    public TestDisk Disk { get; }

    public LogManager Manager { get; }

    public CleanerOptions Options { get; set; }

    public PartitionLog Log { get; }

    public long NowMs => Instant.Now(Time).UnixMilliseconds;

    /// <summary>A batch of keyed records; a null value is a tombstone.</summary>
    public static byte[] Batch(RecordBatchOptions options, long timestamp, params (string? Key, string? Value)[] records)
    {
        using var builder = new RecordBatchBuilder(options);
        foreach (var (key, value) in records)
            builder.Append(
                timestamp, NullableBytes.From(Bytes(key)), NullableBytes.From(Bytes(value)), [new RecordHeader("h", Bytes(key))]);
        return builder.Build();
    }

    public LogAppendResult Append(params (string? Key, string? Value)[] records) => Append(new RecordBatchOptions(), records);

    public LogAppendResult Append(RecordBatchOptions options, params (string? Key, string? Value)[] records) =>
        Log.Append(Batch(options, NowMs, records), nowMs: NowMs);

    public LogAppendResult End(long producerId, bool commit, short epoch = 0) => Log.Append(
        ControlBatches.BuildEndTransactionMarker(commit ? ControlRecordType.Commit : ControlRecordType.Abort, 0, producerId, epoch, NowMs),
        AppendOrigin.Coordinator,
        nowMs: NowMs);

    public void Roll() => Log.Roll(Instant.Now(Time));

    /// <summary>Rolls and compacts everything.</summary>
    public async Task CompactAsync()
    {
        Roll();
        Assert.True(await Manager.Cleaner.CleanDirtiestAsync(), "the log is dirty");
        Assert.Empty(Manager.Cleaner.Uncleanable);
    }

    /// <summary>What consumers see: offset, key and value of every record.</summary>
    public List<(long Offset, string? Key, string? Value)> Records() => Records(Log);

    public static List<(long Offset, string? Key, string? Value)> Records(PartitionLog log)
    {
        var records = new List<(long Offset, string? Key, string? Value)>();
        log.Visit(log.LogStartOffset, 1 << 20, long.MaxValue, (_, _) => { }, (_, record) =>
            records.Add(
                (record.Offset, record.HasKey ? Encoding.UTF8.GetString(record.Key) : null, record.HasValue
                    ? Encoding.UTF8.GetString(record.Value) : null)));
        return records;
    }

    /// <summary>The headers of all batches.</summary>
    public List<BatchFacts> Batches()
    {
        var batches = new List<BatchFacts>();
        Log.Visit(Log.LogStartOffset, 1 << 20, long.MaxValue, (batch, _) => batches.Add(new BatchFacts(
            batch.BaseOffset, batch.LastOffset, batch.RecordCount, batch.IsControl, batch.DeleteHorizonMs, batch.BaseSequence,
            batch.LastSequence, batch.Compression)), (_, _) => { });
        return batches;
    }

    public string[] Files(string contains = "") =>
        [.. Disk.FileSystem.ListFiles(Log.Directory).Where(name => name.Contains(contains, StringComparison.Ordinal))];

    public void Dispose() => Manager.Dispose();

    private static byte[]? Bytes(string? text) => text is null ? null : Encoding.UTF8.GetBytes(text);
}

internal sealed record BatchFacts(
    long BaseOffset, long LastOffset, int Count, bool IsControl, long? DeleteHorizonMs, int BaseSequence, int LastSequence,
    CompressionType Compression);
