using System.Globalization;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>
/// Changes configs for AlterConfigs and IncrementalAlterConfigs. The broker that receives a request checks its own configuration and its
/// loggers, which only it knows; the controller decides on the rest. Has no state; used by any thread.
/// </summary>
internal sealed class ConfigAlterer(
    Forwarder forwarder, Func<BrokerConfig> config, Action<BrokerConfig> checkSecurity, LoggerLevels loggers, Authorizer authorizer)
    : IConfigAlterer
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
                answers[i] = AlterLoggers(changes[i]);
            else if (Refusal(changes[i]) is { } refusal)
                answers[i] = refusal;
            else
                Forward(i);
        }

        if (forController.Count == 0)
            return answers;
        var decided = await ForwardAsync(context, forController, validateOnly);
        for (var i = 0; i < places.Count; i++)
            answers[places[i]] = decided[i];
        return answers;

        ApiError AlterLoggers(ConfigChange change) => authorizer.AllowsOnCluster(context, AclOperation.AlterConfigs)
            ? loggers.Alter(change, validateOnly)
            : new ApiError(ErrorCode.ClusterAuthorizationFailed, Authorizer.TextOf(ResourceType.Cluster));

        void Forward(int place)
        {
            forController.Add(Normalize(changes[place]));
            places.Add(place);
        }
    }

    /// <summary>Forwards changes to the active controller, in a request of the kind that the client sent.</summary>
    private async ValueTask<IReadOnlyList<ApiError>> ForwardAsync(RequestContext context, List<ConfigChange> changes, bool validateOnly)
    {
        try
        {
            var answers = context.ApiKey == ApiKey.AlterConfigs
                ? (await forwarder.ForwardAsync<AlterConfigsRequest, AlterConfigsResponse>(context, ToAlterConfigs(changes, validateOnly)))
                    ?.Responses.Select(answer => (answer.ErrorCode, answer.ErrorMessage))
                : (await forwarder.ForwardAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(
                    context, ToIncremental(changes, validateOnly)))
                    ?.Responses.Select(answer => (answer.ErrorCode, answer.ErrorMessage));
            List<ApiError> errors = [.. (answers ?? []).Select(answer => new ApiError((ErrorCode)answer.ErrorCode, answer.ErrorMessage))];
            if (errors.Count != changes.Count)
                throw new ApiException(
                    ErrorCode.UnknownServerError, $"The active controller answered {errors.Count} of {changes.Count} changes.");
            return errors;
        }
        catch (ApiException e)
        {
            return [.. changes.Select(_ => e.Error)];
        }
    }

    private static AlterConfigsRequest ToAlterConfigs(List<ConfigChange> changes, bool validateOnly) => new()
    {
        ValidateOnly = validateOnly,
        Resources = [.. changes.Select(change => new AlterConfigsRequest.AlterConfigsResource
        {
            ResourceType = (sbyte)change.Resource.Type,
            ResourceName = change.Resource.Name,
            Configs = [.. change.Alterations.Select(
                altered => new AlterConfigsRequest.AlterableConfig { Name = altered.Name, Value = altered.Value })],
        })],
    };

    private static IncrementalAlterConfigsRequest ToIncremental(List<ConfigChange> changes, bool validateOnly) => new()
    {
        ValidateOnly = validateOnly,
        Resources = [.. changes.Select(change => new IncrementalAlterConfigsRequest.AlterConfigsResource
        {
            ResourceType = (sbyte)change.Resource.Type,
            ResourceName = change.Resource.Name,
            Configs = [.. change.Alterations.Select(altered => new IncrementalAlterConfigsRequest.AlterableConfig
            {
                Name = altered.Name,
                ConfigOperation = (sbyte)altered.Operation,
                Value = altered.Value,
            })],
        })],
    };

    /// <summary>Why this broker refuses a change; null when the controller decides.</summary>
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
                return new ApiError(
                    ErrorCode.InvalidRequest, $"Unexpected broker id, expected {current.NodeId}, but received {change.Resource.Name}");
        }

        try
        {
            var inForce = isPerBroker ? current.DynamicPerBroker : current.DynamicClusterDefaults;
            var updated = Apply(change, inForce);
            checkSecurity(DynamicBrokerRules.Validate(
                current, isPerBroker ? current.DynamicClusterDefaults : updated, isPerBroker ? updated : current.DynamicPerBroker));
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

    /// <summary>Why a change is malformed; null when it is not.</summary>
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

    /// <summary>A client may name broker 0 "00". Its configs are stored under its id, where the broker looks for them.</summary>
    private static ConfigChange Normalize(ConfigChange change) => change.Resource is { Type: ConfigResourceType.Broker, Name.Length: > 0 }
        ? change with { Resource = ConfigResource.Broker(int.Parse(change.Resource.Name, CultureInfo.InvariantCulture)) }
        : change;

    /// <summary>The error for an invalid value.</summary>
    internal static ApiError ToError(ConfigException e) =>
        new(e.Kind == ConfigErrorKind.InvalidRequest ? ErrorCode.InvalidRequest : ErrorCode.InvalidConfig, e.Message);
}
