namespace Ottla.Protocol.Batches.Compression;

/// <summary>Keeps a few idle contexts for reuse. Thread-safe without locks. The caller disposes contexts that do not fit.</summary>
internal sealed class ContextPool<T>
    where T : class
{
    private readonly T?[] _slots = new T?[2 * Environment.ProcessorCount];

    /// <summary>Returns an idle context; null when there is none and the caller must make one.</summary>
    public T? TryRent()
    {
        for (var i = 0; i < _slots.Length; i++)
        {
            if (_slots[i] is not null && Interlocked.Exchange(ref _slots[i], null) is { } context)
                return context;
        }

        return null;
    }

    /// <summary>Keeps <paramref name="context"/>; false when there is no room and the caller must dispose it.</summary>
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
