using System.Globalization;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>
/// ListConfigResources (key 74), versions 0 to 1: the resources that can have configs. Version 0 lists client metrics only; an empty list
/// of types means all.
/// </summary>
/// <remarks>Errors: UNSUPPORTED_VERSION for a type that cannot be listed.</remarks>
internal sealed class ListConfigResourcesHandler(ClusterView cluster) : IApiHandler<ListConfigResourcesRequest, ListConfigResourcesResponse>
{
    private static readonly ConfigResourceType[] AllTypes =
        [ConfigResourceType.Topic, ConfigResourceType.Broker, ConfigResourceType.BrokerLogger, ConfigResourceType.ClientMetrics,
            ConfigResourceType.Group];

    public ValueTask<ListConfigResourcesResponse?> HandleAsync(RequestContext context, ListConfigResourcesRequest request)
    {
        ConfigResourceType[] types = context.ApiVersion == 0 ? [ConfigResourceType.ClientMetrics]
            : request.ResourceTypes.Length == 0 ? AllTypes
            : [.. request.ResourceTypes.Select(type => (ConfigResourceType)type).Distinct()];
        if (types.Except(AllTypes).Any())
            return ValueTask.FromResult<ListConfigResourcesResponse?>(
                new ListConfigResourcesResponse { ErrorCode = (short)ErrorCode.UnsupportedVersion });

        var image = cluster.Image;
        var response = new ListConfigResourcesResponse
        {
            ConfigResources =
            [
                .. types.SelectMany(
                    type => Names(image, type).Select(
                        name => new ListConfigResourcesResponse.ConfigResource { ResourceType = (sbyte)type, ResourceName = name })),
            ],
        };
        return ValueTask.FromResult<ListConfigResourcesResponse?>(response);
    }

    private static IEnumerable<string> Names(MetadataImage image, ConfigResourceType type) => type switch
    {
        ConfigResourceType.Topic => image.Topics.ByName.Keys,
        ConfigResourceType.Broker or ConfigResourceType.BrokerLogger =>
            image.Cluster.Brokers.Keys.Select(id => id.ToString(CultureInfo.InvariantCulture)),
        _ => image.Configs.ByResource.Keys.Where(resource => resource.Type == type).Select(resource => resource.Name),
    };
}
