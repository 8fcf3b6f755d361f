using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>DescribeTransactions (key 65), version 0: the state of transactional ids.</summary>
/// <remarks>This broker coordinates none yet: every id is TRANSACTIONAL_ID_NOT_FOUND; an empty one INVALID_REQUEST.</remarks>
internal sealed class DescribeTransactionsHandler : IApiHandler<DescribeTransactionsRequest, DescribeTransactionsResponse>
{
    public ValueTask<DescribeTransactionsResponse?> HandleAsync(RequestContext context, DescribeTransactionsRequest request) =>
        ValueTask.FromResult<DescribeTransactionsResponse?>(new DescribeTransactionsResponse
        {
            TransactionStates =
            [
                .. request.TransactionalIds.Select(id => new DescribeTransactionsResponse.TransactionStateData
                {
                    TransactionalId = id,
                    ErrorCode = (short)(id.Length == 0 ? ErrorCode.InvalidRequest : ErrorCode.TransactionalIdNotFound),
                }),
            ],
        });
}
