using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>Makes the changes that AlterConfigs and IncrementalAlterConfigs ask for.</summary>
internal interface IConfigAlterer
{
    /// <summary>Makes the changes, each as a whole or not at all.</summary>
    /// <param name="context">The context of the request.</param>
    /// <param name="changes">One for each resource of the request.</param>
    /// <param name="validateOnly">Whether to check the changes only.</param>
    /// <returns>An answer for each change, in their order.</returns>
    ValueTask<IReadOnlyList<ApiError>> AlterAsync(RequestContext context, IReadOnlyList<ConfigChange> changes, bool validateOnly);
}

/// <summary>
/// Changes configs for clients of a controller's listener: sets the levels of this node's loggers itself, and leaves all else to the
/// controller. Has no state; used by any thread.
/// </summary>
internal sealed class ControllerConfigAlterer(IController controller, LoggerLevels loggers, Authorizer authorizer) : IConfigAlterer
{
    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<ApiError>> AlterAsync(
        RequestContext context, IReadOnlyList<ConfigChange> changes, bool validateOnly)
    {
        var refusals = Authorize(context, changes);
        List<ConfigChange> allowed = [.. changes.Where((change, i) => refusals[i] is null && !IsForLoggers(change))];
        var decided = new Queue<ApiError>(await DecideAsync(context, allowed, validateOnly));
        return
        [
            .. changes.Select((change, i) => refusals[i]
                ?? (IsForLoggers(change) ? loggers.Alter(change, validateOnly) : decided.Dequeue())),
        ];
    }

    /// <summary>
    /// Why the client may not change resources; null for those that it may. What is wrong with a request itself comes first.
    /// </summary>
    private ApiError?[] Authorize(RequestContext context, IReadOnlyList<ConfigChange> changes)
    {
        var refusals = new ApiError?[changes.Count];
        if (!authorizer.IsEnabled)
            return refusals;
        var repeated = changes.GroupBy(change => change.Resource).Where(same => same.Skip(1).Any()).Select(same => same.Key).ToHashSet();
        for (var i = 0; i < refusals.Length; i++)
        {
            var resource = changes[i].Resource;
            (AclOperation Operation, ResourceType Type, string Name)? needed = resource.Type switch
            {
                _ when IsForLoggers(changes[i]) => (AclOperation.ClusterAction, ResourceType.Cluster, AclBinding.ClusterName),
                _ when repeated.Contains(resource) => null,
                ConfigResourceType.Topic => (AclOperation.AlterConfigs, ResourceType.Topic, resource.Name),
                ConfigResourceType.Group => (AclOperation.AlterConfigs, ResourceType.Group, resource.Name),
                ConfigResourceType.Broker or ConfigResourceType.ClientMetrics =>
                    (AclOperation.AlterConfigs, ResourceType.Cluster, AclBinding.ClusterName),
                _ => null,
            };
            if (needed is var (operation, type, name) && !authorizer.Allows(context, operation, type, name))
                refusals[i] = new ApiError(Authorizer.ErrorOf(type), Authorizer.TextOf(type));
        }

        return refusals;
    }

    private static bool IsForLoggers(ConfigChange change) =>
        change.Resource.Type == ConfigResourceType.BrokerLogger && !change.ReplacesAll;

    private async ValueTask<IReadOnlyList<ApiError>> DecideAsync(RequestContext context, List<ConfigChange> changes, bool validateOnly) =>
        changes.Count == 0
            ? []
            : await controller.SubmitAsync(new AlterConfigsCommand(changes, validateOnly) { IsForwarded = context.Connection.IsForwarded });
}
