using System.Net;
using Microsoft.Extensions.Logging;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>What the server logs.</summary>
internal static partial class ServerLog
{
    [LoggerMessage(Level = LogLevel.Information, Message = "Listening on {Listener} {EndPoint}")]
    public static partial void Listening(ILogger logger, string listener, IPEndPoint endPoint);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Closing the connection of {Client} on {Listener}: {Reason}")]
    public static partial void MalformedRequest(ILogger logger, IPAddress client, string listener, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "Closing the connection of {Client} on {Listener}: {Reason}")]
    public static partial void Ended(ILogger logger, IPAddress client, string listener, string reason);

    [LoggerMessage(Level = LogLevel.Debug, Message = "Lost the connection of {Client}: {Reason}")]
    public static partial void ConnectionLost(ILogger logger, IPAddress client, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Login of {Client} on {Listener} by {Mechanism} failed: {Reason}")]
    public static partial void LoginFailed(ILogger logger, IPAddress client, string listener, string mechanism, string reason);

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "Closing the connection of {Client} on {Listener}, which is not logged in: {Reason}")]
    public static partial void LoginBroken(ILogger logger, IPAddress client, string listener, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message =
        "Closing the oldest connection of {Client} on {Listener} that is not logged in: {Limit} of them are all that "
            + "ottla.login.connections.per.ip.max allows")]
    public static partial void TooManyLogins(ILogger logger, IPAddress client, string listener, int limit);

    [LoggerMessage(Level = LogLevel.Warning, Message = "TLS handshake of {Client} on {Listener} failed: {Reason}")]
    public static partial void HandshakeFailed(ILogger logger, IPAddress client, string listener, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "{Api} request {CorrelationId} of {Client} failed unexpectedly; the client gets UNKNOWN_SERVER_ERROR")]
    public static partial void RequestFailed(ILogger logger, ApiKey api, int correlationId, IPAddress client, Exception exception);

    [LoggerMessage(Level = LogLevel.Error, Message = "Closing the connection of {Client} because of an unexpected failure: this is a bug")]
    public static partial void ConnectionFailed(ILogger logger, IPAddress client, Exception exception);

    [LoggerMessage(
        Level = LogLevel.Warning,
            Message = "Refusing a connection of {Client}: its address has all {Limit} connections that max.connections.per.ip allows")]
    public static partial void TooManyConnectionsOfClient(ILogger logger, IPAddress client, int limit);

    [LoggerMessage(
        Level = LogLevel.Warning,
            Message = "Refusing a connection of {Client}: its address connects more often than its quota connection_creation_rate allows")]
    public static partial void ConnectionsTooFast(ILogger logger, IPAddress client);

    [LoggerMessage(Level = LogLevel.Error, Message = "The listener {Listener} failed and accepts no more connections; restart the node")]
    public static partial void ListenerFailed(ILogger logger, string listener, Exception exception);
}
