using System.IO.Compression;
using System.Text.Json;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Controller;
using Ottla.UnitTests.Metadata;

namespace Ottla.UnitTests.Controller;

/// <summary>
/// What the controllers of a cluster of Apache Kafka 4.4.0 were asked, and which records the active one wrote (tests/golden/controller):
/// one recording for each step of the cluster's life, in order.
/// </summary>
internal sealed record RecordedCluster(IReadOnlyList<RecordedCluster.Step> Steps)
{
    /// <summary>A step of the cluster's life.</summary>
    /// <param name="Name">What happened.</param>
    /// <param name="Requests">What was asked without an error, in the order of the answers.</param>
    /// <param name="Records">The records that were written; no-op and control records are left out.</param>
    /// <param name="Given">What was written before, as far as it matters: features, and registrations of brokers.</param>
    public sealed record Step(string Name, List<Request> Requests, List<Record> Records, List<Record> Given);

    /// <summary>A request to a controller, by itself or inside an Envelope.</summary>
    /// <param name="Key">Its API.</param>
    /// <param name="Version">Its version.</param>
    /// <param name="Body">Its body.</param>
    public sealed record Request(ApiKey Key, short Version, byte[] Body);

    /// <summary>A record of the metadata log.</summary>
    /// <param name="Offset">Its offset.</param>
    /// <param name="Batch">The base offset of its batch.</param>
    /// <param name="Epoch">The epoch of its batch.</param>
    /// <param name="Content">The record.</param>
    public sealed record Record(long Offset, long Batch, int Epoch, MetadataRecord Content);

    public static RecordedCluster Read(string name)
    {
        using var file = File.OpenRead(GoldenData.Path($"controller/{name}.jsonl.gz"));
        using var reader = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
        var steps = new List<Step>();
        while (reader.ReadLine() is { } line)
        {
            var json = JsonDocument.Parse(line).RootElement;
            if (json.TryGetProperty("scenario", out var scenario))
                steps.Add(new Step(scenario.GetString()!, [], [], []));
            else if (json.TryGetProperty("metadata", out var record))
                AddRecord(steps[^1].Records, record);
            else if (json.TryGetProperty("given", out var given))
                AddRecord(steps[^1].Given, given);
            else
                steps[^1].Requests.Add(new Request(
                    Enum.Parse<ApiKey>(json.GetProperty("api").GetString()!),
                    json.GetProperty("v").GetInt16(),
                    json.GetProperty("body").GetBytesFromBase64()));
        }

        return new RecordedCluster(steps);
    }

    /// <summary>The command that a controller makes of a request.</summary>
    /// <returns>Decides it, and returns the records.</returns>
    public static Func<QuorumController, ControllerState, IReadOnlyList<MetadataRecord>> Command(Request request) => request.Key switch
    {
        ApiKey.BrokerRegistration => Decides(new RegisterBrokerCommand(Body<BrokerRegistrationRequest>(request), request.Version >= 3)),
        ApiKey.BrokerHeartbeat => Decides(new BrokerHeartbeatCommand(Body<BrokerHeartbeatRequest>(request))),
        ApiKey.AlterPartition => Decides(new AlterPartitionCommand(Body<AlterPartitionRequest>(request), request.Version)),
        ApiKey.ControllerRegistration => Decides(new RegisterControllerCommand(Body<ControllerRegistrationRequest>(request))),
        ApiKey.AllocateProducerIds => Allocates(Body<AllocateProducerIdsRequest>(request)),
        ApiKey.AssignReplicasToDirs => Decides(new AssignReplicasToDirsCommand(Body<AssignReplicasToDirsRequest>(request))),
        ApiKey.CreateTopics => Decides(new CreateTopicsCommand(Body<CreateTopicsRequest>(request))),
        ApiKey.DeleteTopics => Decides(new DeleteTopicsCommand(Body<DeleteTopicsRequest>(request), request.Version)),
        ApiKey.CreatePartitions => Decides(new CreatePartitionsCommand(Body<CreatePartitionsRequest>(request))),
        ApiKey.ElectLeaders => Decides(new ElectLeadersCommand(Body<ElectLeadersRequest>(request))),
        ApiKey.AlterPartitionReassignments => Decides(
            new AlterPartitionReassignmentsCommand(Body<AlterPartitionReassignmentsRequest>(request))),
        ApiKey.IncrementalAlterConfigs => Alters(Body<IncrementalAlterConfigsRequest>(request)),
        ApiKey.UpdateFeatures => Decides(new UpdateFeaturesCommand(Body<UpdateFeaturesRequest>(request), request.Version)),
        ApiKey.UnregisterBroker => Decides(new UnregisterBrokerCommand(Body<UnregisterBrokerRequest>(request).BrokerId)),
        ApiKey.UnregisterController => Decides(new UnregisterControllerCommand(Body<UnregisterControllerRequest>(request).ControllerId)),
        var key => throw new InvalidDataException($"The recording has a request of {key}."),
    };

    private static void AddRecord(List<Record> records, JsonElement json)
    {
        if (json.TryGetProperty("control", out _))
            return;
        records.Add(new Record(
            json.GetProperty("offset").GetInt64(),
            json.GetProperty("batch").GetInt64(),
            json.GetProperty("epoch").GetInt32(),
            GoldenDump.Record(json)));
    }

    private static Func<QuorumController, ControllerState, IReadOnlyList<MetadataRecord>> Decides<TReply>(
        ControllerCommand<TReply> command) =>
        (controller, state) => controller.Decide(command, state).Records;

    private static Func<QuorumController, ControllerState, IReadOnlyList<MetadataRecord>> Allocates(AllocateProducerIdsRequest request) =>
        Decides(new AllocateProducerIdsCommand(request.BrokerId, request.BrokerEpoch));

    private static Func<QuorumController, ControllerState, IReadOnlyList<MetadataRecord>> Alters(IncrementalAlterConfigsRequest request) =>
        Decides(new AlterConfigsCommand(
            [
                .. request.Resources.Select(resource => new ConfigChange(
                    new((Ottla.Configuration.ConfigResourceType)resource.ResourceType, resource.ResourceName),
                    [
                        .. resource.Configs.Select(config => new ConfigAlteration(
                            config.Name, (Ottla.Configuration.AlterConfigOperation)config.ConfigOperation, config.Value)),
                    ],
                    ReplacesAll: false)),
            ],
            request.ValidateOnly));

    private static TRequest Body<TRequest>(Request request)
        where TRequest : IRequestMessage<TRequest>
    {
        var reader = new WireReader(request.Body);
        return TRequest.Read(ref reader, request.Version);
    }
}
