namespace Ottla.Protocol.Batches.Compression;

/// <summary>Keeps a few idle contexts for the next caller. Thread-safe, without locks; what does not fit is left to the caller.</summary>
internal sealed class ContextPool<T>
    where T : class
{
    private readonly T?[] _slots = new T?[2 * Environment.ProcessorCount];

    /// <summary>An idle context, or null: then make one.</summary>
    public T? TryRent()
    {
        for (var i = 0; i < _slots.Length; i++)
        {
            if (_slots[i] is not null && Interlocked.Exchange(ref _slots[i], null) is { } context)
                return context;
        }

        return null;
    }

    /// <summary>Keeps <paramref name="context"/>; false when there is no room: then dispose it.</summary>
    public bool TryReturn(T context)
    {
        for (var i = 0; i < _slots.Length; i++)
        {
            if (_slots[i] is null && Interlocked.CompareExchange(ref _slots[i], context, null) is null)
                return true;
        }

        return false;
    }
}
