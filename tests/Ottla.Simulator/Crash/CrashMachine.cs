using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Kernel;
using Ottla.Simulator.Disk;
using Ottla.Storage.Compaction;
using Ottla.Storage.Log;
using Ottla.Storage.Upkeep;

namespace Ottla.Simulator.Crash;

/// <summary>
/// The machine of a <see cref="CrashSimulation"/>: a disk, a clock, the process that has its logs open, and the models of those logs.
/// </summary>
internal sealed class CrashMachine
{
    public const string LogDirectory = "/logs";

    /// <summary>No file that is deleted is kept for longer.</summary>
    public const int DeleteDelayMsMax = 200;

    private const int PartitionsMax = 3;
    private const long StartMs = 1_800_000_000_000;

    private readonly Dictionary<TopicPartition, LogConfig> _configs = [];
    private readonly SimulatedClock _clock = new(StartMs);
    private readonly CleanerOptions _cleaner;
    private readonly ulong _seed;
    private LogManager? _logs;
    private ulong _topics;

    public CrashMachine(ulong seed)
    {
        _seed = seed;
        Random = new Prng(seed);
        DamageRandom = new Prng(seed ^ 0x5DEECE66D);
        Disk = new SimDisk(_clock, new Prng(~seed));
        Disk.Faults.LatencyMsMax = 500;
        Disk.Faults.OnLatencyMs = _clock.AdvanceMs;
        Partitions = [.. Enumerable.Range(0, 1 + Random.NextInt(PartitionsMax)).Select(index => new TopicPartition("t", index))];
        foreach (var partition in Partitions)
            _configs.Add(partition, NextConfig(isCompacted: Random.NextChance(40)));
        // Now and then there is room for two keys at a time only, and a log is compacted in many passes.
        _cleaner = new CleanerOptions
        {
            DedupeBufferBytes = KeyOffsetMap.BytesPerSlot * (3 + Random.NextInt(20)),
            IoBufferBytes = 600 + Random.NextInt(4_000),
            HashSecret = new Uuid(1, seed)
        };
    }

    public Prng Random { get; }

    /// <summary>Decides about damage alone, which so does not change what else happens.</summary>
    public Prng DamageRandom { get; }

    public SimDisk Disk { get; private set; }

    public IReadOnlyList<TopicPartition> Partitions { get; }

    /// <summary>All logs that ever were, also those of deleted topics.</summary>
    public List<LogModel> Models { get; } = [];

    public LogManager Logs => _logs!;

    /// <summary>Null while no process lives.</summary>
    public CrashCompaction? Compaction { get; private set; }

    public Instant Now => Instant.Now(_clock);

    /// <summary>The models of the logs that are open.</summary>
    public List<LogModel> Open => [.. Models.Where(model => model.Log is not null)];

    public void AdvanceMs(int milliseconds) => _clock.AdvanceMs(milliseconds);

    /// <summary>Starts the process.</summary>
    public void Start()
    {
        _ = Random.NextUInt64(); // the manager's seed was drawn once: without it, every seed that found something would be another run
        _logs = LogManager.Open(
            new LogManagerOptions
            {
                LogDirectories = [LogDirectory],
                ConfigFor = partition => _configs[partition],
                RecoveryParallelism = 1,
                DeleteDelayMs = 50,
                RetentionCheckIntervalMs = 300,
                InitialTaskDelayMs = 100,
                TimedFlushCheckIntervalMs = 100,
                RecoveryPointCheckpointIntervalMs = 400,
                LogStartOffsetCheckpointIntervalMs = 500,
                HighWatermarkCheckpointIntervalMs = 200,
                IdleReleaseIntervalMs = 600,
                Cleaner = () => _cleaner,
                Seed = _seed, // of all lives, so that the lines of a checkpoint keep their order
            },
            Disk,
            _clock,
            NullLogger.Instance);
        Compaction = new CrashCompaction(_logs.Cleaner, Disk);
    }

    /// <summary>Makes a topic's log, as a broker does that hears of it.</summary>
    public LogModel Create(TopicPartition partition)
    {
        var model = new LogModel(partition, new Uuid(0x1234, ++_topics), _configs[partition].Compact);
        Models.Add(model);
        model.Log = Logs.GetOrCreate(partition, model.TopicId);
        return model;
    }

    /// <summary>Ends the process in order.</summary>
    public void Stop()
    {
        foreach (var model in Open)
            model.Note(model.Log!);
        Compaction!.Stop();
        Logs.Close(brokerEpoch: 7);
        foreach (var model in Open)
        {
            model.Note(model.Log!);
            model.Log = null;
        }
    }

    /// <summary>Ends the process, or the whole machine, without any order.</summary>
    public void Die(bool losesPower)
    {
        foreach (var model in Open)
        {
            model.Note(model.Log!);
            model.Log = null;
        }

        Compaction?.Dispose();
        Compaction = null;
        Disk = losesPower ? Disk.AfterPowerLoss() : Disk.AfterProcessDeath();
    }

    private LogConfig NextConfig(bool isCompacted) => new()
    {
        SegmentBytes = 600 + Random.NextInt(3_500),
        SegmentMs = Random.NextChance(20) ? 400 : long.MaxValue,
        SegmentIndexBytes = 48 + Random.NextInt(400),
        IndexIntervalBytes = Random.NextInt(600),
        FlushMessages = Random.NextChance(25) ? 1 + Random.NextInt(10) : long.MaxValue,
        FlushMs = Random.NextChance(25) ? 300 : long.MaxValue,
        RetentionBytes = Random.NextChance(30) ? 4_000 + Random.NextInt(8_000) : -1,
        RetentionMs = Random.NextChance(30) ? 1_500 : -1,
        FileDeleteDelayMs = Random.NextInt(DeleteDelayMsMax),
        Compact = isCompacted,
        Delete = !isCompacted || Random.NextChance(30),
        MinCleanableDirtyRatio = Random.NextInt(50) / 100.0,
        MinCompactionLagMs = Random.NextChance(20) ? 200 : 0,
        DeleteRetentionMs = Random.NextInt(600),
        VerifyTransactions = false, // there is no coordinator that could be asked
    };
}

/// <summary>A clock that stands still until somebody moves it.</summary>
internal sealed class SimulatedClock(long startMs) : TimeProvider
{
    private long _nowMs = startMs;

    public void AdvanceMs(int milliseconds) => _nowMs += milliseconds;

    public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(_nowMs);
}
