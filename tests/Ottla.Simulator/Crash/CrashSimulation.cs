using Ottla.Protocol;
using Ottla.Simulator.Disk;
using Ottla.Storage.Log;

namespace Ottla.Simulator.Crash;

/// <summary>
/// Logs on a <see cref="SimDisk"/> that lose power or their process at any moment, are recovered, and judged: what was flushed is there,
/// what is there was written, everything derived from it agrees, and no file is there that nobody owns. The disk also is slow, full, fails,
/// and flips bits (<see cref="CrashDamage"/>).
/// </summary>
/// <param name="arrange">Prepares the disk, for runs that must fail: the bug that is to be found.</param>
public sealed class CrashSimulation(Action<SimDisk>? arrange = null) : ISimulation
{
    private const int LivesMax = 6;
    private const int StepsMax = 45;
    private const int DamagePercent = 15;

    /// <inheritdoc/>
    public string Name => "crash";

    /// <inheritdoc/>
    public string Description =>
        "logs on a disk that loses power: appends, transactions, truncations, retention, compaction, crashes, recovery";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null)
    {
        var machine = new CrashMachine(seed);
        arrange?.Invoke(machine.Disk);
        try
        {
            Live(machine, new CrashWorkload(machine, log), log);
        }
        catch (Exception failure) when (failure is not SimulationException)
        {
            throw new SimulationException($"an operation failed that must not: {failure.Message}", failure);
        }
    }

    private static void Live(CrashMachine machine, CrashWorkload workload, TextWriter? log)
    {
        machine.Start();
        foreach (var partition in machine.Partitions)
            machine.Create(partition);
        for (var life = 1 + machine.Random.NextInt(LivesMax); life > 0; life--)
        {
            NextLife(machine, workload, log);
            Recover(machine, log);
        }

        machine.Stop();
        log?.WriteLine("stopped in order");
        CheckThatReopeningChangesNothing(machine);
        CheckDamage(machine, log);
    }

    /// <summary>One life of the process: some work, then an end of any kind.</summary>
    private static void NextLife(CrashMachine machine, CrashWorkload workload, TextWriter? log)
    {
        var random = machine.Random;
        var faults = machine.Disk.Faults;
        faults.SlowPerMille = random.NextChance(10) ? 50 : 0;
        faults.ErrorPerMille = random.NextChance(8) ? 3 : 0;
        faults.FailedDeletions = 0;
        faults.CapacityBytes = random.NextChance(6) ? machine.Disk.UsedBytes + random.NextInt(20_000) : SimDiskFaults.UnlimitedBytes;
        var mayFail = faults.ErrorPerMille > 0 || faults.CapacityBytes < SimDiskFaults.UnlimitedBytes;
        var stops = random.NextChance(20);
        var losesPower = random.NextChance(80);
        if (!stops && random.NextChance(70))
            faults.OperationsUntilDeath = random.NextInt(random.NextChance(30) ? 40 : 400);
        try
        {
            for (var steps = random.NextInt(StepsMax); steps > 0; steps--)
                workload.Step();
            if (stops || random.NextChance(20))
                machine.Stop();
            log?.WriteLine(stops ? "stopped in order" : losesPower ? "power lost" : "process died");
        }
        catch (Exception failure) when (failure is PowerLossException or LogException { InnerException: PowerLossException })
        {
            log?.WriteLine(losesPower ? "power lost in the middle" : "process died in the middle");
        }
        catch (LogException failure) when (failure.ErrorCode == ErrorCode.KafkaStorageError && mayFail)
        {
            log?.WriteLine($"the disk failed: {failure.Message}");
        }

        faults.ErrorPerMille = 0;
        faults.CapacityBytes = SimDiskFaults.UnlimitedBytes;
        faults.OperationsUntilDeath = null;
        // Who starts only the process after a failed flush finds whole files in the cache, and cannot know: it takes a start of the
        // machine.
        machine.Die(losesPower || machine.Disk.HasFailedFlush);
    }

    /// <summary>Starts until it succeeds: the machine may die in the middle of a recovery too.</summary>
    private static void Recover(CrashMachine machine, TextWriter? log)
    {
        if (machine.DamageRandom.NextChance(DamagePercent) && CrashDamage.Strike(machine, machine.DamageRandom) is { } damage)
            log?.WriteLine($"flipped {damage}");
        while (machine.Random.NextChance(15))
        {
            machine.Disk.Faults.OperationsUntilDeath = machine.Random.NextInt(150);
            try
            {
                machine.Start();
            }
            catch (PowerLossException)
            {
                log?.WriteLine("power lost in the middle of a recovery");
            }

            machine.Die(losesPower: true);
        }

        foreach (var (path, content) in log is null ? [] : machine.Disk.ReadAllFiles())
            log!.WriteLine(
                $"    found {path}, {content.Length} "
                    + "bytes"
                    + (path.Contains("checkpoint", StringComparison.Ordinal)
                        ? ": " + System.Text.Encoding.UTF8.GetString(content).Replace('\n', ';')
                        : ""));
        machine.Start();
        log?.WriteLine("recovered");
        foreach (var directory in machine.Logs.Directories)
        {
            if (directory.Failure is { } failure)
                throw new SimulationException($"the log directory is offline after recovery: {failure.Message}", failure);
        }

        CheckLogs(machine);
    }

    private static void CheckLogs(CrashMachine machine)
    {
        var logs = machine.Logs;
        var paths = machine.Disk.ReadAllFiles().Keys.ToList();
        foreach (var log in logs.Logs)
        {
            var model = machine.Models.Find(known => known.Partition == log.Partition && known.TopicId == log.TopicId);
            if (model is null && (log.TopicId is not null || log.LogEndOffset > 0))
                throw new SimulationException(
                    $"{log.Partition} has a log with topic id {log.TopicId} that ends at {log.LogEndOffset}, and nobody made it");
            if (model is null)
                continue;
            CrashInvariants.Check(model, log);
            CrashInvariants.CheckFiles(model, log, paths);
        }

        foreach (var model in machine.Models.Where(model => model.Log is null).ToList())
        {
            CrashInvariants.CheckMissing(model);
            machine.Models.Remove(model);
        }

        foreach (var partition in machine.Partitions.Where(partition => machine.Open.All(model => model.Partition != partition)))
            machine.Create(partition);
        foreach (var model in machine.Open)
            model.MayBeGone = false;
    }

    /// <summary>Flushed data goes bad while no process lives; the next may find an orderly end, or none.</summary>
    private static void CheckDamage(CrashMachine machine, TextWriter? log)
    {
        if (machine.DamageRandom.NextChance(50))
        {
            machine.Start();
            CheckLogs(machine);
            machine.Die(losesPower: true);
        }

        if (CrashDamage.StrikeFlushed(machine, machine.DamageRandom) is not { } damaged)
            return;
        log?.WriteLine($"flipped a bit of the batch at {damaged.BaseOffset} of {damaged.Model.Partition}");
        machine.Start();
        foreach (var partition in machine.Partitions)
        {
            var model = machine.Models.Last(known => known.Partition == partition);
            var recovered = machine.Logs.Find(partition) ?? throw new SimulationException($"{partition} is gone with one damaged batch");
            if (model == damaged.Model)
                CrashInvariants.CheckDamaged(model, recovered, damaged.BaseOffset);
            else
                CrashInvariants.Check(model, recovered);
        }
    }

    /// <summary>After an orderly end nothing is left to do: opening and closing once more leaves every byte as it was.</summary>
    private static void CheckThatReopeningChangesNothing(CrashMachine machine)
    {
        machine.Start();
        CheckLogs(machine);
        machine.Stop();
        var before = machine.Disk.ReadAllFiles();
        machine.Start();
        CheckLogs(machine);
        machine.Stop();
        var after = machine.Disk.ReadAllFiles();
        foreach (var path in before.Keys.Union(after.Keys))
        {
            if (!before.TryGetValue(path, out var old) || !after.TryGetValue(path, out var now) || !old.AsSpan().SequenceEqual(now))
                throw new SimulationException(
                    $"a second start changed {path} of {before.GetValueOrDefault(path)?.Length} bytes, now "
                        + $"{after.GetValueOrDefault(path)?.Length}");
        }
    }
}
