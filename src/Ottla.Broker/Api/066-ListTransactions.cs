using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Api;

/// <summary>ListTransactions (key 66), versions 0 to 2: the transactions that this broker coordinates: none yet.</summary>
/// <remarks>State filters that are no states are named in the response. Errors: INVALID_REGULAR_EXPRESSION for a pattern (v2) that is none.</remarks>
internal sealed class ListTransactionsHandler : IApiHandler<ListTransactionsRequest, ListTransactionsResponse>
{
    private static readonly HashSet<string> States =
        new(["Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"], StringComparer.Ordinal);

    public ValueTask<ListTransactionsResponse?> HandleAsync(RequestContext context, ListTransactionsRequest request) =>
        ValueTask.FromResult<ListTransactionsResponse?>(new ListTransactionsResponse
        {
            ErrorCode = (short)(IsPattern(request.TransactionalIdPattern) ? ErrorCode.None : ErrorCode.InvalidRegularExpression),
            UnknownStateFilters = [.. request.StateFilters.Where(state => !States.Contains(state))],
        });

    private static bool IsPattern(string? pattern)
    {
        if (string.IsNullOrEmpty(pattern))
            return true;
        try
        {
            // Kafka's patterns are RE2's; without backtracking .NET's are of the same power, and as safe.
            _ = new System.Text.RegularExpressions.Regex(pattern, System.Text.RegularExpressions.RegexOptions.NonBacktracking);
            return true;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            return false;
        }
    }
}
