using System.Globalization;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Metadata;
using ResourceRequest = Ottla.Protocol.Messages.DescribeConfigsRequest.DescribeConfigsResource;
using ResourceResponse = Ottla.Protocol.Messages.DescribeConfigsResponse.DescribeConfigsResult;

namespace Ottla.Broker.Api;

/// <summary>
/// DescribeConfigs (key 32), versions 1 to 4: the effective configs of topics, this broker, groups and client metrics, with their sources;
/// the levels of loggers.
/// </summary>
/// <remarks>
/// A resource that the request names more than once has one answer, where Kafka repeats it: a request of 73 KB would ask for 700 MB. The
/// answer never has passwords. As in Kafka, what the client may not see stands behind what it may. Errors per resource:
/// TOPIC_AUTHORIZATION_FAILED, GROUP_AUTHORIZATION_FAILED, CLUSTER_AUTHORIZATION_FAILED, UNKNOWN_TOPIC_OR_PARTITION,
/// INVALID_TOPIC_EXCEPTION, INVALID_REQUEST (another broker, or an unknown resource type), INVALID_CONFIG.
/// </remarks>
internal sealed class DescribeConfigsHandler(
    ClusterView cluster, Func<BrokerConfig> config, LeveledLoggers loggers, Authorizer authorizer)
    : IApiHandler<DescribeConfigsRequest, DescribeConfigsResponse>
{
    /// <summary>About how long it takes to collect and encode all configs of a resource.</summary>
    private const int MicrosecondsPerResource = 300;

    /// <inheritdoc/>
    public int EstimateMicroseconds(RequestContext context, DescribeConfigsRequest request) =>
        request.Resources.Length * MicrosecondsPerResource;

    public ValueTask<DescribeConfigsResponse?> HandleAsync(RequestContext context, DescribeConfigsRequest request)
    {
        var image = cluster.Image;
        var resources = request.Resources.DistinctBy(
            resource => (resource.ResourceType, resource.ResourceName, string.Join('\n', resource.ConfigurationKeys ?? [])));
        if (Array.Find(request.Resources, resource => !IsKnown(resource)) is { } unknown)
        {
            return Answer(resources.Select(resource =>
                Refuse(resource, ErrorCode.InvalidRequest, $"Unexpected resource type UNKNOWN for resource {unknown.ResourceName}")));
        }

        var judged = resources.Select(resource => (Resource: resource, Refusal: Refusal(context, resource))).ToLookup(
            each => each.Refusal is null);
        return Answer(
            judged[true].Select(each => Describe(image, each.Resource, request)).Concat(judged[false].Select(each => each.Refusal!)));

        static ValueTask<DescribeConfigsResponse?> Answer(IEnumerable<ResourceResponse> results) =>
            ValueTask.FromResult<DescribeConfigsResponse?>(new DescribeConfigsResponse { Results = [.. results] });
    }

    /// <summary>Refuses a resource that the client may not see the configs of; null when it may.</summary>
    private ResourceResponse? Refusal(in RequestContext context, ResourceRequest resource)
    {
        var (type, name) = (ConfigResourceType)resource.ResourceType switch
        {
            ConfigResourceType.Topic => (ResourceType.Topic, resource.ResourceName),
            ConfigResourceType.Group => (ResourceType.Group, resource.ResourceName),
            _ => (ResourceType.Cluster, AclBinding.ClusterName),
        };
        return authorizer.Allows(context, AclOperation.DescribeConfigs, type, name)
            ? null
            : Refuse(resource, Authorizer.ErrorOf(type), Authorizer.TextOf(type));
    }

    private static bool IsKnown(ResourceRequest resource) =>
        Enum.IsDefined((ConfigResourceType)resource.ResourceType) && resource.ResourceType != (sbyte)ConfigResourceType.Unknown;

    private ResourceResponse Describe(MetadataImage image, ResourceRequest resource, DescribeConfigsRequest request)
    {
        try
        {
            return new ResourceResponse
            {
                ErrorMessage = "", // Kafka has no null here
                ResourceType = resource.ResourceType,
                ResourceName = resource.ResourceName,
                Configs = [.. Entries(image, resource)
                    .Select(entry => ToResponse(entry, request.IncludeSynonyms, request.IncludeDocumentation))],
            };
        }
        catch (ApiException e) // fails this resource only
        {
            return Refuse(resource, e.Error.Code, e.Error.Message ?? "");
        }
        catch (ConfigException e)
        {
            return Refuse(resource, ErrorCode.InvalidConfig, e.Message);
        }
    }

    private static ResourceResponse Refuse(ResourceRequest resource, ErrorCode error, string message) =>
        new()
        {
            ResourceType = resource.ResourceType,
            ResourceName = resource.ResourceName,
            ErrorCode = (short)error,
            ErrorMessage = message
        };

    private IEnumerable<ConfigEntry> Entries(MetadataImage image, ResourceRequest resource)
    {
        var type = (ConfigResourceType)resource.ResourceType;
        var name = resource.ResourceName;
        var names = resource.ConfigurationKeys is { Length: > 0 } keys ? keys.ToHashSet(StringComparer.Ordinal) : null;
        var overrides = image.Configs.Of(new ConfigResource(type, name));
        switch (type)
        {
            case ConfigResourceType.Topic:
                if (TopicNames.ReasonInvalid(name) is { } reason)
                    throw new ApiException(ErrorCode.InvalidTopicException, reason);
                return image.Topics.Find(name) is null ? throw new ApiException(ErrorCode.UnknownTopicOrPartition)
                    : ConfigDescription.Topic(config(), overrides, names);
            case ConfigResourceType.Broker when name.Length == 0:
                return ConfigDescription.BrokerDefaults(config(), names);
            case ConfigResourceType.Broker:
                CheckIsThisBroker(name, " or empty string,");
                return ConfigDescription.Broker(config(), names);
            case ConfigResourceType.BrokerLogger when name.Length == 0:
                throw new ApiException(ErrorCode.InvalidRequest, "Broker id must not be empty");
            case ConfigResourceType.BrokerLogger:
                CheckIsThisBroker(name, "");
                return loggers.Levels.Where(logger => names?.Contains(logger.Key) ?? true).Select(ToEntry);
            case ConfigResourceType.Group when name.Length > 0:
                return ConfigDescription.Group(config(), overrides, names);
            case ConfigResourceType.Group:
                throw new ApiException(ErrorCode.InvalidRequest, "Group name must not be empty");
            case ConfigResourceType.ClientMetrics when name.Length > 0:
                return ConfigDescription.ClientMetrics(overrides, names);
            default:
                throw new ApiException(ErrorCode.InvalidRequest, "Client metrics subscription name must not be empty");
        }
    }

    private void CheckIsThisBroker(string name, string otherwise)
    {
        if (!int.TryParse(name, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var id))
            throw new ApiException(ErrorCode.InvalidRequest, $"Broker id must be an integer, but it is: {name}");
        if (id != config().NodeId)
            throw new ApiException(
                ErrorCode.InvalidRequest, $"Unexpected broker id, expected {config().NodeId}{otherwise} but received {name}");
    }

    private static ConfigEntry ToEntry(KeyValuePair<string, string> logger) =>
        new(logger.Key, logger.Value, ConfigSource.DynamicBrokerLogger, IsSensitive: false, IsReadOnly: false, ConfigType.Unknown, null,
            []);

    private static DescribeConfigsResponse.DescribeConfigsResourceResult ToResponse(
        ConfigEntry entry, bool includeSynonyms, bool includeDocumentation) => new()
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
            : [.. entry.Synonyms.Select(
                synonym => new DescribeConfigsResponse.DescribeConfigsSynonym { Name = synonym.Name, Value = synonym.Value,
                    Source = (sbyte)synonym.Source })],
        };
}
