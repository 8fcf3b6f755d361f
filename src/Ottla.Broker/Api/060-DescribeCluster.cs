using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Node = Ottla.Protocol.Messages.DescribeClusterResponse.DescribeClusterBroker;

namespace Ottla.Broker.Api;

/// <summary>The kind of nodes that a listener describes (KIP-919).</summary>
public enum EndpointType : sbyte
{
    /// <summary>Brokers.</summary>
    Broker = 1,

    /// <summary>Controllers.</summary>
    Controller = 2,
}

/// <summary>
/// DescribeCluster (key 60), versions 0 to 2: the cluster's id and its nodes, with the addresses of the listener that the request came in
/// on.
/// </summary>
/// <remarks>
/// A broker's listener describes brokers, and names one of them as the controller: clients send it requests for the controller, and it
/// forwards them. A controller's listener describes the registered controllers, and names the active one. Errors: MISMATCHED_ENDPOINT_TYPE
/// for the other kind of nodes, UNSUPPORTED_ENDPOINT_TYPE for other types (both INVALID_REQUEST in version 0), UNSUPPORTED_VERSION from a
/// controller whose metadata.version has no registrations of controllers.
/// </remarks>
internal sealed class DescribeClusterHandler(ClusterView cluster, EndpointType type, Func<int> controllerId, Authorizer authorizer)
    : IApiHandler<DescribeClusterRequest, DescribeClusterResponse>
{
    private const short FirstVersionWithTypes = 1;
    private const short FirstVersionWithFenced = 2;

    public ValueTask<DescribeClusterResponse?> HandleAsync(RequestContext context, DescribeClusterRequest request)
    {
        if (type == EndpointType.Controller)
            CheckControllersAreKnown();
        if (request.EndpointType != (sbyte)type)
            return ValueTask.FromResult<DescribeClusterResponse?>(Refuse(context, request));
        var nodes = type == EndpointType.Broker ? Brokers(context, request) : Controllers(context);
        var active = controllerId();
        var response = new DescribeClusterResponse
        {
            EndpointType = (sbyte)type,
            ClusterId = cluster.ClusterId,
            ControllerId = Array.Exists(nodes, node => node.BrokerId == active) ? active : -1,
            Brokers = nodes,
        };
        if (request.IncludeClusterAuthorizedOperations)
            response.ClusterAuthorizedOperations = AuthorizedOperations.OfCluster(authorizer, context);
        return ValueTask.FromResult<DescribeClusterResponse?>(response);
    }

    private void CheckControllersAreKnown()
    {
        if (cluster.Image.Features.MetadataVersion is not { } version)
        {
            throw new ApiException(
                ErrorCode.UnsupportedVersion,
                "There is no finalized MetadataVersion, so direct-to-controller communication is not supported.");
        }

        if (!version.SupportsControllerRegistration)
        {
            throw new ApiException(
                ErrorCode.UnsupportedVersion, "Direct-to-controller communication is not supported with the current MetadataVersion.");
        }
    }

    private DescribeClusterResponse Refuse(RequestContext context, DescribeClusterRequest request)
    {
        var wanted = (EndpointType)request.EndpointType;
        var isKnown = Enum.IsDefined(wanted);
        var error = context.ApiVersion < FirstVersionWithTypes ? ErrorCode.InvalidRequest
            : isKnown ? ErrorCode.MismatchedEndpointType
            : ErrorCode.UnsupportedEndpointType;
        return new DescribeClusterResponse
        {
            ErrorCode = (short)error,
            ErrorMessage = isKnown
                ? $"The request was sent to an endpoint of type {Name(type)}, but we wanted an endpoint of type {Name(wanted)}"
                : $"Unsupported endpoint type {request.EndpointType}",
        };
    }

    private static string Name(EndpointType type) => type == EndpointType.Broker ? "BROKER" : "CONTROLLER";

    private Node[] Brokers(RequestContext context, DescribeClusterRequest request) =>
    [
        .. ClusterView.Brokers(cluster.Image, context.Connection.ListenerName)
            .Where(broker => !broker.IsFenced || request.IncludeFencedBrokers)
            .Select(broker => new Node
            {
                BrokerId = broker.Id,
                Host = broker.Host,
                Port = broker.Port,
                Rack = broker.Rack,
                IsFenced = broker.IsFenced && context.ApiVersion >= FirstVersionWithFenced,
            }),
    ];

    private Node[] Controllers(RequestContext context) =>
    [
        .. from controller in cluster.Image.Cluster.Controllers.Values
           from endpoint in controller.Endpoints
           where endpoint.Listener == context.Connection.ListenerName
           select new Node { BrokerId = controller.Id, Host = endpoint.Host, Port = endpoint.Port },
    ];
}
