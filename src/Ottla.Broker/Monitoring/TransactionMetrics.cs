using Ottla.Broker.Hosts.Coordinators;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Transactions;

namespace Ottla.Broker.Monitoring;

/// <summary>The transactions whose coordinator is this broker, and how old the oldest open one is.</summary>
/// <param name="transactions">The coordinators.</param>
/// <param name="time">The clock.</param>
internal sealed class TransactionMetrics(CoordinatorHost<TransactionCommand> transactions, TimeProvider time) : IMetricSource
{
    private static readonly MetricFamily Ids = MetricFamily.Gauge(
        NameOf("transactional_id_count"), "Transactional ids whose coordinator is this broker.", "state");
    private static readonly MetricFamily Oldest = MetricFamily.Gauge(
        NameOf("active_transaction_total_time_max"),
        "Milliseconds since the oldest transaction began that is open, or whose markers are not all written; 0 for none.");

    /// <inheritdoc/>
    public IReadOnlyList<MetricFamily> Families { get; } = [Ids, Oldest];

    /// <inheritdoc/>
    public async ValueTask CollectAsync(IMetricOutput output, bool isDetailed)
    {
        var byState = new SortedDictionary<TransactionState, int>();
        Instant? oldest = null;
        foreach (var partition in transactions.Partitions)
        {
            try
            {
                var counts = await transactions.SubmitAsync(partition, new CountTransactionsCommand());
                foreach (var (state, count) in counts.ByState)
                    byState[state] = byState.GetValueOrDefault(state) + count;
                if (counts.OldestStart is { } start && (oldest is null || start < oldest.Value))
                    oldest = start;
            }
            catch (ApiException)
            {
                // It is being loaded, or has moved: its transactions are told by whoever has them.
            }
        }

        output.Begin(Ids);
        foreach (var (state, count) in byState)
            output.Add(count, state.ToString());
        output.Begin(Oldest);
        output.Add(oldest is { } began ? Math.Max(Instant.Now(time).MillisecondsSince(began), 0) : 0);
    }

    private static string NameOf(string what) => $"kafka_server_transaction_coordinator_metrics_{what}";
}
