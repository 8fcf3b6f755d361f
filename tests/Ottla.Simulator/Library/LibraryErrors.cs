using Ottla.Client;
using Ottla.Protocol;

namespace Ottla.Simulator.Library;

/// <summary>What exceptions of the library say.</summary>
internal static class LibraryErrors
{
    /// <summary>Whether a record may be written though its send has thrown.</summary>
    public static bool IsInDoubt(KafkaException e) =>
        e is KafkaTimeoutException or FatalProducerException
        || e.ErrorCode is ErrorCode.NetworkException or ErrorCode.OutOfOrderSequenceNumber;

    /// <summary>Whether faults explain it: time was over, the producer was closed, a broker has forgotten a sequence.</summary>
    public static bool IsExpected(KafkaException e) =>
        e is KafkaTimeoutException || e.ErrorCode is ErrorCode.NetworkException or ErrorCode.OutOfOrderSequenceNumber;
}
