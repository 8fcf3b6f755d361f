using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>FindCoordinator (key 10), versions 0 to 6: the coordinator of a group (key type 0), a transactional id (1) or a share partition (2, from version 6).</summary>
/// <remarks>This broker has no coordinators yet: every valid key is answered with COORDINATOR_NOT_AVAILABLE, which clients retry. Errors: INVALID_REQUEST for other key types.</remarks>
internal sealed class FindCoordinatorHandler : IApiHandler<FindCoordinatorRequest, FindCoordinatorResponse>
{
    private const sbyte ShareKey = 2;
    private const short FirstVersionWithBatches = 4;
    private const short FirstVersionWithShareKeys = 6;

    public ValueTask<FindCoordinatorResponse?> HandleAsync(RequestContext context, FindCoordinatorRequest request)
    {
        var isKnownType = request.KeyType is >= 0 and < ShareKey || (request.KeyType == ShareKey && context.ApiVersion >= FirstVersionWithShareKeys);
        var error = isKnownType ? ErrorCode.CoordinatorNotAvailable : ErrorCode.InvalidRequest;
        var response = context.ApiVersion >= FirstVersionWithBatches
            ? new FindCoordinatorResponse
            {
                Coordinators = [.. request.CoordinatorKeys.Select(key => new FindCoordinatorResponse.Coordinator { Key = key, NodeId = -1, Port = -1, ErrorCode = (short)error })],
            }
            : new FindCoordinatorResponse { NodeId = -1, Port = -1, ErrorCode = (short)error };
        return ValueTask.FromResult<FindCoordinatorResponse?>(response);
    }
}
