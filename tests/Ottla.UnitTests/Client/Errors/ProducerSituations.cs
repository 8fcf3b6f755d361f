using Ottla.Client;
using Ottla.Protocol.Messages;
using Ottla.Testing;

namespace Ottla.UnitTests.Client.Errors;

/// <summary>Situations of producers, and of their transactions.</summary>
internal static class ProducerSituations
{
    private const string Topic = "p";

    private static readonly ProducerOptions s_options = new()
    {
        Linger = TimeSpan.Zero,
        DeliveryTimeout = TimeSpan.FromMilliseconds(2_500),
        MaxBlock = TimeSpan.FromSeconds(2),
        CloseTimeout = TimeSpan.FromSeconds(3),
    };

    public static IEnumerable<ErrorSituation> All =>
    [
        new("producer", "first connection", ApiKey.ApiVersions, ErrorLevel.All, false, SendAsync),
        new("producer", "first metadata, top error", ApiKey.Metadata, ErrorLevel.Top, true, SendAsync),
        new("producer", "first metadata, topic error", ApiKey.Metadata, ErrorLevel.Items, true, SendAsync),
        new("producer", "idempotent, no transaction", ApiKey.InitProducerId, ErrorLevel.All, false, SendAsync),
        new("producer", "idempotent, first batch", ApiKey.Produce, ErrorLevel.All, false, SendAsync),
        new("producer", "idempotent, second batch (sequence 1)", ApiKey.Produce, ErrorLevel.All, false, SendSecondAsync),
        new("producer", "idempotent, stored but the answer replaced", ApiKey.Produce, ErrorLevel.All, true, SendAsync),
        new("producer", "acks=1, not idempotent", ApiKey.Produce, ErrorLevel.All, false, probe =>
            SendAsync(probe, s_options with { Idempotence = false, Acks = Acks.Leader }, isSecond: false)),
        .. Transactional("txn-tv2"),
        new("txn-tv2", "initTransactions: coordinator of the transaction", ApiKey.FindCoordinator, ErrorLevel.Items, false,
            probe => TransactAsync(probe, Stage.Init)),
        new("txn-tv2", "initTransactions", ApiKey.InitProducerId, ErrorLevel.All, false, probe => TransactAsync(probe, Stage.Init)),
        new("txn-tv2", "sendOffsets: coordinator of the group", ApiKey.FindCoordinator, ErrorLevel.Items, false,
            probe => TransactAsync(probe, Stage.SendOffsets)),
    ];

    /// <summary>Those with the protocol of older clusters.</summary>
    public static IEnumerable<ErrorSituation> Older =>
    [
        .. Transactional("txn-tv1"),
        new("txn-tv1", "send: partition joins", ApiKey.AddPartitionsToTxn, ErrorLevel.Items, false,
            probe => TransactAsync(probe, Stage.Send)),
        new("txn-tv1", "sendOffsets: offsets join", ApiKey.AddOffsetsToTxn, ErrorLevel.All, false,
            probe => TransactAsync(probe, Stage.SendOffsets)),
    ];

    private enum Stage
    {
        Init,
        Send,
        SendOffsets,
        Commit,
        Abort,
    }

    private static IEnumerable<ErrorSituation> Transactional(string group) =>
    [
        new(group, "batch in a transaction", ApiKey.Produce, ErrorLevel.All, false, probe => TransactAsync(probe, Stage.Send)),
        new(group, "sendOffsets", ApiKey.TxnOffsetCommit, ErrorLevel.All, false, probe => TransactAsync(probe, Stage.SendOffsets)),
        new(group, "commitTransaction", ApiKey.EndTxn, ErrorLevel.All, false, probe => TransactAsync(probe, Stage.Commit)),
        new(group, "abortTransaction", ApiKey.EndTxn, ErrorLevel.All, false, probe => TransactAsync(probe, Stage.Abort)),
    ];

    private static Task<string> SendAsync(ErrorProbe probe) => SendAsync(probe, s_options, isSecond: false);

    private static Task<string> SendSecondAsync(ErrorProbe probe) => SendAsync(probe, s_options, isSecond: true);

    private static async Task<string> SendAsync(ErrorProbe probe, ProducerOptions options, bool isSecond)
    {
        var producer = probe.Client.CreateProducer<string, string>(options);
        if (isSecond)
            await producer.ProduceAsync(Topic, "k", "before");
        probe.Arm();
        var failure = await ClientRun.TryAsync(producer.ProduceAsync(Topic, "k", "v"));
        Assert.True(probe.WasRefused);
        if (failure is null)
            return probe.RetriesOrEnds();
        return await ClientRun.TryAsync(producer.ProduceAsync(Topic, "k", "later")) is null ? "throws" : "fatal";
    }

    private static async Task<string> TransactAsync(ErrorProbe probe, Stage armedAt)
    {
        var producer = probe.Client.CreateProducer<string, string>(s_options with { TransactionalId = $"x{probe.Number}" });
        ProducerTransaction? transaction = null;
        var failure = await ClientRun.TryAsync(RunAsync());
        if (failure is null)
        {
            Assert.True(probe.WasRefused);
            return probe.RetriesOrEnds();
        }

        var hasBegun = transaction is not null;
        if (hasBegun && await ClientRun.TryAsync(transaction!.AbortAsync()) is not null)
            return "fatal";
        return await ClientRun.TryAsync(RunNextAsync()) is not null ? "fatal" : hasBegun ? "abortable" : "throws";

        async Task RunAsync()
        {
            ArmAt(Stage.Init);
            transaction = await producer.BeginTransactionAsync();
            ArmAt(Stage.Send);
            await producer.ProduceAsync(Topic, "k", "v");
            ArmAt(Stage.SendOffsets);
            await transaction.SendOffsetsAsync(
                [new PartitionOffset(Topic, 0, 1)], new ConsumerGroupMetadata($"xg{probe.Number}", -1, "", null));
            ArmAt(Stage.Commit);
            ArmAt(Stage.Abort);
            await (armedAt == Stage.Abort ? transaction.AbortAsync() : transaction.CommitAsync());
            transaction = null;
        }

        async Task RunNextAsync()
        {
            await using var next = await producer.BeginTransactionAsync();
            await producer.ProduceAsync(Topic, "k", "next");
            await next.CommitAsync();
        }

        void ArmAt(Stage stage)
        {
            if (stage == armedAt)
                probe.Arm();
        }
    }
}
