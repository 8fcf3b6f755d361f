using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Transactions;
using TransactionStateData = Ottla.Protocol.Messages.DescribeTransactionsResponse.TransactionStateData;

namespace Ottla.Broker.Api;

/// <summary>DescribeTransactions (key 65), version 0: the state of transactional ids that this broker coordinates.</summary>
/// <remarks>
/// Topics that the client may not describe are left out. Errors, for each id: TRANSACTIONAL_ID_AUTHORIZATION_FAILED, INVALID_REQUEST for an
/// empty one, TRANSACTIONAL_ID_NOT_FOUND, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE.
/// </remarks>
internal sealed class DescribeTransactionsHandler(CoordinatorHost<TransactionCommand> transactions, Authorizer authorizer)
    : IApiHandler<DescribeTransactionsRequest, DescribeTransactionsResponse>
{
    public async ValueTask<DescribeTransactionsResponse?> HandleAsync(RequestContext context, DescribeTransactionsRequest request)
    {
        string[] ids = [.. request.TransactionalIds.Distinct(StringComparer.Ordinal)];
        var states = new TransactionStateData[ids.Length];
        for (var i = 0; i < states.Length; i++)
            states[i] = await DescribeAsync(context, ids[i]);
        foreach (var state in authorizer.IsEnabled ? states : [])
            state.Topics = [.. state.Topics.Where(topic => authorizer.SeesTopic(context, topic.Topic))];
        return new DescribeTransactionsResponse { TransactionStates = states };
    }

    private Task<TransactionStateData> DescribeAsync(in RequestContext context, string id)
    {
        var described = !authorizer.Allows(context, AclOperation.Describe, ResourceType.TransactionalId, id)
            ? ValueTask.FromException<TransactionStateData>(Authorizer.Refusal(ResourceType.TransactionalId))
            : id.Length == 0
            ? ValueTask.FromException<TransactionStateData>(new ApiException(ErrorCode.InvalidRequest))
            : transactions.SubmitAsync(id, new DescribeTransactionCommand(id));
        return described.OrFailed(error => new TransactionStateData { TransactionalId = id, ErrorCode = (short)error.Code });
    }
}
