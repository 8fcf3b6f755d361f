using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;

namespace Ottla.Broker.Api;

/// <summary>Why this broker refuses requests about delegation tokens (KIP-48).</summary>
internal static class DelegationTokens
{
    /// <summary>The time in the answer to a request that fails.</summary>
    public const long NoTimestamp = -1;

    /// <summary>The user of a connection that nobody logged in on.</summary>
    public const string AnonymousName = "ANONYMOUS";

    /// <summary>The type of a user.</summary>
    public const string UserType = "User";

    /// <summary>
    /// DELEGATION_TOKEN_REQUEST_NOT_ALLOWED on a connection without an authenticated user, otherwise DELEGATION_TOKEN_AUTH_DISABLED: this
    /// broker keeps no tokens.
    /// </summary>
    public static ErrorCode RefusalOf(RequestContext context, BrokerConfig config)
    {
        var listener = config.BrokerListeners.FirstOrDefault(listener => listener.Name == context.Connection.ListenerName);
        return listener?.SecurityProtocol is SecurityProtocol.SASL_PLAINTEXT or SecurityProtocol.SASL_SSL
            ? ErrorCode.DelegationTokenAuthDisabled
            : ErrorCode.DelegationTokenRequestNotAllowed;
    }
}
