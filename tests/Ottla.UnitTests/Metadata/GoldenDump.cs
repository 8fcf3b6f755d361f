using System.Text.Json;
using System.Text.RegularExpressions;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Metadata;

/// <summary>A batch of a dumped metadata log.</summary>
public sealed record GoldenBatch(long BaseOffset, long LastOffset, int Epoch, long TimestampMs, IReadOnlyList<MetadataRecord> Records);

/// <summary>Reads what Kafka's own dump tool printed of a metadata log or snapshot.</summary>
public static partial class GoldenDump
{
    public const string Log = "metadata-00000000000000000000.log.txt";

    public static readonly (string File, long EndOffset)[] Snapshots =
    [
        ("metadata-00000000000000000054-0000000001.checkpoint.txt", 54),
        ("metadata-00000000000000000086-0000000001.checkpoint.txt", 86),
        ("metadata-00000000000000000133-0000000002.checkpoint.txt", 133),
        ("metadata-00000000000000000178-0000000002.checkpoint.txt", 178),
    ];

    public static List<GoldenBatch> Read(string file)
    {
        var batches = new List<GoldenBatch>();
        var records = new List<MetadataRecord>();
        foreach (var line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "golden", "dump", file)))
        {
            if (BatchLine().Match(line) is { Success: true } batch)
            {
                records = [];
                batches.Add(new GoldenBatch(Number(batch, 1), Number(batch, 2), (int)Number(batch, 3), Number(batch, 4), records));
            }
            else if (line.IndexOf("payload: ", StringComparison.Ordinal) is var at and >= 0)
            {
                records.Add(Record(JsonDocument.Parse(line[(at + "payload: ".Length)..]).RootElement));
            }
        }

        Assert.NotEmpty(batches);
        return batches;
    }

    public static MetadataImage Snapshot(string file) =>
        MetadataImage.Empty.Apply(Read(file).SelectMany(batch => batch.Records), 0, MetadataProvenance.Empty);

    /// <summary>The image of the log below an offset, batch by batch.</summary>
    public static MetadataReplayer Replay(long endOffset, MetadataImage? from = null, long firstOffset = 0)
    {
        var replayer = new MetadataReplayer(from ?? MetadataImage.Empty);
        foreach (var batch in Read(Log).Where(batch => batch.BaseOffset >= firstOffset && batch.LastOffset < endOffset))
            replayer.Apply(batch.Records, batch.BaseOffset, new MetadataProvenance(batch.LastOffset, batch.Epoch, batch.TimestampMs));
        return replayer;
    }

    [GeneratedRegex(@"^baseOffset: (\d+) lastOffset: (\d+) .* partitionLeaderEpoch: (\d+) .* CreateTime: (\d+) ")]
    private static partial Regex BatchLine();

    private static long Number(Match match, int group) =>
        long.Parse(match.Groups[group].Value, System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Reads a record as Kafka's own converter prints it.</summary>
    public static MetadataRecord Record(JsonElement json)
    {
        var d = json.GetProperty("data");
        IRecordMessage message = json.GetProperty("type").GetString() switch
        {
            "BEGIN_TRANSACTION_RECORD" => new BeginTransactionRecord { Name = Text(d, "name") },
            "END_TRANSACTION_RECORD" => new EndTransactionRecord(),
            "FEATURE_LEVEL_RECORD" => new FeatureLevelRecord { Name = Text(d, "name")!, FeatureLevel = (short)Int(d, "featureLevel") },
            "CONFIG_RECORD" => new ConfigRecord
            {
                ResourceType = (sbyte)Int(d, "resourceType"),
                ResourceName = Text(d, "resourceName")!,
                Name = Text(d, "name")!,
                Value = Text(d, "value"),
            },
            "TOPIC_RECORD" => new TopicRecord { Name = Text(d, "name")!, TopicId = Id(d, "topicId") },
            "REMOVE_TOPIC_RECORD" => new RemoveTopicRecord { TopicId = Id(d, "topicId") },
            "CLEAR_ELR_RECORD" => new ClearElrRecord { TopicName = Text(d, "topicName")! },
            "PRODUCER_IDS_RECORD" =>
                new ProducerIdsRecord
                {
                    BrokerId = (int)Int(d, "brokerId"),
                    BrokerEpoch = Int(d, "brokerEpoch"),
                    NextProducerId = Int(d, "nextProducerId")
                },
            "PARTITION_RECORD" => Partition(d),
            "PARTITION_CHANGE_RECORD" => Change(d),
            "REGISTER_BROKER_RECORD" => Broker(d),
            "REGISTER_CONTROLLER_RECORD" => Controller(d),
            "UNREGISTER_BROKER_RECORD" =>
                new UnregisterBrokerRecord { BrokerId = (int)Int(d, "brokerId"), BrokerEpoch = Int(d, "brokerEpoch") },
            "UNREGISTER_CONTROLLER_RECORD" => new UnregisterControllerRecord { ControllerId = (int)Int(d, "controllerId") },
            "BROKER_REGISTRATION_CHANGE_RECORD" => new BrokerRegistrationChangeRecord
            {
                BrokerId = (int)Int(d, "brokerId"),
                BrokerEpoch = Int(d, "brokerEpoch"),
                Fenced = (sbyte)Int(d, "fenced"),
                InControlledShutdown = (sbyte)Int(d, "inControlledShutdown"),
                LogDirs = Ids(d, "logDirs") ?? [],
                CordonedLogDirs = Ids(d, "cordonedLogDirs"),
            },
            "ACCESS_CONTROL_ENTRY_RECORD" => new AccessControlEntryRecord
            {
                Id = Id(d, "id"),
                ResourceType = (sbyte)Int(d, "resourceType"),
                ResourceName = Text(d, "resourceName")!,
                PatternType = (sbyte)Int(d, "patternType"),
                Principal = Text(d, "principal")!,
                Host = Text(d, "host")!,
                Operation = (sbyte)Int(d, "operation"),
                PermissionType = (sbyte)Int(d, "permissionType"),
            },
            "REMOVE_ACCESS_CONTROL_ENTRY_RECORD" => new RemoveAccessControlEntryRecord { Id = Id(d, "id") },
            "USER_SCRAM_CREDENTIAL_RECORD" => new UserScramCredentialRecord
            {
                Name = Text(d, "name")!,
                Mechanism = (sbyte)Int(d, "mechanism"),
                Salt = d.GetProperty("salt").GetBytesFromBase64(),
                StoredKey = d.GetProperty("storedKey").GetBytesFromBase64(),
                ServerKey = d.GetProperty("serverKey").GetBytesFromBase64(),
                Iterations = (int)Int(d, "iterations"),
            },
            "CLIENT_QUOTA_RECORD" => new ClientQuotaRecord
            {
                Entity = [.. d.GetProperty("entity").EnumerateArray().Select(
                    e => new ClientQuotaRecord.EntityData { EntityType = Text(e, "entityType")!, EntityName = Text(e, "entityName") })],
                Key = Text(d, "key")!,
                Value = d.GetProperty("value").GetDouble(),
                Remove = d.GetProperty("remove").GetBoolean(),
            },
            var type => throw new InvalidDataException($"The dump has a record of type {type}."),
        };
        return new MetadataRecord(message, (short)Int(json, "version"));
    }

    private static PartitionRecord Partition(JsonElement d) => new()
    {
        PartitionId = (int)Int(d, "partitionId"),
        TopicId = Id(d, "topicId"),
        Replicas = Ints(d, "replicas")!,
        Isr = Ints(d, "isr")!,
        RemovingReplicas = Ints(d, "removingReplicas")!,
        AddingReplicas = Ints(d, "addingReplicas")!,
        Leader = (int)Int(d, "leader"),
        LeaderRecoveryState = (sbyte)Int(d, "leaderRecoveryState"),
        LeaderEpoch = (int)Int(d, "leaderEpoch"),
        PartitionEpoch = (int)Int(d, "partitionEpoch"),
        Directories = Ids(d, "directories") ?? [],
        EligibleLeaderReplicas = Ints(d, "eligibleLeaderReplicas"),
        LastKnownElr = Ints(d, "lastKnownElr"),
    };

    private static PartitionChangeRecord Change(JsonElement d) => new()
    {
        PartitionId = (int)Int(d, "partitionId"),
        TopicId = Id(d, "topicId"),
        Isr = Ints(d, "isr"),
        Leader = (int)Int(d, "leader", -2),
        Replicas = Ints(d, "replicas"),
        RemovingReplicas = Ints(d, "removingReplicas"),
        AddingReplicas = Ints(d, "addingReplicas"),
        LeaderRecoveryState = (sbyte)Int(d, "leaderRecoveryState", -1),
        Directories = Ids(d, "directories"),
        EligibleLeaderReplicas = Ints(d, "eligibleLeaderReplicas"),
        LastKnownElr = Ints(d, "lastKnownElr"),
    };

    private static RegisterBrokerRecord Broker(JsonElement d) => new()
    {
        BrokerId = (int)Int(d, "brokerId"),
        IncarnationId = Id(d, "incarnationId"),
        BrokerEpoch = Int(d, "brokerEpoch"),
        EndPoints = [.. d.GetProperty("endPoints").EnumerateArray().Select(e => new RegisterBrokerRecord.BrokerEndpoint
        {
            Name = Text(e, "name")!,
            Host = Text(e, "host")!,
            Port = (ushort)Int(e, "port"),
            SecurityProtocol = (short)Int(e, "securityProtocol"),
        })],
        Features = [.. d.GetProperty("features").EnumerateArray().Select(f => new RegisterBrokerRecord.BrokerFeature
        {
            Name = Text(f, "name")!,
            MinSupportedVersion = (short)Int(f, "minSupportedVersion"),
            MaxSupportedVersion = (short)Int(f, "maxSupportedVersion"),
        })],
        Rack = Text(d, "rack"),
        Fenced = d.GetProperty("fenced").GetBoolean(),
        InControlledShutdown = d.GetProperty("inControlledShutdown").GetBoolean(),
        LogDirs = Ids(d, "logDirs") ?? [],
        CordonedLogDirs = Ids(d, "cordonedLogDirs"),
    };

    private static RegisterControllerRecord Controller(JsonElement d) => new()
    {
        ControllerId = (int)Int(d, "controllerId"),
        IncarnationId = Id(d, "incarnationId"),
        EndPoints = [.. d.GetProperty("endPoints").EnumerateArray().Select(e => new RegisterControllerRecord.ControllerEndpoint
        {
            Name = Text(e, "name")!,
            Host = Text(e, "host")!,
            Port = (ushort)Int(e, "port"),
            SecurityProtocol = (short)Int(e, "securityProtocol"),
        })],
        Features = [.. d.GetProperty("features").EnumerateArray().Select(f => new RegisterControllerRecord.ControllerFeature
        {
            Name = Text(f, "name")!,
            MinSupportedVersion = (short)Int(f, "minSupportedVersion"),
            MaxSupportedVersion = (short)Int(f, "maxSupportedVersion"),
        })],
    };

    private static long Int(JsonElement json, string name, long otherwise = 0) =>
        json.TryGetProperty(name, out var value) ? value.GetInt64() : otherwise;

    private static string? Text(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static Uuid Id(JsonElement json, string name) => Uuid.Parse(json.GetProperty(name).GetString()!);

    private static Uuid[]? Ids(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) ? [.. value.EnumerateArray().Select(id => Uuid.Parse(id.GetString()!))] : null;

    private static int[]? Ints(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) ? [.. value.EnumerateArray().Select(id => id.GetInt32())] : null;
}
