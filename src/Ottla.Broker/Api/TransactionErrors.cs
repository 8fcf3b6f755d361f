using Ottla.Protocol;

namespace Ottla.Broker.Api;

/// <summary>Errors of transactions for older clients.</summary>
internal static class TransactionErrors
{
    /// <summary>The error for a version of an API: versions that do not know PRODUCER_FENCED have INVALID_PRODUCER_EPOCH instead.</summary>
    public static ErrorCode ForVersion(ErrorCode error, short version, short firstVersionWithProducerFenced) =>
        error == ErrorCode.ProducerFenced && version < firstVersionWithProducerFenced ? ErrorCode.InvalidProducerEpoch : error;
}
