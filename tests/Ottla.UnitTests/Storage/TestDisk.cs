using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Files;
using Ottla.Storage.Log;
using Ottla.Storage.Producers;

namespace Ottla.UnitTests.Storage;

/// <summary>A disk to test on: in memory, or a temporary directory of the machine's.</summary>
public sealed class TestDisk : IDisposable
{
    private TestDisk(IFileSystem fileSystem, string root, bool isReal)
    {
        FileSystem = fileSystem;
        Root = root;
        IsReal = isReal;
        fileSystem.CreateDirectory(root);
    }

    public static TheoryData<bool> Kinds => new(false, true);

    public IFileSystem FileSystem { get; }

    public string Root { get; }

    public bool IsReal { get; }

    public static TestDisk Create(bool real) => real
        ? new TestDisk(new RealFileSystem(), Directory.CreateTempSubdirectory("ottla-storage-").FullName, isReal: true)
        : new TestDisk(new InMemoryFileSystem(), "/disk", isReal: false);

    public static TestDisk Over(InMemoryFileSystem fileSystem) => new(fileSystem, "/disk", isReal: false);

    /// <summary>A disk whose root holds a copy of a directory of this machine.</summary>
    public static TestDisk CopyOf(string directory, bool real)
    {
        var disk = Create(real);
        foreach (var path in Directory.EnumerateFiles(directory, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(disk.Root, Path.GetRelativePath(directory, path));
            disk.FileSystem.CreateDirectory(Path.GetDirectoryName(target)!);
            disk.Write(target, File.ReadAllBytes(path));
        }

        return disk;
    }

    public string At(params string[] names) => Path.Combine([Root, .. names]);

    public byte[] Read(string path) => FileSystem.ReadAllBytes(path, int.MaxValue);

    public void Write(string path, ReadOnlySpan<byte> bytes)
    {
        using var file = FileSystem.Open(path, FileOpenMode.CreateOrTruncate);
        file.Write(0, bytes);
    }

    /// <summary>What the next process would find if this one died now.</summary>
    public TestDisk Crash() => IsReal ? CopyOf(Root, real: true) : Over(((InMemoryFileSystem)FileSystem).Clone());

    public void Dispose()
    {
        if (IsReal)
            FileSystem.DeleteDirectory(Root);
    }
}

/// <summary>Opens logs, makes batches, and reads logs back as lists.</summary>
public static class TestLog
{
    public static readonly TopicPartition Partition = new("t", 0);

    public static PartitionLog Open(
        TestDisk disk, LogConfig config, TimeProvider time, LogOpenOptions? options = null, string name = "t-0") =>
        PartitionLog.Open(disk.FileSystem, disk.At(name), Partition, config, options ?? new LogOpenOptions(), time, NullLogger.Instance);

    /// <summary>A batch of <paramref name="count"/> records whose values start with <paramref name="text"/>.</summary>
    public static byte[] Batch(string text, int count = 1, long timestamp = 1_000, RecordBatchOptions? options = null, int padding = 0)
    {
        using var builder = new RecordBatchBuilder(options ?? new RecordBatchOptions());
        for (var i = 0; i < count; i++)
            builder.Append(timestamp + i, default, new NullableBytes(Encoding.UTF8.GetBytes($"{text}/{i}{new string('.', padding)}")));
        return builder.Build();
    }

    public static byte[] Idempotent(
        long producerId, short epoch, int sequence, int count = 1, bool transactional = false, string text = "p") =>
        Batch(text, count, options: new RecordBatchOptions
        {
            ProducerId = producerId,
            ProducerEpoch = epoch,
            BaseSequence = sequence,
            IsTransactional = transactional,
        });

    /// <summary>Appends, as if a coordinator had said of every transaction that it is open.</summary>
    public static LogAppendResult Append(
        this PartitionLog log, byte[] batch, AppendOrigin origin = AppendOrigin.Client, int epoch = 0, long nowMs = 1_000,
        short transactionVersion = 0)
    {
        var header = new RecordBatchView(batch);
        var guard = header is { IsTransactional: true, IsControl: false }
            ? log.StartTransactionVerification(
                header.ProducerId, header.ProducerEpoch, header.BaseSequence, bumpsEpoch: false, new Instant(nowMs))
            : VerificationGuard.None;
        var result = log.AppendAsLeader(batch, epoch, origin, new Instant(nowMs), transactionVersion, guard);
        log.AdvanceHighWatermark(log.LogEndOffset, epoch);
        return result;
    }

    /// <summary>All records from <paramref name="start"/> on, through <see cref="PartitionLog.Read(long, int, bool, long)"/>.</summary>
    public static List<(long Offset, string? Value)> ReadAll(
        this PartitionLog log, long? start = null, int maxBytes = 1 << 20, long bound = long.MaxValue)
    {
        var records = new List<(long Offset, string? Value)>();
        log.Visit(start ?? log.LogStartOffset, maxBytes, bound, (batch, _) =>
        {
            if (batch.IsControl)
                records.Add((batch.BaseOffset, "control"));
        }, (_, record) => records.Add((record.Offset, record.HasValue ? Encoding.UTF8.GetString(record.Value) : null)));
        return records;
    }

    public delegate void BatchVisitor(RecordBatchView batch, long unused);

    public delegate void RecordVisitor(RecordBatchView batch, Ottla.Protocol.Batches.Record record);

    public static void Visit(this PartitionLog log, long start, int maxBytes, long bound, BatchVisitor onBatch, RecordVisitor onRecord)
    {
        var next = start;
        while (true)
        {
            var slice = log.Read(next, maxBytes, minOneBatch: true, bound).Slice;
            if (slice is null)
                return;
            using (slice)
            {
                var bytes = new byte[slice.Length];
                slice.Read(0, bytes);
                for (var position = 0; position < bytes.Length;)
                {
                    var batch = new RecordBatchView(bytes.AsSpan(position));
                    Assert.True(batch.IsCrcValid, $"the batch at offset {batch.BaseOffset} is whole and valid");
                    Assert.True(batch.LastOffset >= next, "a read starts with the batch that holds its offset");
                    Assert.True(batch.LastOffset < bound, "a read stays below its bound");
                    onBatch(batch, 0);
                    if (!batch.IsControl)
                    {
                        using var reader = new RecordReader(bytes.AsMemory(position, batch.SizeInBytes));
                        while (reader.TryRead(out var record))
                        {
                            if (record.Offset >= start)
                                onRecord(batch, record);
                        }
                    }

                    next = batch.NextOffset;
                    position += batch.SizeInBytes;
                }
            }
        }
    }
}
