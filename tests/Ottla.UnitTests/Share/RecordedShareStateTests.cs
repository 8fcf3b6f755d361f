using System.IO.Compression;
using System.Text.Json;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;

namespace Ottla.UnitTests.Share;

/// <summary>
/// What a share coordinator of Apache Kafka 4.4.0 was asked, what it answered, and which records it wrote (tests/golden/share): ours
/// answers the same, and writes the same bytes.
/// </summary>
/// <remarks>
/// Two requests are answered otherwise on purpose. Kafka 4.4.0 begins a partition anew when an initialisation is repeated (later versions
/// do not), and fails with a server error on a batch whose first offset is above its last.
/// </remarks>
public sealed class RecordedShareStateTests
{
    /// <summary>Any odd arguments: epochs, offsets, overlaps, unknown states, partitions that are not there.</summary>
    [Fact]
    public void Odd_requests() => Replay("persister-raw", loadedAt: new Instant(1_795_962_890_000), repeated: 1, failed: 1);

    /// <summary>Two groups at work: updates, snapshots by count and by time, deletion.</summary>
    [Fact]
    public void Groups_at_work() => Replay(
        "state", loadedAt: new Instant(1_795_963_171_525), repeated: 0, failed: 0,
        ("share.coordinator.snapshot.update.records.per.snapshot", "5"), ("share.coordinator.cold.partition.snapshot.interval.ms", "4000"),
        ("share.coordinator.state.topic.prune.interval.ms", "3000"));

    private static void Replay(
        string name, Instant loadedAt, int repeated, int failed, params (string Name, string Value)[] configs)
    {
        using var file = File.OpenRead(GoldenData.Path($"share/{name}.jsonl.gz"));
        using var reader = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
        var lines = new List<JsonElement>();
        while (reader.ReadLine() is { } line)
            lines.Add(JsonDocument.Parse(line).RootElement);
        var topicId = Uuid.Parse(lines[0].GetProperty("id").GetString()!);
        var bed = new ShareCoordinatorTestBed(topicId, lines[0].GetProperty("partitions").GetInt32(), configs) { Now = loadedAt };
        bed.Load();
        var replay = new RecordedRun(bed, new Queue<JsonElement>(lines.Where(line => line.TryGetProperty("offset", out _))));
        foreach (var exchange in lines.Where(line => line.TryGetProperty("request", out _)))
            replay.Run(exchange);
        Assert.Equal((repeated, failed), (replay.Repeated, replay.Failed));
        Assert.Empty(replay.Expected);
    }

    private sealed class RecordedRun(ShareCoordinatorTestBed bed, Queue<JsonElement> expected)
    {
        private const string SnapshotKeyHex = "0000";

        private int _snapshotsLeftOut;

        public Queue<JsonElement> Expected => expected;

        /// <summary>How many initialisations were repeated.</summary>
        public int Repeated { get; private set; }

        /// <summary>How many requests Kafka failed on.</summary>
        public int Failed { get; private set; }

        public void Run(JsonElement exchange)
        {
            while (NextSnapshot() is { } cold && cold.CreateTimestamp != cold.WriteTimestamp)
            {
                bed.Now = new Instant(cold.WriteTimestamp);
                bed.RunDeadline();
                Assert.NotEmpty(bed.LastRecords);
                CheckRecords();
            }

            var request = new WireReader(Convert.FromHexString(exchange.GetProperty("request").GetString()!));
            var response = new WireReader(Convert.FromHexString(exchange.GetProperty("response").GetString()!));
            var version = exchange.GetProperty("v").GetInt16();
            if (NextSnapshot() is { } next)
                bed.Now = new Instant(next.WriteTimestamp);
            switch ((ApiKey)exchange.GetProperty("key").GetInt16())
            {
                case ApiKey.InitializeShareGroupState:
                    Initialize(
                        InitializeShareGroupStateRequest.Read(ref request, version),
                        InitializeShareGroupStateResponse.Read(ref response, version));
                    break;
                case ApiKey.ReadShareGroupState:
                    Read(ReadShareGroupStateRequest.Read(ref request, version), ReadShareGroupStateResponse.Read(ref response, version));
                    break;
                case ApiKey.WriteShareGroupState:
                    Write(WriteShareGroupStateRequest.Read(ref request, version), WriteShareGroupStateResponse.Read(ref response, version));
                    break;
                case ApiKey.DeleteShareGroupState:
                    Delete(
                        DeleteShareGroupStateRequest.Read(ref request, version), DeleteShareGroupStateResponse.Read(ref response, version));
                    break;
                case ApiKey.ReadShareGroupStateSummary:
                    ReadSummary(
                        ReadShareGroupStateSummaryRequest.Read(ref request, version),
                        ReadShareGroupStateSummaryResponse.Read(ref response, version));
                    break;
                case var key:
                    throw new InvalidDataException($"The recording has a request of {key}.");
            }

            CheckRecords();
        }

        private void Initialize(InitializeShareGroupStateRequest request, InitializeShareGroupStateResponse response)
        {
            if (response.Results is not [{ Partitions: [var result] }])
                return; // a request without a group is answered before a coordinator is asked
            var (topicId, wanted) = (request.Topics[0].TopicId, request.Topics[0].Partitions[0]);
            var reply = bed.Ask(new InitializeShareStateCommand(
                new SharePartitionKey(request.GroupId, topicId, wanted.Partition), wanted.StateEpoch, wanted.StartOffset));
            Check(result.ErrorCode, result.ErrorMessage, reply);
            if (!reply.Error.IsFailure && bed.LastRecords.Count == 0)
            {
                Repeated++;
                _snapshotsLeftOut++;
                expected.Dequeue();
            }
        }

        private void Read(ReadShareGroupStateRequest request, ReadShareGroupStateResponse response)
        {
            if (response.Results is not [{ Partitions: [var result] }])
                return;
            var (topicId, wanted) = (request.Topics[0].TopicId, request.Topics[0].Partitions[0]);
            var reply = bed.Ask(new ReadShareStateCommand(
                new SharePartitionKey(request.GroupId, topicId, wanted.Partition), wanted.LeaderEpoch));
            Check(result.ErrorCode, result.ErrorMessage, reply);
            if (reply.Error.IsFailure)
                return;
            var state = reply.Value<ShareState>();
            Assert.Equal((result.StateEpoch, result.StartOffset), (state.StateEpoch, state.StartOffset));
            Assert.Equal(
                result.StateBatches.Select(batch => new DeliveryBatch(
                    batch.FirstOffset, batch.LastOffset, (DeliveryState)batch.DeliveryState, batch.DeliveryCount)),
                state.Batches);
        }

        private void Write(WriteShareGroupStateRequest request, WriteShareGroupStateResponse response)
        {
            var (topicId, wanted) = (request.Topics[0].TopicId, request.Topics[0].Partitions[0]);
            var result = response.Results[0].Partitions[0];
            var reply = bed.Ask(new WriteShareStateCommand(
                new SharePartitionKey(request.GroupId, topicId, wanted.Partition), wanted.StateEpoch, wanted.LeaderEpoch,
                wanted.StartOffset, wanted.DeliveryCompleteCount,
                [
                    .. wanted.StateBatches.Select(batch => new DeliveryBatch(
                        batch.FirstOffset, batch.LastOffset, (DeliveryState)batch.DeliveryState, batch.DeliveryCount)),
                ]));
            if (result.ErrorCode == (short)ErrorCode.UnknownServerError)
            {
                Failed++;
                Assert.Equal(ErrorCode.InvalidRequest, reply.Error.Code);
                return;
            }

            Check(result.ErrorCode, result.ErrorMessage, reply);
        }

        private void Delete(DeleteShareGroupStateRequest request, DeleteShareGroupStateResponse response)
        {
            var (topicId, wanted) = (request.Topics[0].TopicId, request.Topics[0].Partitions[0]);
            var result = response.Results[0].Partitions[0];
            var reply = bed.Ask(new DeleteShareStateCommand(new SharePartitionKey(request.GroupId, topicId, wanted.Partition)));
            Check(result.ErrorCode, result.ErrorMessage, reply);
        }

        private void ReadSummary(ReadShareGroupStateSummaryRequest request, ReadShareGroupStateSummaryResponse response)
        {
            var (topicId, wanted) = (request.Topics[0].TopicId, request.Topics[0].Partitions[0]);
            var result = response.Results[0].Partitions[0];
            var reply = bed.Ask(new ReadShareStateSummaryCommand(new SharePartitionKey(request.GroupId, topicId, wanted.Partition)));
            Check(result.ErrorCode, result.ErrorMessage, reply);
            if (reply.Error.IsFailure)
                return;
            var state = reply.Value<ShareState>();
            Assert.Equal(
                (result.StateEpoch, result.LeaderEpoch, result.StartOffset, result.DeliveryCompleteCount),
                (state.StateEpoch, state.LeaderEpoch, state.StartOffset, state.DeliveryCompleteCount));
        }

        private static void Check(short errorCode, string? message, CoordinatorReply reply) =>
            Assert.Equal(((ErrorCode)errorCode, message), (reply.Error.Code, reply.Error.Message));

        /// <summary>The records of the last step are the next ones of the recording.</summary>
        private void CheckRecords()
        {
            foreach (var record in bed.LastRecords)
            {
                var kafkas = expected.Dequeue();
                Assert.Equal(kafkas.GetProperty("key").GetString(), Hex(record.Key.RecordKey, record.Key));
                var value = kafkas.GetProperty("value").GetString();
                if (value is null)
                {
                    Assert.Null(record.Value);
                    _snapshotsLeftOut = 0; // its successor counts from 0
                }
                else
                {
                    Assert.Equal(Adjusted(Value(value, record.Key.RecordKey)), Hex(record.ValueVersion, record.Value!));
                }
            }
        }

        /// <summary>Kafka's value, without the snapshots that ours leaves out.</summary>
        private string Adjusted(IRecordMessage message)
        {
            if (message is ShareSnapshotValue snapshot)
                snapshot.SnapshotEpoch -= _snapshotsLeftOut;
            else if (message is ShareUpdateValue update)
                update.SnapshotEpoch -= _snapshotsLeftOut;
            return Hex(0, message);
        }

        /// <summary>The next record, if it is a snapshot.</summary>
        private ShareSnapshotValue? NextSnapshot() =>
            expected.TryPeek(out var next) && next.GetProperty("value").GetString() is { } value
                && next.GetProperty("key").GetString()!.StartsWith(SnapshotKeyHex, StringComparison.Ordinal)
                ? (ShareSnapshotValue)Value(value, new ShareSnapshotKey().RecordKey)
                : null;

        private static IRecordMessage Value(string hex, short recordKey)
        {
            var reader = new WireReader(Convert.FromHexString(hex));
            var version = reader.ReadInt16();
            return ShareRecords.ReadValue(recordKey, version, ref reader);
        }

        private static string Hex(short prefix, IRecordMessage message)
        {
            var buffer = new WireBuffer();
            var writer = new WireWriter(buffer);
            writer.WriteInt16(prefix);
            message.Write(ref writer, 0);
            writer.Flush();
            return Convert.ToHexStringLower(buffer.Written);
        }
    }
}
