using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;
using Ottla.StateMachines.Groups.Share;

namespace Ottla.UnitTests.Groups.Share;

/// <summary>
/// What the members of a share group asked a group coordinator of Apache Kafka 4.4.0, what it answered, and which records it wrote
/// (tests/golden/share/group): ours answers the same, and writes the same bytes, at the same times.
/// </summary>
/// <remarks>
/// Topics in answers and records, and members in descriptions, are put in order before they are compared: Kafka's have the order of a hash
/// map. The members to whom it assigns stay in its order, which decides who gets what.
/// </remarks>
public sealed class RecordedShareGroupTests
{
    [Fact]
    public void A_group_comes_together_grows_and_ends()
    {
        var run = new RecordedRun("group");
        run.Replay();
        Assert.Equal(97, run.Compared);
        Assert.Equal(126, run.Written);
    }

    private sealed class RecordedRun
    {
        private const short StatePartitionsKey = 15;
        private const short TargetMetadataKey = 12;

        private readonly JsonElement[] _lines;
        private readonly Queue<JsonElement> _expected;
        private readonly ShareBed _bed;

        public RecordedRun(string name)
        {
            using var file = File.OpenRead(GoldenData.Path($"share/{name}.jsonl.gz"));
            using var reader = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
            var lines = new List<JsonElement>();
            while (reader.ReadLine() is { } line)
                lines.Add(JsonDocument.Parse(line).RootElement);
            _lines = [.. lines.Where(line => !line.TryGetProperty("offset", out _))];
            _expected = new Queue<JsonElement>(lines.Where(line => line.TryGetProperty("offset", out _)));
            _bed = new ShareBed();
            _bed.Coordinator.HoldsOutputs = true;
        }

        /// <summary>How many answers were compared.</summary>
        public int Compared { get; private set; }

        /// <summary>How many records were compared.</summary>
        public int Written { get; private set; }

        public void Replay()
        {
            foreach (var line in _lines)
            {
                var at = new Instant(line.GetProperty("t").GetInt64());
                while (NextStateChange() is { } change && change < at)
                {
                    _bed.Coordinator.AdvanceTo(change);
                    CheckRecords();
                    _bed.Coordinator.RunOutputs();
                    CheckRecords(_bed.Coordinator.LastResolutionRecords);
                }

                if (line.TryGetProperty("api", out var api))
                    Run((ApiKey)api.GetInt16(), line, at);
                else
                    Change(line, at);
            }

            Assert.Empty(_expected);
        }

        private void Change(JsonElement line, Instant at)
        {
            AdvanceTo(at);
            if (line.TryGetProperty("topic", out var topic))
            {
                _bed.CreateTopic(
                    topic.GetString()!, line.GetProperty("partitions").GetInt32(), Uuid.Parse(line.GetProperty("id").GetString()!));
            }
            else if (line.TryGetProperty("grown", out var grown))
            {
                var known = _bed.Image.Topics.Find(grown.GetString()!)!.Partitions.Length;
                _bed.AddPartitions(grown.GetString()!, line.GetProperty("count").GetInt32() - known);
            }
            else
            {
                _bed.ConfigureGroup(
                    line.GetProperty("name").GetString()!, line.GetProperty("value").GetString()!, line.GetProperty("group").GetString()!);
            }
        }

        private void Run(ApiKey api, JsonElement line, Instant at)
        {
            AdvanceTo(AssignmentTime(at, new Instant(line.GetProperty("until").GetInt64())) ?? at);
            var version = line.GetProperty("v").GetInt16();
            var origin = new RequestOrigin(line.GetProperty("client").GetString()!, "/127.0.0.1", version);
            var request = new WireReader(Convert.FromHexString(line.GetProperty("request").GetString()!));
            var response = new WireReader(Convert.FromHexString(line.GetProperty("response").GetString()!));
            switch (api)
            {
                case ApiKey.ShareGroupHeartbeat:
                    Compare(
                        Ordered(ShareGroupHeartbeatResponse.Read(ref response, version)),
                        Heartbeat(new ShareGroupHeartbeatCommand(origin, ShareGroupHeartbeatRequest.Read(ref request, version))), version);
                    break;
                case ApiKey.ShareGroupDescribe:
                    Compare(
                        Ordered(ShareGroupDescribeResponse.Read(ref response, version)),
                        Describe(ShareGroupDescribeRequest.Read(ref request, version)), version);
                    break;
                case ApiKey.DeleteGroups:
                    Compare(
                        DeleteGroupsResponse.Read(ref response, version), Delete(DeleteGroupsRequest.Read(ref request, version)), version);
                    break;
                case ApiKey.ConsumerGroupHeartbeat:
                    _bed.Send(new ConsumerGroupHeartbeatCommand(origin, ConsumerGroupHeartbeatRequest.Read(ref request, version)));
                    break; // another group's
                case ApiKey.OffsetCommit:
                    _bed.Send(new OffsetCommitCommand(origin, OffsetCommitRequest.Read(ref request, version)));
                    break; // another group's
                default:
                    throw new InvalidDataException($"The recording has a request of {api}.");
            }

            CheckRecords();
        }

        private ShareGroupHeartbeatResponse Heartbeat(ShareGroupHeartbeatCommand command)
        {
            var answer = _bed.Send(command);
            return answer.Failure.IsFailure
                ? new ShareGroupHeartbeatResponse { ErrorCode = (short)answer.Error, ErrorMessage = answer.Failure.Message }
                : answer.Value;
        }

        private ShareGroupDescribeResponse Describe(ShareGroupDescribeRequest request)
        {
            var answer = _bed.Send(new ShareGroupDescribeCommand(Assert.Single(request.GroupIds)));
            return new ShareGroupDescribeResponse
            {
                Groups =
                [
                    answer.Failure.IsFailure
                        ? new ShareGroupDescribeResponse.DescribedGroup
                        {
                            GroupId = request.GroupIds[0],
                            ErrorCode = (short)answer.Error,
                            ErrorMessage = answer.Failure.Message,
                        }
                        : answer.Value,
                ],
            };
        }

        private DeleteGroupsResponse Delete(DeleteGroupsRequest request) => new()
        {
            Results = [.. request.GroupsNames.Select(groupId =>
            {
                _bed.Send(new PrepareDeleteGroupCommand(groupId));
                CheckRecords();
                var answer = _bed.Send(new DeleteGroupCommand(groupId));
                return new DeleteGroupsResponse.DeletableGroupResult { GroupId = groupId, ErrorCode = (short)answer.Error };
            })],
        };

        private void Compare<TResponse>(TResponse expected, TResponse actual, short version)
            where TResponse : IMessage
        {
            Assert.Equal(Hex(expected, version), Hex(actual, version));
            Compared++;
        }

        private static ShareGroupHeartbeatResponse Ordered(ShareGroupHeartbeatResponse response)
        {
            if (response.Assignment is { } assignment)
                assignment.TopicPartitions = [.. assignment.TopicPartitions.OrderBy(topic => topic.TopicId)];
            return response;
        }

        private static ShareGroupDescribeResponse Ordered(ShareGroupDescribeResponse response)
        {
            foreach (var group in response.Groups)
            {
                group.Members = [.. group.Members.OrderBy(member => member.MemberId, StringComparer.Ordinal)];
                foreach (var member in group.Members)
                    member.Assignment.TopicPartitions = [.. member.Assignment.TopicPartitions.OrderBy(topic => topic.TopicId)];
            }

            return response;
        }

        private void AdvanceTo(Instant at)
        {
            _bed.Coordinator.AdvanceTo(at);
            CheckRecords();
        }

        /// <summary>Compares the records of one step; those of several members may come in any order.</summary>
        private void CheckRecords(IReadOnlyList<CoordinatorRecord>? written = null)
        {
            var ours = (written ?? _bed.TakeRecords()).Where(IsOfShareGroup).OrderBy(InOrder, StringComparer.Ordinal).ToList();
            var theirs = ours.Select(_ => _expected.Dequeue())
                .OrderBy(expected => expected.GetProperty("key").GetString(), StringComparer.OrdinalIgnoreCase).ToList();
            foreach (var (record, expected) in ours.Zip(theirs))
            {
                var key = Convert.FromHexString(expected.GetProperty("key").GetString()!);
                Assert.Equal(Convert.ToHexString(key[2..]), Hex(record.Key, 0));
                Assert.Equal((key[0] << 8) | key[1], record.Key.RecordKey);
                var value = expected.GetProperty("value").GetString();
                Assert.Equal(value is null, record.Value is null);
                if (value is not null)
                    Assert.Equal(Hex(Ordered(Value(record.Key.RecordKey, value)), 0), Hex(record.Value!, 0));
                Written++;
            }
        }

        private static string InOrder(CoordinatorRecord record) =>
            record.Key.RecordKey.ToString("X4", CultureInfo.InvariantCulture) + Hex(record.Key, 0);

        private static bool IsOfShareGroup(CoordinatorRecord record) => record.Key.RecordKey is >= 10 and <= StatePartitionsKey;

        private static IRecordMessage Ordered(IRecordMessage value)
        {
            switch (value)
            {
                case ShareGroupTargetAssignmentMemberValue target:
                    target.TopicPartitions = [.. target.TopicPartitions.OrderBy(topic => topic.TopicId)];
                    break;
                case ShareGroupCurrentMemberAssignmentValue current:
                    current.AssignedPartitions = [.. current.AssignedPartitions.OrderBy(topic => topic.TopicId)];
                    break;
                case ShareGroupStatePartitionMetadataValue state:
                    state.InitializingTopics = [.. state.InitializingTopics.OrderBy(topic => topic.TopicId)];
                    state.InitializedTopics = [.. state.InitializedTopics.OrderBy(topic => topic.TopicId)];
                    state.DeletingTopics = [.. state.DeletingTopics.OrderBy(topic => topic.TopicId)];
                    break;
            }

            return value;
        }

        /// <summary>When the next record was written, if share coordinators had begun then.</summary>
        private Instant? NextStateChange()
        {
            if (!_expected.TryPeek(out var next) || KeyOf(next) != StatePartitionsKey
                || next.GetProperty("value").GetString() is not { } value)
                return null;
            var state = (ShareGroupStatePartitionMetadataValue)Value(StatePartitionsKey, value);
            return state.InitializingTopics.Length == 0 && state.DeletingTopics.Length == 0
                ? new Instant(next.GetProperty("t").GetInt64())
                : null;
        }

        /// <summary>When Kafka computed the assignment of the next batch of records, if it did so in this time.</summary>
        private Instant? AssignmentTime(Instant from, Instant until)
        {
            foreach (var record in _expected.TakeWhile(record => BatchOf(record) == BatchOf(_expected.Peek())))
            {
                if (KeyOf(record) == TargetMetadataKey && record.GetProperty("value").GetString() is { } value)
                {
                    var at = new Instant(((ShareGroupTargetAssignmentMetadataValue)Value(TargetMetadataKey, value)).AssignmentTimestamp);
                    if (at >= from && at <= until)
                        return at;
                }
            }

            return null;
        }

        private static long BatchOf(JsonElement record) => record.GetProperty("batch").GetInt64();

        private static int KeyOf(JsonElement record) => Convert.ToInt32(record.GetProperty("key").GetString()![..4], 16);

        private static IRecordMessage Value(short recordKey, string hex)
        {
            var reader = new WireReader(Convert.FromHexString(hex));
            return GroupRecords.ReadValue(recordKey, reader.ReadInt16(), ref reader);
        }

        private static string Hex(IMessage message, short version) => Convert.ToHexString(WireBuffer.Encode(message, version));
    }

    private sealed class ShareBed : CoordinatorTestBed
    {
        private IReadOnlyList<CoordinatorRecord> _taken = [];

        public ShareBed()
            : base(seed: 1,
            [
                ("group.share.min.session.timeout.ms", "3000"), ("group.share.min.heartbeat.interval.ms", "500"),
                ("offsets.retention.check.interval.ms", "4000000000000"), // time begins long before the recording
            ])
        {
        }

        /// <summary>What the last step wrote, once.</summary>
        public IReadOnlyList<CoordinatorRecord> TakeRecords()
        {
            if (ReferenceEquals(_taken, LastRecords))
                return [];
            _taken = LastRecords;
            return _taken;
        }
    }
}
