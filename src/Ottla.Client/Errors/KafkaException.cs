using Ottla.Client.Calls;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>The cluster answered with an error, or an operation of the client failed.</summary>
/// <remarks>
/// What the client can mend by itself (another leader, a broken connection) it retries until its time is over, and does not throw.
/// Wrong arguments and options throw <see cref="ArgumentException"/>, a closed client <see cref="ObjectDisposedException"/>.
/// </remarks>
public class KafkaException : Exception
{
    /// <summary>Makes an exception.</summary>
    /// <param name="errorCode">The error.</param>
    /// <param name="message">What failed and why; null for the error's name alone.</param>
    /// <param name="innerException">The cause.</param>
    public KafkaException(ErrorCode errorCode, string? message = null, Exception? innerException = null)
        : base(TextOf(errorCode, message), innerException) => (ErrorCode, Detail) = (errorCode, message);

    /// <summary>
    /// The error, as the cluster said it. <see cref="ErrorCode.NetworkException"/> when there was no connection, and
    /// <see cref="ErrorCode.UnknownServerError"/> when the client has no better code.
    /// </summary>
    public ErrorCode ErrorCode { get; }

    /// <summary>What the cluster, or the client, says about the error, without its name; null when it says nothing more.</summary>
    public string? Detail { get; internal init; }

    /// <summary>Whether the same operation may succeed when it is tried again.</summary>
    public bool IsRetriable => ErrorKinds.IsRetriable(ErrorCode);

    private static string TextOf(ErrorCode errorCode, string? message) =>
        string.IsNullOrEmpty(message) ? errorCode.ToKafkaName() : $"{message} ({errorCode.ToKafkaName()})";
}

/// <summary>An operation did not end in time; the message says what it last waited for. It may have been executed.</summary>
/// <param name="message">What was waited for, how long, and the last failure.</param>
/// <param name="innerException">The last failure.</param>
public sealed class KafkaTimeoutException(string message, Exception? innerException = null)
    : KafkaException(ErrorCode.RequestTimedOut, message, innerException);

/// <summary>
/// TLS failed, so that nothing was sent: this client does not believe the node's certificate, or the node does not take the client's.
/// Trying again does not help. A login that fails is a <see cref="KafkaException"/> with
/// <see cref="Ottla.Protocol.ErrorCode.SaslAuthenticationFailed"/>.
/// </summary>
/// <remarks>Kafka has no code for it, so <see cref="KafkaException.ErrorCode"/> is <see cref="ErrorCode.UnknownServerError"/>.</remarks>
/// <param name="message">Who was refused, and why.</param>
/// <param name="innerException">The cause.</param>
public sealed class SslAuthenticationException(string message, Exception? innerException = null)
    : KafkaException(ErrorCode.UnknownServerError, message, innerException);
