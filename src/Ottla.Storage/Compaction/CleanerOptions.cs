using Ottla.Kernel;

namespace Ottla.Storage.Compaction;

/// <summary>
/// The configuration of compaction; defaults are Kafka's. Read at every round, so that a change takes effect with the next log.
/// </summary>
public sealed record CleanerOptions
{
    /// <summary>The default configuration.</summary>
    public static readonly CleanerOptions Default = new();

    /// <summary><c>log.cleaner.threads</c>: how many logs are compacted at a time; they share the buffers.</summary>
    public int Threads { get; init; } = 1;

    /// <summary><c>log.cleaner.dedupe.buffer.size</c>: the most memory for maps of keys, in bytes.</summary>
    public long DedupeBufferBytes { get; init; } = 128 * 1024 * 1024;

    /// <summary><c>log.cleaner.io.buffer.load.factor</c>: how full a map of keys may get.</summary>
    public double LoadFactor { get; init; } = 0.9;

    /// <summary><c>log.cleaner.io.buffer.size</c>: memory for reading and writing, in bytes.</summary>
    public int IoBufferBytes { get; init; } = 512 * 1024;

    /// <summary><c>log.cleaner.io.max.bytes.per.second</c>: the most that is read and written together.</summary>
    public double IoBytesPerSecondMax { get; init; } = double.MaxValue;

    /// <summary><c>log.cleaner.backoff.ms</c>: how long to wait when no log is dirty enough.</summary>
    public long BackoffMs { get; init; } = 15_000;

    /// <summary>The secret that makes collisions of keys unpredictable; see <see cref="SipHash128"/>.</summary>
    public Uuid HashSecret { get; init; } = Uuid.NewRandom();

    /// <summary>Bytes of the buffer that a segment is read into.</summary>
    internal int ReadBufferBytes => IoBufferBytes / Math.Max(Threads, 1) / 2;

    /// <summary>A map for up to <paramref name="keysMax"/> keys: as large as they need, up to its share of the memory.</summary>
    internal KeyOffsetMap MapFor(long keysMax)
    {
        var affordable = DedupeBufferBytes / Math.Max(Threads, 1) / KeyOffsetMap.BytesPerSlot;
        var needed = keysMax / Math.Max(LoadFactor, double.Epsilon) + 2;
        return new KeyOffsetMap((int)Math.Min(Math.Min(affordable, needed), Array.MaxLength), LoadFactor, HashSecret);
    }
}
