using Ottla.Protocol;

namespace Ottla.Broker.Api;

/// <summary>Errors of transactions, as older clients know them.</summary>
internal static class TransactionErrors
{
    /// <summary>The error for a client of a version: before PRODUCER_FENCED it was INVALID_PRODUCER_EPOCH.</summary>
    public static ErrorCode ForVersion(ErrorCode error, short version, short firstVersionWithProducerFenced) =>
        error == ErrorCode.ProducerFenced && version < firstVersionWithProducerFenced ? ErrorCode.InvalidProducerEpoch : error;
}
