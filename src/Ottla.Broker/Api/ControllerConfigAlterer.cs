using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Api;

/// <summary>Makes the changes that both APIs for configs ask for.</summary>
internal interface IConfigAlterer
{
    /// <summary>Makes the changes, each as a whole or not at all.</summary>
    /// <param name="context">The request's.</param>
    /// <param name="changes">One for each resource of the request.</param>
    /// <param name="validateOnly">Whether they are only checked.</param>
    /// <returns>An answer for each, in their order.</returns>
    ValueTask<IReadOnlyList<ApiError>> AlterAsync(RequestContext context, IReadOnlyList<ConfigChange> changes, bool validateOnly);
}

/// <summary>
/// Changes configs on a controller's listener: the levels of this node's loggers at once, everything else as the controller decides. Has no
/// state; used by any thread.
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
