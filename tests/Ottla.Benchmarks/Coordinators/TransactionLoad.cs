using System.Diagnostics;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Scenarios;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Benchmarks.Coordinators;

/// <summary>
/// Transactions of one record each, as producers of transaction version 2 do them: a produce that adds its partition, and the end. The
/// latency is that of the end.
/// </summary>
internal static class TransactionLoad
{
    private const short InitVersion = 5;
    private const short ProduceVersion = 12;
    private const short EndVersion = 5;
    private const int TimeoutMs = 60_000;
    private const int RecordBytes = 100;

    public static LoadOutcome Run((string Host, int Port) target, string topic, int producers, int transactionsEach) =>
        Worker.RunAll(producers, worker =>
    {
        worker.LatencyTicks = new long[transactionsEach];
        using var connection = new LoadConnection(target.Host, target.Port, bufferBytes: 4096);
        var id = $"{topic}-{producers}-{worker.Index}";
        var producer = connection.Ask<InitProducerIdRequest, InitProducerIdResponse>(
            new InitProducerIdRequest { TransactionalId = id, TransactionTimeoutMs = TimeoutMs, ProducerId = -1, ProducerEpoch = -1 },
            InitVersion);
        ThrowIfError("InitProducerId", producer.ErrorCode);
        var (producerId, epoch) = (producer.ProducerId, producer.ProducerEpoch);
        for (var i = 0; i < transactionsEach; i++)
        {
            var produced = connection.Ask<ProduceRequest, ProduceResponse>(
                new ProduceRequest
                {
                    TransactionalId = id,
                    Acks = -1,
                    TimeoutMs = TimeoutMs,
                    TopicData = [
                        new() { Name = topic, PartitionData = [
                            new() { Index = worker.Index % ScenarioCatalog.Partitions,
                                Records = new Records(Batch(producerId, epoch)) }] }],
                },
                ProduceVersion);
            ThrowIfError("Produce", produced.Responses[0].PartitionResponses[0].ErrorCode);
            var began = Stopwatch.GetTimestamp();
            var ended = connection.Ask<EndTxnRequest, EndTxnResponse>(
                new EndTxnRequest { TransactionalId = id, ProducerId = producerId, ProducerEpoch = epoch, Committed = true }, EndVersion);
            ThrowIfError("EndTxn", ended.ErrorCode);
            worker.LatencyTicks[i] = Stopwatch.GetTimestamp() - began;
            (producerId, epoch) = (ended.ProducerId, ended.ProducerEpoch);
        }

        worker.Requests = transactionsEach;
    });

    private static byte[] Batch(long producerId, short epoch)
    {
        using var builder = new RecordBatchBuilder(
            new RecordBatchOptions { ProducerId = producerId, ProducerEpoch = epoch, BaseSequence = 0, IsTransactional = true });
        builder.Append(DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(), NullableBytes.Null, new byte[RecordBytes]);
        return builder.Build();
    }

    private static void ThrowIfError(string api, short error)
    {
        if (error != (short)ErrorCode.None)
            throw new BenchException($"{api} was answered with {(ErrorCode)error}.");
    }
}
