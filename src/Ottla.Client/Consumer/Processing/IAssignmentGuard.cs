using Ottla.Kernel;

namespace Ottla.Client.Consumers;

/// <summary>
/// What works on the records of a consumer beside its loop: it ends before partitions go, and says how long it has worked.
/// </summary>
internal interface IAssignmentGuard
{
    /// <summary>
    /// When the oldest work that has not ended was begun; null when there is none. Any thread may read it.
    /// </summary>
    Instant? BusySince { get; }

    /// <summary>Ends the work on partitions that are to be given up, before their offsets are committed.</summary>
    ValueTask OnRevokingAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation);

    /// <summary>Gives up the work on partitions that are gone.</summary>
    void OnLost(IReadOnlyList<TopicPartition> partitions);
}
