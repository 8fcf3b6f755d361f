using System.Security.Authentication;
using Ottla.Network.Transport;
using Ottla.Requests.Security;

namespace Ottla.Requests;

/// <summary>What every new connection begins with, and what is said of one that fails meanwhile. Keeps nothing.</summary>
internal static class ConnectionSetup
{
    /// <summary>Connects and secures the connection.</summary>
    /// <exception cref="AuthenticationException">The peer or this node is refused.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async ValueTask<SecuredConnection> ConnectAsync(
        ITransport transport, NodeAddress address, RequestChannelOptions options, CancellationToken cancellation)
    {
        var connection = await transport.ConnectAsync(address.EndPoint, options.BufferSizes, cancellation);
        if (options.Security is not { } security)
            return new SecuredConnection(connection, null);
        try
        {
            return await security.SecureAsync(connection, address, cancellation);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>The kind of a failure to set a connection up, and its reason in words.</summary>
    /// <param name="failure">The failure.</param>
    /// <param name="isTooLong">Whether <see cref="RequestChannelOptions.ConnectTimeout"/> is over.</param>
    /// <param name="options">The options of the connection.</param>
    public static (RequestFailureKind Kind, string Reason) Describe(Exception failure, bool isTooLong, RequestChannelOptions options) => (
        failure is AuthenticationException ? RequestFailureKind.AuthenticationFailed : RequestFailureKind.Disconnected,
        failure is OperationCanceledException && isTooLong
            ? $"it was not set up within {options.ConnectTimeout.TotalMilliseconds} ms"
            : failure.Message);
}
