using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
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
internal sealed class ControllerConfigAlterer(IController controller, LoggerLevels loggers) : IConfigAlterer
{
    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<ApiError>> AlterAsync(
        RequestContext context, IReadOnlyList<ConfigChange> changes, bool validateOnly)
    {
        var decided = new Queue<ApiError>(await DecideAsync(context, [.. changes.Where(change => !IsForLoggers(change))], validateOnly));
        return [.. changes.Select(change => IsForLoggers(change) ? loggers.Alter(change, validateOnly) : decided.Dequeue())];
    }

    private static bool IsForLoggers(ConfigChange change) =>
        change.Resource.Type == ConfigResourceType.BrokerLogger && !change.ReplacesAll;

    private async ValueTask<IReadOnlyList<ApiError>> DecideAsync(RequestContext context, List<ConfigChange> changes, bool validateOnly) =>
        changes.Count == 0
            ? []
            : await controller.SubmitAsync(new AlterConfigsCommand(changes, validateOnly) { IsForwarded = context.Connection.IsForwarded });
}
