using Ottla.Client;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Library;

/// <summary>A transactional producer of the library, and what the history says of its transactions. Used by its one process.</summary>
internal sealed class LibraryTransactor(
    LibrarySession session, SimProcess process, long number, OttlaClient client, string transactionalId, TimeSpan transactionTimeout)
{
    private const int CommitPercent = 80;
    private const int EndAttemptsMax = 3;

    private readonly Producer<byte[], long> _producer = client.CreateProducer<byte[], long>(
        session.ProducerOptions with { TransactionalId = transactionalId, TransactionTimeout = transactionTimeout });

    private ProducerTransaction? _transaction;

    /// <summary>Whether the producer cannot go on, or nobody knows what became of its transaction: the next one begins anew.</summary>
    public bool IsOver { get; private set; }

    private TimeSpan CallBound => session.ProducerOptions.DeliveryTimeout + (session.Conditions.ApiTimeout * 2);

    /// <summary>Runs a transaction.</summary>
    /// <param name="body">What it does; returns sends that are under way.</param>
    /// <returns>Whether it was committed.</returns>
    public async Task<bool> RunAsync(Func<List<Step>, Task<List<Task>>> body)
    {
        var steps = new List<Step>();
        var operation = new Operation { Process = number, Outcome = Outcome.Info, IsTransaction = true, Steps = steps };
        var recorded = session.History.Begin(operation);
        var outcome = Outcome.Fail; // until a commit is asked for, there can be none
        try
        {
            _transaction = await session.EndsAsync(process, "beginning a transaction", CallBound, _producer.BeginTransactionAsync());
            var isCommit = session.World.Random.NextChance(CommitPercent);
            List<Task> sends = [];
            try
            {
                sends = await body(steps);
            }
            catch (KafkaException e) when (e is not FatalProducerException)
            {
                process.Tell?.Invoke($"aborts: {e.Message}");
                isCommit = false;
            }

            outcome = await EndAsync(isCommit);
            foreach (var send in sends)
                await EndedAsync(send);
        }
        catch (KafkaException e) when (e is FatalProducerException or KafkaTimeoutException)
        {
            process.Tell?.Invoke($"ends: {e.Message}");
            IsOver = true;
        }
        finally
        {
            session.History.End(recorded, operation with { Outcome = outcome });
        }

        return outcome == Outcome.Ok;
    }

    /// <summary>Sends a record in the transaction.</summary>
    public async Task SendAsync(TopicPartition partition, long value, List<Step> steps)
    {
        steps.Add(new Send(partition.ToString(), value));
        var index = steps.Count - 1;
        var record = new ProducerRecord<byte[], long>(partition.Topic, null, value) { Partition = partition.Partition };
        var metadata = await session.EndsAsync(process, $"sending {value}", session.SendBound, _producer.ProduceAsync(record));
        if (metadata.Offset >= 0)
            steps[index] = new Send(partition.ToString(), value, metadata.Offset);
    }

    /// <summary>Commits offsets in the transaction.</summary>
    public Task SendOffsetsAsync(IReadOnlyList<PartitionOffset> offsets, ConsumerGroupMetadata group) =>
        session.EndsAsync(process, "sending offsets", CallBound, _transaction!.SendOffsetsAsync(offsets, group));

    private async Task<Outcome> EndAsync(bool isCommit)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await session.EndsAsync(
                    process, isCommit ? "a commit" : "an abort", CallBound,
                    isCommit ? _transaction!.CommitAsync() : _transaction!.AbortAsync());
                return isCommit ? Outcome.Ok : Outcome.Fail;
            }
            catch (AbortableTransactionException e) when (isCommit)
            {
                process.Tell?.Invoke($"aborts: {e.Message}");
                isCommit = false;
            }
            catch (KafkaTimeoutException e) when (attempt < EndAttemptsMax)
            {
                process.Tell?.Invoke($"tries again: {e.Message}");
            }
            catch (KafkaException e) when (e is KafkaTimeoutException or FatalProducerException)
            {
                process.Tell?.Invoke($"ends: {e.Message}");
                IsOver = true;
                return isCommit ? Outcome.Info : Outcome.Fail;
            }
        }
    }

    /// <summary>A send has its outcome when the transaction has: it may have failed.</summary>
    private async Task EndedAsync(Task send)
    {
        try
        {
            await send;
        }
        catch (KafkaException e)
        {
            process.Tell?.Invoke($"a send failed: {e.Message}");
            if (e.ErrorCode == ErrorCode.UnknownServerError)
                session.World.Fail(new SimulationException($"{process.Name}: {e.Message}", e));
        }
    }
}
