using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Decides what becomes of a broker that sends heartbeats, or does not send them any more: fenced, unfenced, let go.</summary>
internal sealed class HeartbeatDecisions(QuorumController controller)
{
    private const sbyte Fence = 1;
    private const sbyte Unfence = -1;
    private const sbyte BeginShutdown = 1;

    private enum BrokerState
    {
        Fenced,
        Unfenced,
        ControlledShutdown,
        ShutdownNow,
    }

    public Decision<MetadataRecord, BrokerHeartbeatReply> Heartbeat(BrokerHeartbeatCommand command, in ControllerState state)
    {
        var request = command.Request;
        var image = state.Image;
        var broker = BrokerDecisions.CheckedBroker(image, request.BrokerId, request.BrokerEpoch);
        List<MetadataRecord> records = [];
        var isCaughtUp = request.CurrentMetadataOffset >= broker.RegisteredAtOffset;
        var next = NextState(broker, request, isCaughtUp, image);
        switch (next)
        {
            case BrokerState.Fenced or BrokerState.ShutdownNow when !broker.Fenced:
                AddFence(image, broker, records);
                break;
            case BrokerState.Unfenced when broker.Fenced:
                AddUnfence(image, broker, records);
                break;
            case BrokerState.ControlledShutdown:
                AddControlledShutdown(image, broker, records);
                break;
            default:
                break;
        }

        AddDirectoryChanges(image, broker, request, records);
        var reply = new BrokerHeartbeatReply(
            isCaughtUp,
            IsFenced: next is BrokerState.Fenced or BrokerState.ShutdownNow,
            InControlledShutdown: next == BrokerState.ControlledShutdown,
            ShouldShutDown: next == BrokerState.ShutdownNow);
        return new(records, reply, false);
    }

    /// <summary>Fences the broker that was silent for longer than its session, or whose process has ended, if there is one.</summary>
    /// <returns>The decision with what the log says of it; null when all are heard.</returns>
    public Decision<MetadataRecord, string?>? FenceSilentBroker(in ControllerState state)
    {
        var image = state.Image;
        while (controller.Sessions.FindExpired(state.Now) is { } silence)
        {
            if (image.Cluster.Broker(silence.BrokerId) is { Fenced: false } broker && broker.Epoch == silence.Epoch)
            {
                List<MetadataRecord> records = [];
                AddFence(image, broker, records);
                return new(records, Describe(silence), false);
            }

            controller.Sessions.Expire(silence.BrokerId);
        }

        return null;
    }

    private static string Describe(BrokerSilence silence) => silence.HasEnded
        ? $"The process of broker {silence.BrokerId} has ended: its connection is closed, and its listeners refuse new ones. It was fenced "
            + "until it starts again"
        : $"Nothing was heard from broker {silence.BrokerId} for {silence.Milliseconds} ms, so it was fenced until its heartbeats come "
            + "again";

    private BrokerState NextState(BrokerRegistration broker, BrokerHeartbeatRequest request, bool isCaughtUp, MetadataImage image)
    {
        if (broker.Fenced)
        {
            if (request.WantShutDown)
                return BrokerState.ShutdownNow;

            // A process that began to shut down stays fenced. If it were unfenced, it could be elected as a leader just before it stops.
            return !request.WantFence && isCaughtUp && !broker.InControlledShutdown ? BrokerState.Unfenced : BrokerState.Fenced;
        }

        if (broker.InControlledShutdown)
        {
            return !PartitionDecisions.HasLeaderships(image, broker.Id)
                && controller.Sessions.EverybodyKnowsOfShutdown(broker, image.Cluster)
                    ? BrokerState.ShutdownNow
                    : BrokerState.ControlledShutdown;
        }

        if (request.WantFence)
            return request.WantShutDown ? BrokerState.ShutdownNow : BrokerState.Fenced;
        if (!request.WantShutDown)
            return BrokerState.Unfenced;
        return PartitionDecisions.HasLeaderships(image, broker.Id) ? BrokerState.ControlledShutdown : BrokerState.ShutdownNow;
    }

    private void AddFence(MetadataImage image, BrokerRegistration broker, List<MetadataRecord> records)
    {
        controller.Partitions.AddChanges(
            image, new PartitionDecisions.BrokerEvent(Removed: broker.Id), partition => partition.Isr.Contains(broker.Id), records);
        records.Add(new MetadataRecord(
            new BrokerRegistrationChangeRecord { BrokerId = broker.Id, BrokerEpoch = broker.Epoch, Fenced = Fence }, 0));
    }

    private void AddUnfence(MetadataImage image, BrokerRegistration broker, List<MetadataRecord> records)
    {
        records.Add(new MetadataRecord(
            new BrokerRegistrationChangeRecord { BrokerId = broker.Id, BrokerEpoch = broker.Epoch, Fenced = Unfence }, 0));
        controller.Partitions.AddChanges(
            image,
            new PartitionDecisions.BrokerEvent(Added: broker.Id),
            partition => partition.Leader == PartitionRegistration.NoLeader,
            records);
    }

    /// <summary>
    /// Moves leaderships away. Also again while the broker waits: the first time may have been cut short by a change of the controller, or
    /// nobody else could lead then.
    /// </summary>
    private void AddControlledShutdown(MetadataImage image, BrokerRegistration broker, List<MetadataRecord> records)
    {
        if (!broker.InControlledShutdown)
        {
            records.Add(new MetadataRecord(
                new BrokerRegistrationChangeRecord
                {
                    BrokerId = broker.Id,
                    BrokerEpoch = broker.Epoch,
                    InControlledShutdown = BeginShutdown,
                },
                1));
        }

        controller.Partitions.AddChanges(
            image, new PartitionDecisions.BrokerEvent(Removed: broker.Id), partition => partition.Isr.Contains(broker.Id), records);
    }

    private void AddDirectoryChanges(
        MetadataImage image, BrokerRegistration broker, BrokerHeartbeatRequest request, List<MetadataRecord> records)
    {
        var version = image.Features.MetadataVersionOrThrow;
        var failed = broker.LogDirs.Where(dir => request.OfflineLogDirs.Contains(dir)).ToHashSet();
        if (version.SupportsDirectoryAssignment && failed.Count > 0)
        {
            controller.Partitions.AddChanges(
                image,
                new PartitionDecisions.BrokerEvent(Removed: broker.Id),
                partition => partition.Replicas.Contains(broker.Id) && failed.Contains(partition.DirectoryOf(broker.Id)),
                records);
            records.Add(new MetadataRecord(
                new BrokerRegistrationChangeRecord
                {
                    BrokerId = broker.Id,
                    BrokerEpoch = broker.Epoch,
                    LogDirs = [.. broker.LogDirs.Where(dir => !failed.Contains(dir))],
                },
                2));
        }

        if (version.SupportsCordonedLogDirs && request.CordonedLogDirs is { } cordoned
            && (broker.CordonedLogDirs.IsDefault || !broker.CordonedLogDirs.ToHashSet().SetEquals(cordoned)))
        {
            records.Add(new MetadataRecord(
                new BrokerRegistrationChangeRecord { BrokerId = broker.Id, BrokerEpoch = broker.Epoch, CordonedLogDirs = cordoned }, 3));
        }
    }
}
