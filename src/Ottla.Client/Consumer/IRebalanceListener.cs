using Ottla.Kernel;

namespace Ottla.Client;

/// <summary>Is told how the partitions of a consumer change.</summary>
/// <remarks>
/// Called while the application asks for records, so never while it processes one, and one call at a time. The token is cancelled when the
/// application's own is, and when there is no time left before others get the partitions anyway. What a method throws ends the enumeration
/// that is under way; the change itself is carried out nevertheless.
/// </remarks>
public interface IRebalanceListener
{
    /// <summary>New partitions are assigned. Nothing has been read yet: the listener may seek.</summary>
    /// <param name="partitions">Those that are new; may be empty.</param>
    /// <param name="cancellation">Ends the call.</param>
    ValueTask OnAssignedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation);

    /// <summary>
    /// Partitions are to be given up. They are still the consumer's: the listener may commit. With automatic commits that has been done.
    /// </summary>
    /// <param name="partitions">Those that go.</param>
    /// <param name="cancellation">Ends the call.</param>
    ValueTask OnRevokedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation);

    /// <summary>Partitions are gone, and others may have them already: nothing can be committed any more.</summary>
    /// <param name="partitions">Those that are gone.</param>
    /// <param name="cancellation">Ends the call.</param>
    ValueTask OnLostAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation);
}
