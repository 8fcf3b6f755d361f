using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Transactions;

namespace Ottla.Broker.Api;

/// <summary>
/// ListTransactions (key 66), versions 0 to 2: the transactional ids that this broker coordinates, by state, producer id, duration (v1+)
/// and pattern (v2).
/// </summary>
/// <remarks>
/// Ids that the client may not describe are left out. The response names the unknown states of the filter. A pattern has RE2's syntax, and
/// matches the whole id. Errors: INVALID_REGULAR_EXPRESSION for a malformed pattern, COORDINATOR_LOAD_IN_PROGRESS while this broker loads
/// any of its partitions, COORDINATOR_NOT_AVAILABLE.
/// </remarks>
internal sealed class ListTransactionsHandler(CoordinatorHost<TransactionCommand> transactions, Authorizer authorizer)
    : IApiHandler<ListTransactionsRequest, ListTransactionsResponse>
{
    private static readonly Dictionary<string, TransactionState> States =
        Enum.GetValues<TransactionState>().ToDictionary(state => state.ToString(), StringComparer.Ordinal);

    public async ValueTask<ListTransactionsResponse?> HandleAsync(RequestContext context, ListTransactionsRequest request)
    {
        HashSet<TransactionState>? states = null;
        if (request.StateFilters.Length > 0)
            states = [.. request.StateFilters.Where(States.ContainsKey).Select(state => States[state])];
        var pattern = string.IsNullOrEmpty(request.TransactionalIdPattern)
            ? null
            : TransactionalIdPattern.Parse(request.TransactionalIdPattern);
        var command = new ListTransactionsCommand(states, request.ProducerIdFilters.ToHashSet(), request.DurationFilter, pattern);
        var listed = await transactions.SubmitToAllAsync(command);
        return new ListTransactionsResponse
        {
            UnknownStateFilters = [.. request.StateFilters.Where(state => !States.ContainsKey(state)).Distinct()],
            TransactionStates =
            [
                .. listed.SelectMany(each => each).Where(
                    listed => authorizer.Sees(context, AclOperation.Describe, ResourceType.TransactionalId, listed.TransactionalId)),
            ],
        };
    }
}
