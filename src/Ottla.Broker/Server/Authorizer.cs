using Microsoft.Extensions.Logging;
using Ottla.Broker.Metadata;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Server;

/// <summary>Says what the sender of a request may do. One for each node: it follows the access control entries of the metadata.</summary>
/// <remarks>
/// Without an authorizer in the configuration everything is allowed, and nothing is looked up. Otherwise a connection keeps what its
/// principal may do, until the entries or the principal change; asking then allocates nothing. Any thread may ask.
/// </remarks>
public sealed partial class Authorizer : IMetadataPublisher, IDisposable
{
    /// <summary>Allows everything.</summary>
    public static readonly Authorizer None = new(null, null);

    private readonly StandardAuthorizer? _authorizer;
    private readonly LimitedLogger? _logger;

    private Authorizer(StandardAuthorizer? authorizer, LimitedLogger? logger)
    {
        _authorizer = authorizer;
        _logger = logger;
    }

    /// <inheritdoc/>
    public string Name => "access control";

    /// <summary>Whether there is an authorizer.</summary>
    public bool IsEnabled => _authorizer is not null;

    /// <summary>The entries in force, by which requests are judged.</summary>
    public AclsImage Entries => _authorizer?.Index?.Image ?? AclsImage.Empty;

    /// <summary>Hears what handlers ask for: tests compare it with what the table declares.</summary>
    internal Action<ApiKey, AclOperation, ResourceType>? Asked { get; set; }

    /// <summary>Makes the authorizer that the configuration names.</summary>
    /// <param name="settings">How it is configured; null for none.</param>
    /// <param name="logger">Logs what is denied.</param>
    /// <param name="time">The clock.</param>
    public static Authorizer Create(AuthorizerSettings? settings, ILogger logger, TimeProvider time) =>
        settings is null ? None : new Authorizer(new StandardAuthorizer(settings), new LimitedLogger(logger, time));

    /// <summary>Whether the sender may do an operation on a resource. If not, the log says so.</summary>
    public bool Allows(in RequestContext context, AclOperation operation, ResourceType type, string name)
    {
        if (Sees(context, operation, type, name))
            return true;
        LogDenied(context, operation, type, name);
        return false;
    }

    /// <summary>Whether the sender may do an operation on the cluster. If not, the log says so.</summary>
    public bool AllowsOnCluster(in RequestContext context, AclOperation operation) =>
        Allows(context, operation, ResourceType.Cluster, AclBinding.ClusterName);

    /// <summary>As <see cref="Allows"/>, to leave out what the sender did not ask for by name: the log does not tell of it.</summary>
    public bool Sees(in RequestContext context, AclOperation operation, ResourceType type, string name)
    {
        if (_authorizer is null)
            return true;
        Asked?.Invoke(context.ApiKey, operation, type);
        return AccessOf(context.Connection).Allows(operation, type, name);
    }

    /// <summary>As <see cref="Sees"/>, to describe a topic.</summary>
    public bool SeesTopic(in RequestContext context, string name) => Sees(context, AclOperation.Describe, ResourceType.Topic, name);

    /// <summary>Whether the sender may do an operation on any resource of a kind.</summary>
    public bool AllowsOnAny(in RequestContext context, AclOperation operation, ResourceType type)
    {
        if (_authorizer is null || AccessOf(context.Connection).AllowsOnAny(operation, type))
            return true;
        LogDenied(context, operation, type, "any");
        return false;
    }

    /// <summary>The operations of some that the sender may do on a resource, as bits (KIP-430).</summary>
    public int Operations(in RequestContext context, ResourceType type, string name, int supported) =>
        _authorizer is null ? supported : supported & AccessOf(context.Connection).Operations(type, name);

    /// <summary>Refuses a request whose sender may not do an operation on a resource.</summary>
    /// <exception cref="ApiException">The error of the resource's kind.</exception>
    public void Require(in RequestContext context, AclOperation operation, ResourceType type, string name)
    {
        if (!Allows(context, operation, type, name))
            throw Refusal(type);
    }

    /// <summary>Refuses a request whose sender may not do an operation on the cluster.</summary>
    /// <exception cref="ApiException">CLUSTER_AUTHORIZATION_FAILED.</exception>
    public void RequireOnCluster(in RequestContext context, AclOperation operation)
    {
        if (!AllowsOnCluster(context, operation))
        {
            throw new ApiException(
                ErrorCode.ClusterAuthorizationFailed, $"The request needs {NameOf(operation)} permission on the cluster.");
        }
    }

    /// <summary>The error of a request that names a resource which its sender may not use.</summary>
    public static ApiException Refusal(ResourceType type) => new(ErrorOf(type));

    /// <summary>The error for a kind of resource.</summary>
    public static ErrorCode ErrorOf(ResourceType type) => type switch
    {
        ResourceType.Topic => ErrorCode.TopicAuthorizationFailed,
        ResourceType.Group => ErrorCode.GroupAuthorizationFailed,
        ResourceType.TransactionalId => ErrorCode.TransactionalIdAuthorizationFailed,
        ResourceType.DelegationToken or ResourceType.User => ErrorCode.DelegationTokenAuthorizationFailed,
        _ => ErrorCode.ClusterAuthorizationFailed,
    };

    /// <summary>Kafka's text of the error for a kind of resource.</summary>
    public static string TextOf(ResourceType type) => type switch
    {
        ResourceType.Topic => "Topic authorization failed.",
        ResourceType.Group => "Group authorization failed.",
        ResourceType.TransactionalId => "Transactional Id authorization failed.",
        ResourceType.DelegationToken or ResourceType.User => "Delegation Token authorization failed.",
        _ => "Cluster authorization failed.",
    };

    /// <summary>An operation by its name in Kafka's tools and logs.</summary>
    public static string NameOf(AclOperation operation) => operation switch
    {
        AclOperation.ClusterAction => "CLUSTER_ACTION",
        AclOperation.DescribeConfigs => "DESCRIBE_CONFIGS",
        AclOperation.AlterConfigs => "ALTER_CONFIGS",
        AclOperation.IdempotentWrite => "IDEMPOTENT_WRITE",
        AclOperation.CreateTokens => "CREATE_TOKENS",
        AclOperation.DescribeTokens => "DESCRIBE_TOKENS",
        AclOperation.TwoPhaseCommit => "TWO_PHASE_COMMIT",
        _ => operation.ToString().ToUpperInvariant(),
    };

    /// <inheritdoc/>
    public void Publish(MetadataDelta delta)
    {
        ArgumentNullException.ThrowIfNull(delta);
        if (_authorizer is null)
            return;
        var acls = delta.New.Acls;
        if (_authorizer.Index is not { } index)
        {
            _authorizer.Set(AclIndex.Empty.With(acls, acls.ById.Keys));
            LogLoaded(_logger!, acls.ById.Count);
        }
        else if (!ReferenceEquals(index.Image, acls))
        {
            // A snapshot may have been loaded in between; then what changed is not known.
            _authorizer.Set(
                ReferenceEquals(index.Image, delta.Old.Acls) ? index.With(acls, delta.Acls) : AclIndex.Empty.With(acls, acls.ById.Keys));
        }
    }

    /// <summary>Logs what its limit left out.</summary>
    public void Dispose() => _logger?.Dispose();

    private PrincipalAccess AccessOf(ConnectionInfo connection)
    {
        var principal = connection.Principal;
        if (connection.Access is { } known && ReferenceEquals(known.Principal, principal) && _authorizer!.IsCurrent(known.Access))
            return known.Access;
        var access = _authorizer!.AccessOf($"{principal.Type}:{principal.Name}", ClientHost.From(connection.ClientAddress));
        connection.Access = new ConnectionAccess(principal, access);
        return access;
    }

    private void LogDenied(in RequestContext context, AclOperation operation, ResourceType type, string name)
    {
        if (!_logger!.IsEnabled(LogLevel.Information))
            return;
        var principal = context.Connection.Principal;
        LogDenied(
            _logger, $"{principal.Type}:{principal.Name}", NameOf(operation), context.Connection.ClientAddress.ToString(), type, name,
            context.ApiKey);
    }

    [LoggerMessage(
        Level = LogLevel.Information,
        Message = "Principal = {Principal} is Denied operation = {Operation} from host = {Host} on resource = {Type}:LITERAL:{Name} "
            + "for request = {Api}")]
    private static partial void LogDenied(
        ILogger logger, string principal, string operation, string host, ResourceType type, string name, ApiKey api);

    [LoggerMessage(Level = LogLevel.Information, Message = "Requests are authorized by {Count} access control entries from now on")]
    private static partial void LogLoaded(ILogger logger, int count);
}

/// <summary>What the principal of a connection may do.</summary>
/// <param name="Principal">The principal.</param>
/// <param name="Access">What it may do.</param>
internal sealed record ConnectionAccess(ClientPrincipal Principal, PrincipalAccess Access);
