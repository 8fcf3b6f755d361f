using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Clients;

namespace Ottla.Simulator.Replication;

/// <summary>
/// C2: what coordinators say from memory, they say when they have read their logs anew. All that is known of groups and transactions is
/// asked for, before and after every broker was restarted.
/// </summary>
/// <param name="client">Asks.</param>
/// <param name="committed">The groups, and the partitions whose offsets they may have committed.</param>
/// <param name="transactionalIds">The transactional ids.</param>
internal sealed class CoordinatorAnswers(
    SimClient client, IReadOnlyList<(string Group, TopicPartition Partition)> committed, IReadOnlyList<string> transactionalIds)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>Whether there is anything to ask for.</summary>
    public bool IsEmpty => committed.Count == 0 && transactionalIds.Count == 0;

    /// <summary>Asks for everything.</summary>
    /// <returns>A line for each answer, in the same order each time.</returns>
    /// <exception cref="SimulationException">A coordinator does not answer.</exception>
    public async Task<List<string>> AskAsync()
    {
        var answers = new List<string>();
        foreach (var (group, partition) in committed)
            answers.Add($"the group {group} has committed {await client.CommittedOffsetAsync(group, partition)} of {partition}");
        foreach (var id in transactionalIds)
            answers.Add(await DescribeTransactionAsync(id));
        return answers;
    }

    private async Task<string> DescribeTransactionAsync(string id)
    {
        var request = new DescribeTransactionsRequest { TransactionalIds = [id] };
        var response = await client.CallUntilAnsweredAsync<DescribeTransactionsRequest, DescribeTransactionsResponse>(
            request, answer => (ErrorCode)answer.TransactionStates[0].ErrorCode, Patience,
            to: Destination.CoordinatorOfTransactions(id));
        if (response?.TransactionStates[0] is not { } state)
            throw new SimulationException($"nobody tells of the transactions of {id}");
        return $"{id}: {(ErrorCode)state.ErrorCode}, {state.TransactionState}, producer {state.ProducerId}/{state.ProducerEpoch}, "
            + $"{state.Topics.Length} topics";
    }
}
