using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>
/// Decides about the registration, heartbeats and removal of brokers and controllers, and about the producer ids that brokers get.
/// </summary>
internal sealed class BrokerDecisions(QuorumController controller)
{
    private const sbyte Fence = 1;
    private const sbyte Unfence = -1;

    public Decision<MetadataRecord, BrokerRegistrationResponse> Register(RegisterBrokerCommand command, in ControllerState state)
    {
        var request = command.Request;
        var image = state.Image;
        var version = image.Features.MetadataVersionOrThrow;
        var existing = image.Cluster.Broker(request.BrokerId);
        CheckIdentity(request, image);
        CheckFeatures(request, image);

        List<MetadataRecord> records = [];
        var record = new RegisterBrokerRecord
        {
            BrokerId = request.BrokerId,
            IncarnationId = request.IncarnationId,
            Rack = request.Rack,
            EndPoints = [.. request.Listeners.Select(l => new RegisterBrokerRecord.BrokerEndpoint
            {
                Name = l.Name,
                Host = l.Host,
                Port = l.Port,
                SecurityProtocol = l.SecurityProtocol,
            })],
            Features = [.. request.Features.Select(f => new RegisterBrokerRecord.BrokerFeature
            {
                Name = f.Name,
                MinSupportedVersion = f.MinSupportedVersion,
                MaxSupportedVersion = f.MaxSupportedVersion,
            })],
            LogDirs = version.SupportsDirectoryAssignment ? request.LogDirs : [],
        };
        if (existing?.IncarnationId == request.IncarnationId)
        {
            record.Fenced = existing.Fenced;
            record.InControlledShutdown = existing.InControlledShutdown;
            record.BrokerEpoch = existing.Epoch;
        }
        else
        {
            var isClean = command.DetectCleanShutdown && existing is not null && existing.Epoch == request.PreviousBrokerEpoch;
            AddShutdown(image, request.BrokerId, isClean, records);
            record.BrokerEpoch = state.NextOffset;
        }

        // Last: if only a part of the records is written, the broker registers again.
        records.Add(new MetadataRecord(record, version.RegisterBrokerRecordVersion));
        return new(records, new BrokerRegistrationResponse { BrokerEpoch = record.BrokerEpoch }, false);
    }

    public Decision<MetadataRecord, BrokerHeartbeatReply> Heartbeat(BrokerHeartbeatCommand command, in ControllerState state)
    {
        var request = command.Request;
        var image = state.Image;
        var broker = CheckedBroker(image, request.BrokerId, request.BrokerEpoch);
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
            case BrokerState.ControlledShutdown when !broker.InControlledShutdown:
                AddControlledShutdown(image, broker, records);
                break;
            default:
                break;
        }

        AddDirectoryChanges(image, broker, request, records);
        var reply = new BrokerHeartbeatReply(
            isCaughtUp, next is BrokerState.Fenced or BrokerState.ShutdownNow, next == BrokerState.ControlledShutdown,
                next == BrokerState.ShutdownNow);
        return new(records, reply, false);
    }

    public Decision<MetadataRecord, Done> Unregister(int brokerId, in ControllerState state)
    {
        var image = state.Image;
        var broker = image.Cluster.Broker(brokerId)
            ?? throw new ApiException(ErrorCode.BrokerIdNotRegistered, $"Broker ID {brokerId} is not currently registered");
        List<MetadataRecord> records = [];
        controller.Partitions.AddChanges(
            image,
            new PartitionDecisions.BrokerEvent(Removed: brokerId),
            partition => partition.Isr.Contains(brokerId) || partition.EligibleLeaderReplicas.Contains(brokerId),
            records);
        records.Add(new MetadataRecord(new UnregisterBrokerRecord { BrokerId = brokerId, BrokerEpoch = broker.Epoch }, 0));
        QuorumController.CheckSize(records);
        return new(records, Done.Instance, false);
    }

    public static Decision<MetadataRecord, Done> RegisterController(ControllerRegistrationRequest request, in ControllerState state)
    {
        if (!state.Image.Features.MetadataVersionOrThrow.SupportsControllerRegistration)
            throw new ApiException(
                ErrorCode.UnsupportedVersion, "The current MetadataVersion is too old to support controller registrations.");
        var record = new RegisterControllerRecord
        {
            ControllerId = request.ControllerId,
            IncarnationId = request.IncarnationId,
            EndPoints = [.. request.Listeners.Select(l => new RegisterControllerRecord.ControllerEndpoint
            {
                Name = l.Name,
                Host = l.Host,
                Port = l.Port,
                SecurityProtocol = l.SecurityProtocol,
            })],
            Features = [.. request.Features.Select(f => new RegisterControllerRecord.ControllerFeature
            {
                Name = f.Name,
                MinSupportedVersion = f.MinSupportedVersion,
                MaxSupportedVersion = f.MaxSupportedVersion,
            })],
        };
        return new([new MetadataRecord(record, 0)], Done.Instance, true);
    }

    public static Decision<MetadataRecord, Done> UnregisterController(int controllerId, in ControllerState state)
    {
        if (!state.Image.Features.MetadataVersionOrThrow.SupportsControllerUnregistration)
            throw new ApiException(
                ErrorCode.UnsupportedVersion, "The current MetadataVersion is too old to support controller unregistration.");
        if (!state.Image.Cluster.Controllers.ContainsKey(controllerId))
            throw new ApiException(ErrorCode.ControllerIdNotRegistered, $"Controller ID {controllerId} is not currently registered.");
        return new([new MetadataRecord(new UnregisterControllerRecord { ControllerId = controllerId }, 0)], Done.Instance, true);
    }

    public static Decision<MetadataRecord, ProducerIdBlock> AllocateProducerIds(
        AllocateProducerIdsCommand command, in ControllerState state)
    {
        CheckedBroker(state.Image, command.BrokerId, command.BrokerEpoch);
        var first = Math.Max(state.Image.NextProducerId, 0);
        if (first > long.MaxValue - QuorumController.ProducerIdBlockSize)
        {
            throw new ApiException(
                ErrorCode.UnknownServerError,
                    "Exhausted all producerIds as the next block's end producerId has exceeded the int64 type limit");
        }

        var record = new ProducerIdsRecord
        {
            BrokerId = command.BrokerId,
            BrokerEpoch = command.BrokerEpoch,
            NextProducerId = first + QuorumController.ProducerIdBlockSize,
        };
        return new([new MetadataRecord(record, 0)], new ProducerIdBlock(first, QuorumController.ProducerIdBlockSize), false);
    }

    /// <summary>The registration of a broker, if the request comes from its current process.</summary>
    /// <exception cref="ApiException">STALE_BROKER_EPOCH.</exception>
    internal static BrokerRegistration CheckedBroker(MetadataImage image, int id, long epoch)
    {
        if (image.Cluster.Broker(id) is not { } broker)
            throw new ApiException(ErrorCode.StaleBrokerEpoch, $"No broker registration found for broker id {id}");
        return broker.Epoch == epoch
            ? broker
            : throw new ApiException(ErrorCode.StaleBrokerEpoch, $"Expected broker epoch {broker.Epoch}, but got broker epoch {epoch}");
    }

    private static BrokerState NextState(BrokerRegistration broker, BrokerHeartbeatRequest request, bool isCaughtUp, MetadataImage image)
    {
        if (broker.Fenced)
        {
            if (request.WantShutDown)
                return BrokerState.ShutdownNow;

            // A process that began to shut down stays fenced. If it were unfenced, it could be elected as a leader just before it stops.
            return !request.WantFence && isCaughtUp && !broker.InControlledShutdown ? BrokerState.Unfenced : BrokerState.Fenced;
        }

        if (request.WantFence)
            return request.WantShutDown ? BrokerState.ShutdownNow : BrokerState.Fenced;
        if (broker.InControlledShutdown || request.WantShutDown)
            return PartitionDecisions.HasLeaderships(image, broker.Id) ? BrokerState.ControlledShutdown : BrokerState.ShutdownNow;
        return BrokerState.Unfenced;
    }

    private void CheckIdentity(BrokerRegistrationRequest request, MetadataImage image)
    {
        if (request.ClusterId != controller.Settings.ClusterId)
        {
            throw new ApiException(
                ErrorCode.InconsistentClusterId,
                    $"Expected cluster ID {controller.Settings.ClusterId}, but got cluster ID {request.ClusterId}");
        }

        if (request.IsMigratingZkBroker)
            throw new ApiException(ErrorCode.BrokerIdNotRegistered, "Controller does not support registering ZK brokers.");
        if (!image.Features.MetadataVersionOrThrow.SupportsDirectoryAssignment)
            return;
        if (request.LogDirs.Length == 0)
            throw new ApiException(ErrorCode.InvalidRegistration, "No directories specified in request");
        if (request.LogDirs.Any(DirectoryIds.IsReserved))
            throw new ApiException(ErrorCode.InvalidRegistration, "Reserved directory ID in request");
        if (request.LogDirs.Distinct().Count() != request.LogDirs.Length)
            throw new ApiException(ErrorCode.InvalidRegistration, "Duplicate directory ID in request");
        foreach (var other in image.Cluster.Brokers.Values)
        {
            if (other.Id != request.BrokerId && request.LogDirs.FirstOrDefault(dir => other.LogDirs.Contains(dir)) is var shared
                && shared != Uuid.Zero)
                throw new ApiException(ErrorCode.InvalidRegistration, $"Broker {other.Id} is already registered with directory {shared}");
        }
    }

    private void CheckFeatures(BrokerRegistrationRequest request, MetadataImage image)
    {
        var supported = request.Features.ToDictionary(
            feature => feature.Name, feature =>
                new VersionRange(feature.MinSupportedVersion, feature.MaxSupportedVersion), StringComparer.Ordinal);
        if (!supported.ContainsKey(MetadataVersion.FeatureName))
            throw new ApiException(ErrorCode.InvalidRegistration, $"Request features do not contain '{MetadataVersion.FeatureName}'");
        var finalized = image.Features.Levels
            .Add(MetadataVersion.FeatureName, image.Features.MetadataVersionOrThrow.Level)
            .SetItem(Feature.KRaftVersion, controller.Settings.KRaftVersion);
        foreach (var name in supported.Keys.Union(finalized.Keys))
        {
            var level = finalized.GetValueOrDefault(name);
            var range = supported.GetValueOrDefault(name);
            if (!range.Contains(level))
            {
                throw new ApiException(
                    ErrorCode.UnsupportedVersion,
                    $"Unable to register because the broker does not support finalized version {level} of {name}. "
                    + $"The broker wants a version between {range.Min} and {range.Max}, inclusive.");
            }
        }
    }

    /// <summary>
    /// Handles the end of a broker's previous process. If that did not shut down cleanly, its replicas may have lost records.
    /// </summary>
    private void AddShutdown(MetadataImage image, int brokerId, bool isClean, List<MetadataRecord> records)
    {
        if (image.Features.IsElrEnabled && !isClean)
        {
            controller.Partitions.AddChanges(
                image,
                new PartitionDecisions.BrokerEvent(UncleanShutdown: brokerId),
                partition => partition.Isr.Contains(brokerId) || partition.EligibleLeaderReplicas.Contains(brokerId),
                records);
        }
        else
        {
            controller.Partitions.AddChanges(
                image, new PartitionDecisions.BrokerEvent(Removed: brokerId), partition => partition.Isr.Contains(brokerId), records);
        }
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
            image, new PartitionDecisions.BrokerEvent(Added: broker.Id), partition =>
                partition.Leader == PartitionRegistration.NoLeader, records);
    }

    private void AddControlledShutdown(MetadataImage image, BrokerRegistration broker, List<MetadataRecord> records)
    {
        records.Add(new MetadataRecord(
            new BrokerRegistrationChangeRecord { BrokerId = broker.Id, BrokerEpoch = broker.Epoch, InControlledShutdown = 1 }, 1));
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
                new BrokerRegistrationChangeRecord { BrokerId = broker.Id, BrokerEpoch = broker.Epoch,
                    LogDirs = [.. broker.LogDirs.Where(dir => !failed.Contains(dir))] }, 2));
        }

        if (version.SupportsCordonedLogDirs && request.CordonedLogDirs is { } cordoned
            && (broker.CordonedLogDirs.IsDefault || !broker.CordonedLogDirs.ToHashSet().SetEquals(cordoned)))
        {
            records.Add(new MetadataRecord(
                new BrokerRegistrationChangeRecord { BrokerId = broker.Id, BrokerEpoch = broker.Epoch, CordonedLogDirs = cordoned }, 3));
        }
    }

    private enum BrokerState
    {
        Fenced,
        Unfenced,
        ControlledShutdown,
        ShutdownNow,
    }
}
