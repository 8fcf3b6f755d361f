using System.Globalization;
using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>
/// Changes configs for clients, behind both of the APIs for it. The broker that receives a request checks what only it can
/// know, its own configuration and its loggers; the controller decides on the rest. Has no state; used by any thread.
/// </summary>
internal sealed class ConfigAlterer(ControllerChannel controller, Func<BrokerConfig> config, LoggerLevels loggers) : IConfigAlterer
{
    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<ApiError>> AlterAsync(
        RequestContext context, IReadOnlyList<ConfigChange> changes, bool validateOnly)
    {
        var repeated = changes.GroupBy(change => change.Resource).Where(same => same.Skip(1).Any()).Select(same => same.Key).ToHashSet();
        var answers = new ApiError[changes.Count];
        List<ConfigChange> forController = [];
        List<int> places = [];
        for (var i = 0; i < changes.Count; i++)
        {
            if (repeated.Contains(changes[i].Resource))
                answers[i] = new ApiError(ErrorCode.InvalidRequest, "Each resource must appear at most once.");
            else if (changes[i].Resource.Type == ConfigResourceType.BrokerLogger && !changes[i].ReplacesAll)
                answers[i] = loggers.Alter(changes[i], validateOnly);
            else if (Refusal(changes[i]) is { } refusal)
                answers[i] = refusal;
            else
                Forward(i);
        }

        if (forController.Count == 0)
            return answers;
        var decided = await DecideAsync(new AlterConfigsCommand(forController, validateOnly));
        for (var i = 0; i < places.Count; i++)
            answers[places[i]] = decided[i];
        return answers;

        void Forward(int place)
        {
            forController.Add(Normalize(changes[place]));
            places.Add(place);
        }
    }

    private async ValueTask<IReadOnlyList<ApiError>> DecideAsync(AlterConfigsCommand command)
    {
        try
        {
            return await controller.SubmitAsync(command);
        }
        catch (ApiException e)
        {
            return [.. command.Changes.Select(_ => e.Error)];
        }
    }

    /// <summary>Why this broker refuses a change; null when the controller is to decide.</summary>
    private ApiError? Refusal(ConfigChange change)
    {
        if (MalformedReason(change) is { } malformed)
            return new ApiError(ErrorCode.InvalidRequest, malformed);
        switch (change.Resource.Type)
        {
            case ConfigResourceType.Broker:
                return BrokerRefusal(change);
            case ConfigResourceType.Topic or ConfigResourceType.ClientMetrics or ConfigResourceType.Group:
                return null;
            default:
                return new ApiError(ErrorCode.InvalidRequest, $"Unknown resource type {(sbyte)change.Resource.Type}");
        }
    }

    private ApiError? BrokerRefusal(ConfigChange change)
    {
        var current = config();
        var isPerBroker = change.Resource.Name.Length > 0;
        if (isPerBroker)
        {
            if (!int.TryParse(change.Resource.Name, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var id))
                return new ApiError(ErrorCode.InvalidRequest, $"Node id must be an integer, but it is: {change.Resource.Name}");
            if (id != current.NodeId)
                return new ApiError(ErrorCode.InvalidRequest, $"Unexpected broker id, expected {current.NodeId}, but received {change.Resource.Name}");
        }

        try
        {
            var inForce = isPerBroker ? current.DynamicPerBroker : current.DynamicClusterDefaults;
            var updated = Apply(change, inForce);
            DynamicBrokerRules.Validate(
                current, isPerBroker ? current.DynamicClusterDefaults : updated, isPerBroker ? updated : current.DynamicPerBroker);
            return null;
        }
        catch (ConfigException e)
        {
            return ToError(e);
        }
    }

    private static Dictionary<string, string> Apply(ConfigChange change, IReadOnlyDictionary<string, string> inForce)
    {
        var updated = change.ReplacesAll ? [] : new Dictionary<string, string>(inForce, StringComparer.Ordinal);
        foreach (var alteration in change.Alterations)
        {
            var value = DynamicConfigRules.ValidateAlteration(
                ConfigResourceType.Broker, change.Resource.Name, alteration.Name, alteration.Operation, alteration.Value, inForce);
            if (value is null)
                updated.Remove(alteration.Name);
            else
                updated[alteration.Name] = value;
        }

        return updated;
    }

    /// <summary>Why a change cannot be understood; null when it can.</summary>
    internal static string? MalformedReason(ConfigChange change)
    {
        var names = change.Alterations.Select(alteration => alteration.Name).ToHashSet(StringComparer.Ordinal);
        if (names.Count < change.Alterations.Count)
            return "Error due to duplicate config keys";
        var withoutValue = change.Alterations
            .Where(alteration => alteration.Operation != AlterConfigOperation.Delete && alteration.Value is null)
            .Select(alteration => alteration.Name).ToList();
        return withoutValue.Count > 0 ? $"Null value not supported for : {string.Join(", ", withoutValue)}" : null;
    }

    /// <summary>A broker may be named "00"; its configs are stored under its id, or nobody would find them.</summary>
    private static ConfigChange Normalize(ConfigChange change) => change.Resource is { Type: ConfigResourceType.Broker, Name.Length: > 0 }
        ? change with { Resource = ConfigResource.Broker(int.Parse(change.Resource.Name, CultureInfo.InvariantCulture)) }
        : change;

    /// <summary>What a client is told of a value that is invalid.</summary>
    internal static ApiError ToError(ConfigException e) =>
        new(e.Kind == ConfigErrorKind.InvalidRequest ? ErrorCode.InvalidRequest : ErrorCode.InvalidConfig, e.Message);
}
