using Ottla.Network.Buffers;

namespace Ottla.Client.Consumers.Fetching;

/// <summary>
/// The memory of one answer, which the records of its partitions share. Guarded by the consumer's lock; who makes it is its first user.
/// </summary>
/// <remarks>
/// When nobody uses it any more it goes back to the pool, unless the application may have kept windows of it: then it is left to the
/// garbage collector.
/// </remarks>
/// <param name="memory">The memory, which belongs to this from now on.</param>
/// <param name="isPooled">Whether the memory goes back to the pool.</param>
internal sealed class FetchedFrame(PooledBuffer memory, bool isPooled)
{
    private PooledBuffer _memory = memory;
    private int _users = 1;

    /// <summary>Takes note of another user.</summary>
    public void AddUser() => _users++;

    /// <summary>Takes note that a user has ended.</summary>
    public void Release()
    {
        if (--_users > 0)
            return;
        if (isPooled)
            _memory.Dispose();
        _memory = default;
    }
}
