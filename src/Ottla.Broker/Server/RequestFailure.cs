using Ottla.Broker.Hosts;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.Broker.Server;

/// <summary>What a client is told of an exception that a handler did not turn into a response itself. Stateless.</summary>
internal static class RequestFailure
{
    /// <summary>The error of an exception; UNKNOWN_SERVER_ERROR, without a message, for what is not meant for clients.</summary>
    public static (ErrorCode Error, string? Message) ErrorOf(Exception exception) => exception switch
    {
        ApiException e => (e.Error.Code, e.Error.Message),
        LogException e => (e.ErrorCode, e.Message),
        MetadataLogException e => (e.ErrorCode, e.Message),
        RecordValidationException e => (e.ErrorCode, e.Message),
        _ => (ErrorCode.UnknownServerError, null),
    };
}
