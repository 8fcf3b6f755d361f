using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>
/// Offsets were not committed, and never can be by this member as it was: others may have its partitions already, and process the same
/// records again.
/// </summary>
/// <param name="errorCode">The error.</param>
/// <param name="message">What happened.</param>
public sealed class CommitFailedException(ErrorCode errorCode, string message) : KafkaException(errorCode, message);

/// <summary>A partition has no position to read from, and the consumer is told not to choose one.</summary>
/// <param name="errorCode">The error.</param>
/// <param name="partition">The partition.</param>
/// <param name="offset">The offset that is not there; -1 when none was committed.</param>
/// <param name="message">What happened.</param>
public sealed class OffsetResetException(ErrorCode errorCode, TopicPartition partition, long offset, string message)
    : KafkaException(errorCode, message)
{
    /// <summary>The partition.</summary>
    public TopicPartition Partition { get; } = partition;

    /// <summary>The offset that is not there; -1 when none was committed.</summary>
    public long Offset { get; } = offset;
}

/// <summary>
/// A record cannot be read: its batch is damaged, or the deserializer threw. The position stays at it; seek past it to go on.
/// </summary>
/// <param name="errorCode">The error.</param>
/// <param name="partition">The partition.</param>
/// <param name="offset">The record's offset, or that of the first record of the batch.</param>
/// <param name="message">What happened.</param>
/// <param name="innerException">The cause.</param>
public sealed class UnreadableRecordException(
    ErrorCode errorCode, TopicPartition partition, long offset, string message, Exception? innerException)
    : KafkaException(errorCode, message, innerException)
{
    /// <summary>The partition.</summary>
    public TopicPartition Partition { get; } = partition;

    /// <summary>The record's offset, or that of the first record of the batch.</summary>
    public long Offset { get; } = offset;
}
