using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Hosts;
using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Files;

namespace Ottla.Broker.Metadata;

/// <summary>Writes snapshots of the metadata when they are due, on a loop of its own.</summary>
/// <remarks>
/// Owned by the <see cref="MetadataLoader"/>, whose loop calls it; lives as long as that. An image does not change, so the loader goes on
/// meanwhile.
/// </remarks>
internal sealed partial class SnapshotGenerator(IMetadataLog log, SnapshotPolicy policy, TimeProvider time, ILogger logger)
    : IAsyncDisposable
{
    // At most one image waits: a newer image replaces it.
    private readonly Channel<MetadataImage> _due =
        Channel.CreateBounded<MetadataImage>(
            new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });

    private Task _run = Task.CompletedTask;

    /// <summary>Begins.</summary>
    /// <param name="onFailure">
    /// Called once if a snapshot cannot be written for another reason than a full disk: the node cannot go on.
    /// </param>
    public void Start(Action<Exception> onFailure) => _run = RunAsync(onFailure);

    /// <summary>A batch was committed and replayed.</summary>
    public void Committed(MetadataBatch batch, MetadataReplayer committed)
    {
        var now = Instant.Now(time);
        if (batch.Records.Count > 0)
            policy.Committed(batch.SizeBytes, now);
        if (!policy.IsDue(now) || committed.TransactionStartOffset >= 0 || committed.Image.Features.MetadataVersion is null)
            return;
        policy.Reset();
        _due.Writer.TryWrite(committed.Image);
    }

    /// <summary>Everything that was committed so far is in a snapshot already.</summary>
    public void Loaded() => policy.Reset();

    /// <summary>Ends the loop; the snapshot that is being written is written to its end.</summary>
    public async ValueTask DisposeAsync()
    {
        _due.Writer.TryComplete();
        await _run;
    }

    private async Task RunAsync(Action<Exception> onFailure)
    {
        try
        {
            while (await _due.Reader.WaitToReadAsync())
            {
                while (_due.Reader.TryRead(out var image))
                    Write(image);
            }
        }
        catch (Exception e)
        {
            LogFailed(e);
            onFailure(e);
        }
    }

    private void Write(MetadataImage image)
    {
        var id = new OffsetAndEpoch(image.Provenance.LastOffset + 1, image.Provenance.LastEpoch);
        try
        {
            log.WriteSnapshot(id, image.Provenance.LastTimestampMs, image.ToRecords());
        }
        catch (DiskFullException failure)
        {
            LogDiskFull(id.Offset, id.Epoch, failure); // nothing is lost: the log has all records
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
            Message = "The disk has no space for the metadata snapshot {Offset}-{Epoch}; trying again when the next one is due. Free some "
                + "space")]
    private partial void LogDiskFull(long offset, int epoch, Exception failure);

    [LoggerMessage(Level = LogLevel.Critical, Message = "Failed to write a metadata snapshot; stopping this node")]
    private partial void LogFailed(Exception failure);
}
