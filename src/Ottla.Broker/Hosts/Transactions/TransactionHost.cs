using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Transactions;

namespace Ottla.Broker.Hosts.Transactions;

/// <summary>
/// The transaction coordinators of this node: one machine for each partition of <c>__transaction_state</c> that it leads. Also carries out
/// their outputs.
/// </summary>
/// <remarks>Lives as long as the node; all connections use it.</remarks>
public sealed partial class TransactionHost : ITransactionCoordinators, IDisposable
{
    private readonly TransactionMarkerSender _markers;
    private readonly Func<ValueTask<long>> _nextProducerId;
    private readonly BackgroundWork _background;
    private readonly LimitedLogger _logger; // markers that cannot be written are tried again all the time

    /// <summary>Coordinators that follow the metadata once they are registered.</summary>
    /// <param name="nodeId">This node.</param>
    /// <param name="topics">The replicas of this node.</param>
    /// <param name="markers">Writes markers.</param>
    /// <param name="nextProducerId">Returns a producer id that was never used before.</param>
    /// <param name="config">The configuration in force.</param>
    /// <param name="background">Watches the tasks that carry out outputs.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The logger.</param>
    public TransactionHost(
        int nodeId,
        HostedTopics topics,
        TransactionMarkerSender markers,
        Func<ValueTask<long>> nextProducerId,
        Func<BrokerConfig> config,
        BackgroundWork background,
        TimeProvider time,
        ILogger logger)
    {
        _markers = markers;
        _nextProducerId = nextProducerId;
        _background = background;
        _logger = new LimitedLogger(logger, time);
        var definition = new CoordinatorDefinition<TransactionCommand>
        {
            Name = "transaction coordinator",
            TopicName = TopicNames.TransactionState,
            Serde = CoordinatorRecordSerde.Transactions,
            CreateMachine = partition => new TransactionMachine(partition.LeaderEpoch),
            Settings = SettingsOf,
            OnOutput = OnOutput,
        };
        Coordinators = new CoordinatorHost<TransactionCommand>(definition, nodeId, topics, config, time, logger);
    }

    /// <summary>The machines: commands go here.</summary>
    public CoordinatorHost<TransactionCommand> Coordinators { get; }

    /// <summary>Stops all coordinators.</summary>
    public void Dispose()
    {
        Coordinators.Close();
        _logger.Dispose();
    }

    /// <inheritdoc/>
    public async ValueTask AddPartitionsAsync(
        string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions) =>
        await Coordinators.SubmitAsync(
            transactionalId, new AddPartitionsCommand(transactionalId, producer, partitions, TransactionMetadata.EpochBumpingVersion));

    /// <inheritdoc/>
    public ValueTask<IReadOnlyDictionary<TopicPartition, ErrorCode>> VerifyPartitionsAsync(
        string transactionalId, ProducerIdAndEpoch producer, IReadOnlyCollection<TopicPartition> partitions) =>
        Coordinators.SubmitAsync(transactionalId, new VerifyPartitionsCommand(transactionalId, producer, partitions));

    private static CoordinatorSettings SettingsOf(BrokerConfig config) => new(
        CompressionType.None,
        AppendLingerMs: -1,
        config.RequestTimeoutMs,
        config.TransactionStateLogLoadBufferSize,
        CachedBufferBytesMax: config.TransactionStateLogLoadBufferSize);

    private void OnOutput(CoordinatorPartition partition, CoordinatorOutput output)
    {
        switch (output)
        {
            case WriteMarkersOutput markers:
                _background.Watch("writing transaction markers", WriteMarkersAsync(partition, markers));
                break;
            case AllocateProducerIdOutput:
                _background.Watch("allocating a producer id", AllocateProducerIdAsync(partition));
                break;
            default:
                throw new InvalidOperationException($"{output.GetType().Name} is no output of transactions.");
        }
    }

    private async Task WriteMarkersAsync(CoordinatorPartition partition, WriteMarkersOutput markers)
    {
        var marker = new TransactionMarker(markers.Producer, markers.IsCommit, markers.CoordinatorEpoch, markers.TransactionVersion);
        IReadOnlyDictionary<TopicPartition, ErrorCode> results;
        try
        {
            results = await _markers.WriteAsync(marker, markers.Partitions);
        }
        catch (Exception e) // a bug: the machine gets an error and tries again
        {
            LogMarkersBroken(markers.TransactionalId, e);
            results = markers.Partitions.ToDictionary(partition => partition, _ => ErrorCode.UnknownServerError);
        }

        foreach (var (written, error) in results)
        {
            if (error != ErrorCode.None)
                LogMarkerFailed(markers.TransactionalId, written, markers.Producer.Id, markers.Producer.Epoch, error);
        }

        await NotifyAsync(partition, new MarkersWrittenCommand(markers, results));
    }

    private async Task AllocateProducerIdAsync(CoordinatorPartition partition)
    {
        var producerId = -1L;
        try
        {
            producerId = await _nextProducerId();
        }
        catch (Exception e) when (e is ApiException or ObjectDisposedException)
        {
            LogNoProducerId(e.Message);
        }
        catch (Exception e) // a bug: the machine gets an error
        {
            LogProducerIdsBroken(e);
        }

        await NotifyAsync(partition, new ProducerIdAllocatedCommand(producerId));
    }

    /// <summary>Sends the result of an output to its machine. If that machine is gone, its successor will ask again.</summary>
    private async Task NotifyAsync(CoordinatorPartition partition, TransactionCommand<ProducerIdAndEpoch> command)
    {
        try
        {
            await Coordinators.NotifyAsync(partition.Partition, command);
        }
        catch (ApiException e)
        {
            LogMachineGone(TopicNames.TransactionState, partition.Partition, e.Error.Code);
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning, Message =
            "The marker of {TransactionalId} (producer {ProducerId}, epoch {ProducerEpoch}) was not written to {Partition}: {Error}")]
    private partial void LogMarkerFailed(
        string transactionalId, TopicPartition partition, long producerId, short producerEpoch, ErrorCode error);

    [LoggerMessage(Level = LogLevel.Error, Message = "Failed to write the transaction markers of {TransactionalId}; trying again")]
    private partial void LogMarkersBroken(string transactionalId, Exception e);

    [LoggerMessage(Level = LogLevel.Error, Message = "Failed to allocate a producer id")]
    private partial void LogProducerIdsBroken(Exception e);

    [LoggerMessage(Level = LogLevel.Warning, Message = "No producer id is available, so InitProducerId requests have to wait: {Reason}")]
    private partial void LogNoProducerId(string reason);

    [LoggerMessage(
        Level = LogLevel.Information, Message = "The coordinator of {Topic}-{Partition} refused the result of its own request: {Error}")]
    private partial void LogMachineGone(string topic, int partition, ErrorCode error);
}
