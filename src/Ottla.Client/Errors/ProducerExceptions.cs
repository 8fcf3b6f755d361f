using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>
/// The producer cannot go on: another one with its transactional id has fenced it, it is not allowed to write, or its state at the cluster
/// is lost. It has to be closed; every later call throws this again.
/// </summary>
/// <param name="errorCode">The error.</param>
/// <param name="message">What happened.</param>
/// <param name="innerException">The cause.</param>
public sealed class FatalProducerException(ErrorCode errorCode, string? message = null, Exception? innerException = null)
    : KafkaException(errorCode, message, innerException);

/// <summary>The transaction cannot be committed: it has to be aborted, and the next one may begin.</summary>
/// <param name="errorCode">The error.</param>
/// <param name="message">What happened.</param>
/// <param name="innerException">The cause.</param>
public sealed class AbortableTransactionException(ErrorCode errorCode, string? message = null, Exception? innerException = null)
    : KafkaException(errorCode, message, innerException);
