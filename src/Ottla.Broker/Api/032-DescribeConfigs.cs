using System.Globalization;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using ResourceRequest = Ottla.Protocol.Messages.DescribeConfigsRequest.DescribeConfigsResource;
using ResourceResponse = Ottla.Protocol.Messages.DescribeConfigsResponse.DescribeConfigsResult;

namespace Ottla.Broker.Api;

/// <summary>DescribeConfigs (key 32), versions 1 to 4: the effective configs of topics, this broker, groups and client metrics, with where they come from.</summary>
/// <remarks>Passwords are never shown. Errors per resource: UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION, INVALID_REQUEST (another broker, or no such resource type), INVALID_CONFIG.</remarks>
internal sealed class DescribeConfigsHandler(ClusterView cluster, Func<BrokerConfig> config) : IApiHandler<DescribeConfigsRequest, DescribeConfigsResponse>
{
    public ValueTask<DescribeConfigsResponse?> HandleAsync(RequestContext context, DescribeConfigsRequest request)
    {
        var image = cluster.Image;
        var response = new DescribeConfigsResponse { Results = [.. request.Resources.Select(resource => Describe(image, resource, request))] };
        return ValueTask.FromResult<DescribeConfigsResponse?>(response);
    }

    private ResourceResponse Describe(MetadataImage image, ResourceRequest resource, DescribeConfigsRequest request)
    {
        var response = new ResourceResponse { ResourceType = resource.ResourceType, ResourceName = resource.ResourceName };
        try
        {
            response.Configs = [.. Entries(image, resource).Select(entry => ToResponse(entry, request.IncludeSynonyms, request.IncludeDocumentation))];
        }
        catch (ApiException e)
        {
            (response.ErrorCode, response.ErrorMessage) = ((short)e.Error.Code, e.Error.Message);
        }
        catch (ConfigException e)
        {
            (response.ErrorCode, response.ErrorMessage) = ((short)ErrorCode.InvalidConfig, e.Message);
        }

        return response;
    }

    private IReadOnlyList<ConfigEntry> Entries(MetadataImage image, ResourceRequest resource)
    {
        var type = (ConfigResourceType)resource.ResourceType;
        var name = resource.ResourceName;
        var names = resource.ConfigurationKeys is { Length: > 0 } keys ? keys.ToHashSet(StringComparer.Ordinal) : null;
        var overrides = image.Configs.Of(new ConfigResource(type, name));
        switch (type)
        {
            case ConfigResourceType.Topic when TopicNames.ReasonInvalid(name) is not null:
                throw new ApiException(ErrorCode.InvalidTopicException, $"Topic name is invalid: '{name}'");
            case ConfigResourceType.Topic:
                return image.Topics.Find(name) is null ? throw new ApiException(ErrorCode.UnknownTopicOrPartition) : ConfigDescription.Topic(config(), overrides, names);
            case ConfigResourceType.Broker when name.Length == 0:
                return ConfigDescription.BrokerDefaults(config(), names);
            case ConfigResourceType.Broker:
                return name == config().NodeId.ToString(CultureInfo.InvariantCulture)
                    ? ConfigDescription.Broker(config(), names)
                    : throw new ApiException(ErrorCode.InvalidRequest, $"Unexpected broker id, expected {config().NodeId} or empty string, but received {name}");
            case ConfigResourceType.Group when name.Length > 0:
                return ConfigDescription.Group(config(), overrides, names);
            case ConfigResourceType.ClientMetrics when name.Length > 0:
                return ConfigDescription.ClientMetrics(overrides, names);
            case ConfigResourceType.Group or ConfigResourceType.ClientMetrics:
                throw new ApiException(ErrorCode.InvalidRequest, $"The name of a {type} resource must not be empty.");
            default:
                throw new ApiException(ErrorCode.InvalidRequest, $"Configs of resource type {resource.ResourceType} are not served here.");
        }
    }

    private static DescribeConfigsResponse.DescribeConfigsResourceResult ToResponse(ConfigEntry entry, bool includeSynonyms, bool includeDocumentation) => new()
    {
        Name = entry.Name,
        Value = entry.Value,
        ReadOnly = entry.IsReadOnly,
        ConfigSource = (sbyte)entry.Source,
        IsSensitive = entry.IsSensitive,
        ConfigType = (sbyte)entry.Type,
        Documentation = includeDocumentation ? entry.Documentation : null,
        Synonyms = !includeSynonyms
            ? []
            : [.. entry.Synonyms.Select(synonym => new DescribeConfigsResponse.DescribeConfigsSynonym { Name = synonym.Name, Value = synonym.Value, Source = (sbyte)synonym.Source })],
    };
}
