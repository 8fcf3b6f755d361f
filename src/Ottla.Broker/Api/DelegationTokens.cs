using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;

namespace Ottla.Broker.Api;

/// <summary>Carries out a request that a broker has checked: by the active controller, here or elsewhere.</summary>
internal delegate ValueTask<TResponse?> CarryOut<in TRequest, TResponse>(RequestContext context, TRequest request)
    where TResponse : class;

/// <summary>Who may ask for delegation tokens (KIP-48). Has no state; used by any thread.</summary>
/// <param name="config">The configuration in force.</param>
/// <param name="authorizer">Says what a client may do.</param>
internal sealed class DelegationTokens(Func<BrokerConfig> config, Authorizer authorizer)
{
    /// <summary>The time in the answer to a request that may not be made.</summary>
    public const long NoTimestamp = -1;

    /// <summary>The type of a user.</summary>
    public const string UserType = "User";

    /// <summary>
    /// Whether tokens may be asked for on a connection. A client must have logged in with a secret of its own: not with a token, and not on
    /// a listener without logins. A broker that forwards a request has checked its listener.
    /// </summary>
    private bool AllowsRequests(in RequestContext context)
    {
        var connection = context.Connection;
        if (connection.Principal.IsTokenAuthenticated)
            return false;
        if (connection.IsForwarded)
            return true;
        return config().ListenerSecurityProtocols.GetValueOrDefault(connection.ListenerName) switch
        {
            SecurityProtocol.SASL_PLAINTEXT or SecurityProtocol.SASL_SSL => true,
            SecurityProtocol.SSL => connection.Principal != ClientPrincipal.Anonymous,
            _ => false,
        };
    }

    /// <summary>Refuses a request on a connection on which tokens may not be asked for.</summary>
    /// <exception cref="ApiException">DELEGATION_TOKEN_REQUEST_NOT_ALLOWED.</exception>
    public void DemandAllowed(in RequestContext context)
    {
        if (!AllowsRequests(context))
            throw new ApiException(ErrorCode.DelegationTokenRequestNotAllowed);
    }

    /// <summary>Why a client may not have a token made; NONE when it may.</summary>
    /// <param name="context">The context of the request.</param>
    /// <param name="owner">Whose token it would be.</param>
    /// <param name="renewers">Who else could renew it.</param>
    public ErrorCode RefusalOf(in RequestContext context, ClientPrincipal owner, IEnumerable<string> renewers)
    {
        if (!AllowsRequests(context))
            return ErrorCode.DelegationTokenRequestNotAllowed;
        var requester = context.Connection.Principal;
        if (NameOf(owner) != NameOf(requester)
            && !authorizer.Allows(context, AclOperation.CreateTokens, ResourceType.User, NameOf(owner)))
            return ErrorCode.DelegationTokenAuthorizationFailed;
        return renewers.All(type => type == UserType) ? ErrorCode.None : ErrorCode.InvalidPrincipalType;
    }

    /// <summary>Whether a client may see a token of somebody else.</summary>
    public bool Sees(in RequestContext context, string tokenId, string owner) =>
        authorizer.Sees(context, AclOperation.Describe, ResourceType.DelegationToken, tokenId)
        || authorizer.Sees(context, AclOperation.DescribeTokens, ResourceType.User, owner);

    /// <summary>A principal as tokens and entries have it.</summary>
    public static string NameOf(ClientPrincipal principal) => $"{principal.Type}:{principal.Name}";
}
