using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools.Transactions;
using Ottla.Client;
using Ottla.Configuration;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla txn</c>: transactions.</summary>
internal static class TxnNoun
{
    public static Command Create() => ClusterCommand.Noun(
        "txn", "See transactions and their producers, find those that hang, and end them.", CreateList(), CreateDescribe(),
            CreateProducers(),
        CreateHanging(), CreateAbort(), CreateTerminate());

    private static ClusterCommand CreateList()
    {
        var states = CommonOptions.Texts("--state", "Only those in this state, as Ongoing; may be repeated.", "STATE");
        var longer = CommonOptions.Text("--longer-than", "Only those that are open for longer.", "DURATION");
        var pattern = CommonOptions.Text("--pattern", "Only transactional ids that match this expression.", "REGEX");
        return new ClusterCommand("list", "List transactional ids.", "txn list --state Ongoing --longer-than 5m", async context =>
        {
            var listing = await context.Admin.ListTransactionsAsync(new ListTransactionsFilter
            {
                States = context.Value(states) ?? [],
                LongerThan = context.Value(longer) is { } text ? ConnectionOptions.Duration(text, "--longer-than") : null,
                TransactionalIdPattern = context.Value(pattern),
            });
            var rows = context.Rows("transactionalId", "producerId", "state");
            foreach (var each in listing.Items.OrderBy(each => each.TransactionalId, StringComparer.Ordinal))
                rows.Add(each.TransactionalId, each.ProducerId, each.State);
            rows.End("There are no transactional ids.");
            foreach (var (broker, failure) in listing.Failures)
                context.Failed($"broker {broker}", failure);
        }, states, longer, pattern);
    }

    private static ClusterCommand CreateDescribe()
    {
        var ids = new Argument<string[]>("transactional-id") { Description = "The ids.", HelpName = "ID", Arity = ArgumentArity.OneOrMore };
        return new ClusterCommand("describe", "Print the state of transactional ids.", "txn describe payments-1", async context =>
        {
            var rows = context.Rows(
                "transactionalId", "state", "producerId", "producerEpoch", "timeoutMs", "started", "coordinator", "partitions");
            foreach (var (id, result) in await context.Admin.DescribeTransactionsAsync(context.Value(ids)!))
            {
                if (context.Failed($"transactional id {id}", result))
                    continue;
                var each = result.Value;
                rows.Add(
                    id, each.State, each.ProducerId, each.ProducerEpoch, (long)each.Timeout.TotalMilliseconds, each.StartedAt,
                        each.CoordinatorId,
                    each.Partitions.Select(partition => $"{partition.Topic}:{partition.Partition}").ToList());
            }

            rows.End();
        }, ids);
    }

    private static ClusterCommand CreateProducers()
    {
        var topics = CommonOptions.Topics(mayBeNone: false);
        return new ClusterCommand("producers", "List the producers that partitions remember.", "txn producers orders", async context =>
        {
            var partitions =
                await TopicNames.PartitionsAsync(context, await TopicNames.ResolveAsync(context, context.Value(topics)!, true));
            var rows = context.Rows(
                "topic", "partition", "producerId", "producerEpoch", "lastSequence", "lastTimestamp", "coordinatorEpoch",
                    "transactionStart");
            foreach (var (partition, result) in await context.Admin.DescribeProducersAsync(partitions))
            {
                if (context.Failed($"{partition}", result))
                    continue;
                foreach (var each in result.Value)
                {
                    rows.Add(
                        partition.Topic, partition.Partition, each.ProducerId, each.ProducerEpoch, each.LastSequence, each.LastTimestamp,
                        each.CoordinatorEpoch, each.CurrentTransactionStartOffset);
                }
            }

            rows.End("There are no producers.");
        }, topics);
    }

    private static ClusterCommand CreateHanging()
    {
        var topic = CommonOptions.Text("--topic", "Only in this topic.", CommonOptions.TopicName);
        var age = CommonOptions.Text("--older-than", "Only those that are open for longer. Default: 15m.", "DURATION");
        return new ClusterCommand(
            "hanging", "Find transactions that are open in a partition, and that no coordinator knows any more: consumers wait for them.",
            "txn hanging --topic orders", async context =>
            {
                const int minutes = 15;
                var hanging = await new HangingTransactions(context.Cluster).FindAsync(
                    context.Value(topic), null, null, context.Value(age) is { } text
                        ? ConnectionOptions.Duration(text, "--older-than") : TimeSpan.FromMinutes(minutes));
                var rows =
                    context.Rows("topic", "partition", "producerId", "producerEpoch", "coordinatorEpoch", "startOffset", "lastTimestamp");
                foreach (var (partition, producer) in hanging)
                {
                    rows.Add(
                        partition.Topic, partition.Partition, producer.ProducerId, producer.ProducerEpoch, producer.CoordinatorEpoch,
                        producer.CurrentTransactionStartOffset, producer.LastTimestamp);
                }

                rows.End("No transaction hangs.");
            }, topic, age);
    }

    private static ClusterCommand CreateAbort()
    {
        var partition = new Argument<string>("partition") { Description = "The partition, as orders:0.", HelpName = "TOPIC:PARTITION" };
        var start = new Option<long>("--start-offset")
        {
            Description = "Where it begins: 'txn hanging' prints it.",
            HelpName = "OFFSET",
            Required = true
        };
        return new ClusterCommand(
            "abort", "Abort a transaction that hangs in a partition.", "txn abort orders:0 --start-offset 1234 --yes", async context =>
            {
                var at = CommonOptions.Partitions(context.Value(partition)!, "partition").First();
                var found = (await context.Admin.DescribeProducersAsync([at]))[at].Value
                    .FirstOrDefault(producer => producer.CurrentTransactionStartOffset == context.Value(start))
                    ?? throw new ConfigException($"No open transaction of {at} begins at offset {context.Value(start)}.");
                if (!context.Confirm($"Abort the transaction of producer {found.ProducerId} in {at}?"))
                    return;
                await context.Admin.AbortTransactionAsync(new HangingTransaction(
                    at, found.ProducerId, (short)found.ProducerEpoch, Math.Max(0, found.CoordinatorEpoch)));
                context.Done($"Aborted the transaction in {at}.", ("topic", at.Topic), ("partition", at.Partition), ("aborted", true));
            }, partition, start, CommonOptions.Yes);
    }

    private static ClusterCommand CreateTerminate()
    {
        var id = new Argument<string>("transactional-id") { Description = "The id.", HelpName = "ID" };
        return new ClusterCommand(
            "terminate", "End the open transaction of a transactional id, and fence its producer.", "txn terminate payments-1 --yes",
            async context =>
            {
                if (!context.Confirm($"End the open transaction of {context.Value(id)}?"))
                    return;
                await context.Admin.ForceTerminateTransactionAsync(context.Value(id)!);
                context.Done($"Ended the transaction of {context.Value(id)}.", ("transactionalId", context.Value(id)),
                    ("terminated", true));
            }, id, CommonOptions.Yes);
    }
}
