using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>DescribeCluster (key 60), versions 0 to 2: cluster id, brokers and controller.</summary>
/// <remarks>Errors: MISMATCHED_ENDPOINT_TYPE when controllers are asked for on a broker's listener, UNSUPPORTED_ENDPOINT_TYPE for other types.</remarks>
internal sealed class DescribeClusterHandler(ClusterView cluster) : IApiHandler<DescribeClusterRequest, DescribeClusterResponse>
{
    private const sbyte Brokers = 1;
    private const sbyte Controllers = 2;

    public ValueTask<DescribeClusterResponse?> HandleAsync(RequestContext context, DescribeClusterRequest request)
    {
        if (request.EndpointType != Brokers)
        {
            var isController = request.EndpointType == Controllers;
            return ValueTask.FromResult<DescribeClusterResponse?>(new DescribeClusterResponse
            {
                ErrorCode = (short)(isController ? ErrorCode.MismatchedEndpointType : ErrorCode.UnsupportedEndpointType),
                ErrorMessage = isController ? "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER" : $"Unsupported endpoint type {request.EndpointType}",
            });
        }

        var image = cluster.Image;
        var brokers = ClusterView.Brokers(image, context.Connection.ListenerName).Where(broker => !broker.IsFenced || request.IncludeFencedBrokers).ToList();
        var response = new DescribeClusterResponse
        {
            ClusterId = cluster.ClusterId,
            ControllerId = brokers.Find(broker => !broker.IsFenced)?.Id ?? -1,
            Brokers = [.. brokers.Select(broker => new DescribeClusterResponse.DescribeClusterBroker { BrokerId = broker.Id, Host = broker.Host, Port = broker.Port, Rack = broker.Rack, IsFenced = broker.IsFenced && context.ApiVersion >= 2 })],
        };
        if (request.IncludeClusterAuthorizedOperations)
            response.ClusterAuthorizedOperations = AuthorizedOperations.Cluster;
        return ValueTask.FromResult<DescribeClusterResponse?>(response);
    }
}
