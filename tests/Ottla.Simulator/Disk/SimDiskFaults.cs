using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Simulator.Disk;

/// <summary>
/// What goes wrong with a <see cref="SimDisk"/>, beside power loss. It stays with the disk over restarts, until somebody changes it.
/// </summary>
/// <param name="random">Decides by chance; it is the disk's own, so that faults do not change what the workload does.</param>
public sealed class SimDiskFaults(Prng random)
{
    /// <summary>The capacity of a disk that never becomes full.</summary>
    public const long UnlimitedBytes = 1L << 40;

    /// <summary>Bytes that all files together may have.</summary>
    public long CapacityBytes { get; set; } = UnlimitedBytes;

    /// <summary>How many operations in a thousand fail with an I/O error.</summary>
    public int ErrorPerMille { get; set; }

    /// <summary>How many operations in a thousand take up to <see cref="LatencyMsMax"/>.</summary>
    public int SlowPerMille { get; set; }

    /// <summary>The longest that a slow operation takes.</summary>
    public int LatencyMsMax { get; set; }

    /// <summary>Lets a slow operation's time pass: moves the clock.</summary>
    public Action<int>? OnLatencyMs { get; set; }

    /// <summary>The machine dies at the operation after this many; null when it does not.</summary>
    public int? OperationsUntilDeath { get; set; }

    /// <summary>Which flushes are said to have been done and are not: bugs to be found.</summary>
    public Func<FileOperation, string, bool>? IgnoresFlush { get; set; }

    /// <summary>Which flushes of files reach the platter only with the next flush of a directory: bugs to be found.</summary>
    public Func<string, bool>? PostponesFlush { get; set; }

    /// <summary>What is written instead, to this path, of these bytes; null for the bytes themselves: bugs to be found.</summary>
    public Func<string, byte[], byte[]?>? RewritesWrite { get; set; }

    /// <summary>How many deletions failed with an I/O error. The simulation sets it to 0 when a new life begins.</summary>
    public int FailedDeletions { get; set; }

    /// <summary>Which files are said to have been deleted and are not: bugs to be found.</summary>
    public Func<string, bool>? IgnoresDelete { get; set; }

    /// <summary>Sees every operation; an exception it returns is thrown instead of doing it.</summary>
    public Func<FileOperation, string, IOException?>? Fault { get; set; }

    /// <summary>Decides about an operation that is about to be done.</summary>
    /// <exception cref="IOException">It fails.</exception>
    /// <exception cref="PowerLossException">The machine dies instead.</exception>
    internal void Before(FileOperation operation, string path)
    {
        if (OperationsUntilDeath is { } left)
        {
            if (left <= 0)
                throw new PowerLossException();
            OperationsUntilDeath = left - 1;
        }

        if (SlowPerMille > 0 && random.NextInt(1000) < SlowPerMille)
            OnLatencyMs?.Invoke(random.NextInt(LatencyMsMax + 1));
        if (Fault?.Invoke(operation, path) is { } failure)
            throw failure;
        if (ErrorPerMille > 0 && random.NextInt(1000) < ErrorPerMille)
        {
            if (operation is FileOperation.Delete or FileOperation.DeleteDirectory)
                FailedDeletions++;
            throw new IOException($"Input/output error : '{path}'");
        }
    }
}
