using Ottla.Broker.Hosts;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Storage.Log;

namespace Ottla.Broker.Server;

/// <summary>Translates exceptions of handlers into errors for clients. Stateless.</summary>
internal static class RequestFailure
{
    /// <summary>The error of an exception. An internal exception becomes UNKNOWN_SERVER_ERROR without a message.</summary>
    public static (ErrorCode Error, string? Message) ErrorOf(Exception exception) => exception switch
    {
        ApiException e => (e.Error.Code, e.Error.Message),
        LogException e => (e.ErrorCode, e.Message),
        MetadataLogException e => (e.ErrorCode, e.Message),
        RecordValidationException e => (e.ErrorCode, e.Message),
        _ => (ErrorCode.UnknownServerError, null),
    };
}
