using System.Text.RegularExpressions;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Transactions;
using TransactionStateData = Ottla.Protocol.Messages.ListTransactionsResponse.TransactionStateData;

namespace Ottla.Broker.Api;

/// <summary>ListTransactions (key 66), versions 0 to 2: the transactional ids that this broker coordinates, by state, producer id, duration (v1+) and pattern (v2).</summary>
/// <remarks>
/// State filters that are no states are named in the response. A pattern matches the whole id. Errors: INVALID_REGULAR_EXPRESSION for a pattern that is
/// none, COORDINATOR_LOAD_IN_PROGRESS while any of the ids here are loaded, COORDINATOR_NOT_AVAILABLE.
/// </remarks>
internal sealed class ListTransactionsHandler(CoordinatorHost<TransactionCommand> transactions) : IApiHandler<ListTransactionsRequest, ListTransactionsResponse>
{
    private static readonly Dictionary<string, TransactionState> States =
        Enum.GetValues<TransactionState>().ToDictionary(state => state.ToString(), StringComparer.Ordinal);

    public async ValueTask<ListTransactionsResponse?> HandleAsync(RequestContext context, ListTransactionsRequest request)
    {
        var response = new ListTransactionsResponse { UnknownStateFilters = [.. request.StateFilters.Where(state => !States.ContainsKey(state))] };
        if (!TryCompile(request.TransactionalIdPattern, out var pattern))
        {
            response.ErrorCode = (short)ErrorCode.InvalidRegularExpression;
            return response;
        }

        HashSet<TransactionState>? states = null;
        if (request.StateFilters.Length > 0)
            states = [.. request.StateFilters.Where(States.ContainsKey).Select(state => States[state])];
        var command = new ListTransactionsCommand(states, request.ProducerIdFilters.ToHashSet(), request.DurationFilter, pattern);
        try
        {
            var listed = new List<TransactionStateData>();
            foreach (var partition in transactions.Partitions)
                listed.AddRange(await transactions.SubmitAsync<IReadOnlyList<TransactionStateData>>(partition, command));
            response.TransactionStates = [.. listed];
        }
        catch (ApiException e)
        {
            response.ErrorCode = (short)e.Error.Code;
        }

        return response;
    }

    private static bool TryCompile(string? text, out Regex? pattern)
    {
        pattern = null;
        if (string.IsNullOrEmpty(text))
            return true;
        try
        {
            // Without backtracking .NET's patterns are of the power of Kafka's, and no pattern takes for ever.
            pattern = new Regex($@"\A(?:{text})\z", RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
            return true;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return false;
        }
    }
}
