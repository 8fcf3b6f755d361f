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
    public Decision<MetadataRecord, BrokerRegistrationResponse> Register(RegisterBrokerCommand command, in ControllerState state)
    {
        var request = command.Request;
        var image = state.Image;
        var version = image.Features.MetadataVersionOrThrow;
        var existing = image.Cluster.Broker(request.BrokerId);
        CheckClusterId(request);
        CheckNoOtherProcess(request, existing, state.Now);
        CheckDirectories(request, image);
        CheckFeatures(request, image, state.Quorum);

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

    public Decision<MetadataRecord, Done> UnregisterController(int controllerId, in ControllerState state)
    {
        if (controllerId == controller.Settings.NodeId)
            throw new ApiException(ErrorCode.InvalidRequest, "Controller cannot unregister itself while it is active.");
        if (state.Quorum.VoterIds.Contains(controllerId))
        {
            throw new ApiException(
                ErrorCode.InvalidRequest, $"Cannot unregister controller {controllerId} because it is part of the voter set.");
        }

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

    private void CheckClusterId(BrokerRegistrationRequest request)
    {
        if (request.ClusterId != controller.Settings.ClusterId)
        {
            throw new ApiException(
                ErrorCode.InconsistentClusterId,
                    $"Expected cluster ID {controller.Settings.ClusterId}, but got cluster ID {request.ClusterId}");
        }
    }

    /// <summary>
    /// Refuses a second process with the id of one that is alive. One that asked to stop and is fenced does not count as alive, nor one
    /// without an open connection whose directories the new one has (docs/adr/0014).
    /// </summary>
    private void CheckNoOtherProcess(BrokerRegistrationRequest request, BrokerRegistration? existing, Instant now)
    {
        if (existing is null || existing.IncarnationId == request.IncarnationId || !controller.Sessions.IsAlive(existing, now))
            return;
        if (existing.Fenced && controller.Sessions.WantsToStop(existing))
            return;
        if (!controller.Sessions.IsConnected(existing) && existing.LogDirs.Length > 0
            && existing.LogDirs.ToHashSet().SetEquals(request.LogDirs))
            return;
        throw new ApiException(
            ErrorCode.DuplicateBrokerRegistration,
            "Another broker is registered with that broker id. If the broker was recently restarted this should self-resolve once the "
            + "heartbeat manager expires the broker's session.");
    }

    private static void CheckDirectories(BrokerRegistrationRequest request, MetadataImage image)
    {
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

    private static void CheckFeatures(BrokerRegistrationRequest request, MetadataImage image, ControllerQuorum quorum)
    {
        var supported = request.Features.ToDictionary(
            feature => feature.Name, feature =>
                new VersionRange(feature.MinSupportedVersion, feature.MaxSupportedVersion), StringComparer.Ordinal);
        var finalized = image.Features.Levels
            .Add(MetadataVersion.FeatureName, image.Features.MetadataVersionOrThrow.Level)
            .SetItem(Feature.KRaftVersion, quorum.KRaftVersion);
        foreach (var name in supported.Keys)
            Check(name);
        if (!supported.ContainsKey(MetadataVersion.FeatureName))
            throw new ApiException(ErrorCode.InvalidRegistration, $"Request features do not contain '{MetadataVersion.FeatureName}'");
        foreach (var name in finalized.Keys.Except(supported.Keys))
            Check(name);

        void Check(string name)
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
}
