using Ottla.Kernel;

namespace Ottla.Storage.Compaction;

/// <summary>
/// The last offset of every key in the dirty part of a log: a hash table of fixed size that keeps 24 bytes per key, whatever the
/// keys' sizes.
/// </summary>
/// <remarks>Owned by one compaction; not thread-safe. Keys are known by their 128-bit hash only, see <see cref="SipHash128"/>.</remarks>
internal sealed class KeyOffsetMap
{
    /// <summary>Bytes per slot, as in Kafka: <c>log.cleaner.dedupe.buffer.size</c> holds as many keys here as there.</summary>
    public const int BytesPerSlot = 24;

    private readonly SipHash128 _hash;
    private readonly Slot[] _slots;

    /// <param name="slots">The table's size.</param>
    /// <param name="loadFactor">How full it may get: a fuller table holds more keys, and makes every search longer.</param>
    /// <param name="secret">The secret that keeps clients from making collisions on purpose.</param>
    public KeyOffsetMap(int slots, double loadFactor, Uuid secret)
    {
        // One slot stays empty, so that every search ends.
        CountMax = Math.Max(1, Math.Min((int)(slots * loadFactor), slots - 1));
        _slots = new Slot[Math.Max(slots, 2)];
        _hash = new SipHash128(secret);
    }

    /// <summary>How many keys it can hold.</summary>
    public int CountMax { get; }

    /// <summary>How many keys it holds.</summary>
    public int Count { get; private set; }

    /// <summary>Whether it takes no more keys.</summary>
    public bool IsFull => Count >= CountMax;

    /// <summary>The map covers all records up to this offset; -1 before the first.</summary>
    public long LatestOffset { get; set; } = -1;

    /// <summary>
    /// Notes that the last record of <paramref name="key"/> so far is at <paramref name="offset"/>. The map must not be full.
    /// </summary>
    public void Put(ReadOnlySpan<byte> key, long offset)
    {
        ref var slot = ref Find(key, out var hash);
        if (slot.IsEmpty)
        {
            Invariant.Check(!IsFull, "a full map takes no more keys");
            (slot.First, slot.Second) = hash;
            Count++;
        }

        slot.NextOffset = offset + 1;
        LatestOffset = offset;
    }

    /// <summary>The last offset of a key, or -1.</summary>
    public long Find(ReadOnlySpan<byte> key) => Find(key, out _).NextOffset - 1;

    private ref Slot Find(ReadOnlySpan<byte> key, out (ulong First, ulong Second) hash)
    {
        hash = _hash.Compute(key);
        var index = (int)Math.BigMul(hash.First, (ulong)_slots.Length, out _);
        while (true)
        {
            ref var slot = ref _slots[index];
            if (slot.IsEmpty || (slot.First == hash.First && slot.Second == hash.Second))
                return ref slot;
            index = index + 1 == _slots.Length ? 0 : index + 1;
        }
    }

    private struct Slot
    {
        public ulong First;
        public ulong Second;

        /// <summary>One more than the offset, so that an empty slot is all zeroes.</summary>
        public long NextOffset;

        public readonly bool IsEmpty => NextOffset == 0;
    }
}
