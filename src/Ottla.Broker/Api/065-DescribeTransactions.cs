using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Transactions;
using TransactionStateData = Ottla.Protocol.Messages.DescribeTransactionsResponse.TransactionStateData;

namespace Ottla.Broker.Api;

/// <summary>DescribeTransactions (key 65), version 0: the state of transactional ids that this broker coordinates.</summary>
/// <remarks>
/// Errors, for each id: INVALID_REQUEST for an empty one, TRANSACTIONAL_ID_NOT_FOUND, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS,
/// COORDINATOR_NOT_AVAILABLE.
/// </remarks>
internal sealed class DescribeTransactionsHandler(CoordinatorHost<TransactionCommand> transactions)
    : IApiHandler<DescribeTransactionsRequest, DescribeTransactionsResponse>
{
    public async ValueTask<DescribeTransactionsResponse?> HandleAsync(RequestContext context, DescribeTransactionsRequest request)
    {
        string[] ids = [.. request.TransactionalIds.Distinct(StringComparer.Ordinal)];
        var states = new TransactionStateData[ids.Length];
        for (var i = 0; i < states.Length; i++)
            states[i] = await DescribeAsync(ids[i]);
        return new DescribeTransactionsResponse { TransactionStates = states };
    }

    private Task<TransactionStateData> DescribeAsync(string id)
    {
        var described = id.Length == 0
            ? ValueTask.FromException<TransactionStateData>(new ApiException(ErrorCode.InvalidRequest))
            : transactions.SubmitAsync(id, new DescribeTransactionCommand(id));
        return described.OrFailed(error => new TransactionStateData { TransactionalId = id, ErrorCode = (short)error.Code });
    }
}
