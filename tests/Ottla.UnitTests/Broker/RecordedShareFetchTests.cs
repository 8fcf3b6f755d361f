using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Broker;

/// <summary>
/// What members of share groups asked Apache Kafka 4.4.0, frame by frame and at the times of the recording, and what it answered
/// (tests/golden/share): ours answers the same errors, offsets, delivery counts and record batches.
/// </summary>
/// <remarks>
/// Not compared are texts of errors, and whether a partition without anything is in the answer at all.
/// </remarks>
public sealed class RecordedShareFetchTests
{
    private static readonly (string Name, string Value)[] s_recordedBroker =
    [
        ("group.share.min.record.lock.duration.ms", "1000"), ("group.share.min.session.timeout.ms", "3000"),
        ("log.message.timestamp.after.max.ms", "9223372036854775807"), // the recording was made later than the clock says
    ];

    [Theory]
    [InlineData("acknowledgements", 47)]
    public async Task Members_are_answered_as_by_Kafka(string recording, int answers)
    {
        await using var run = await RecordedRun.StartAsync(recording);
        await run.ReplayAsync();
        Assert.Equal(answers, run.Compared);
        Assert.True(run.Differences.Count == 0, string.Join('\n', run.Differences));
    }

    /// <summary>One partition of an answer, in words.</summary>
    private readonly record struct Told(string Partition, short Error, short AcknowledgeError, string Acquired, string Batches)
    {
        public bool IsEmpty => this is { Error: 0, AcknowledgeError: 0, Acquired: "", Batches: "" };
    }

    private sealed class RecordedRun : IAsyncDisposable
    {
        /// <summary>How many other requests a waiting fetch has time for, to find what comes without time going on.</summary>
        private const int RoundTripsOfWait = 20;

        private readonly TestNode _node;
        private readonly TestConnection _admin;
        private readonly List<JsonElement> _events;
        private readonly Dictionary<int, TestConnection> _connections = [];
        private readonly Dictionary<(int Connection, int Correlation), Task<byte[]?>> _answers = [];
        private readonly Dictionary<string, (string Name, Uuid Ours)> _topics = new(StringComparer.OrdinalIgnoreCase);
        private readonly HashSet<string> _groups = [];
        private readonly string _name;
        private string _note = "";
        private long _elapsedMs;

        private RecordedRun(string name, TestNode node, TestConnection admin)
        {
            (_name, _node, _admin) = (name, node, admin);
            using var file = File.OpenRead(GoldenData.Path($"share/{name}.jsonl.gz"));
            using var reader = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
            _events = [];
            while (reader.ReadLine() is { } line)
                _events.Add(JsonDocument.Parse(line).RootElement);
        }

        public int Compared { get; private set; }

        public List<string> Differences { get; } = [];

        public static async Task<RecordedRun> StartAsync(string name)
        {
            var node = await TestNode.StartAsync([.. ShareGroupCalls.ShareGroups, .. s_recordedBroker]);
            return new RecordedRun(name, node, await node.ConnectAsync());
        }

        public async Task ReplayAsync()
        {
            foreach (var each in _events)
            {
                var waitMs = each.GetProperty("t").GetInt64() - _elapsedMs;
                if (waitMs > 0)
                {
                    _node.Clock.AdvanceMs(waitMs);
                    _elapsedMs += waitMs;
                }

                await RunAsync(each);
            }
        }

        public async ValueTask DisposeAsync()
        {
            foreach (var connection in _connections.Values)
                await connection.DisposeAsync();
            await _admin.DisposeAsync();
            await _node.DisposeAsync();
        }

        private async Task RunAsync(JsonElement each)
        {
            if (each.TryGetProperty("note", out var note))
                _note = note.GetString()!;
            else if (each.TryGetProperty("topic", out var topic))
                await CreateAsync(topic.GetString()!, each);
            else if (each.TryGetProperty("group", out var group))
                await ConfigureAsync(group.GetString()!, each);
            else if (each.TryGetProperty("produce", out _))
                await ProduceAsync(each);
            else if (each.TryGetProperty("join", out var joined))
                await JoinAsync(joined.GetString()!, each);
            else if (each.TryGetProperty("leave", out var left))
                await _admin.ShareHeartbeatAsync(left.GetString()!, each.GetProperty("member").GetString()!, -1);
            else if (each.TryGetProperty("close", out var closed))
                await CloseAsync(closed.GetInt32());
            else if (each.TryGetProperty("api", out _))
                await SendAsync(each);
            else
                await CompareAsync(each);
        }

        private async Task CreateAsync(string name, JsonElement topic)
        {
            var id = await _admin.CreateTopicAsync(name, topic.GetProperty("partitions").GetInt32());
            _topics[Hex(Uuid.Parse(topic.GetProperty("id").GetString()!))] = (name, id);
        }

        private async Task ConfigureAsync(string group, JsonElement config)
        {
            const sbyte groupResource = 32;
            var response = await _admin.CallAsync<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>(new()
            {
                Resources =
                [
                    new()
                    {
                        ResourceType = groupResource,
                        ResourceName = group,
                        Configs =
                        [
                            new() { Name = config.GetProperty("name").GetString()!, Value = config.GetProperty("value").GetString() },
                        ],
                    },
                ],
            });
            Requests.AssertError(ErrorCode.None, response.Responses[0].ErrorCode);
        }

        private async Task ProduceAsync(JsonElement produced)
        {
            const int correlationAt = 4;
            var request = Convert.FromHexString(produced.GetProperty("request").GetString()!);
            var correlation = BinaryPrimitives.ReadInt32BigEndian(request.AsSpan(correlationAt));
            await _admin.SendFrameAsync(request);
            var frame = await _admin.ReceiveFrameAsync() ?? throw new EndOfStreamException("The connection was closed.");
            var response = TestConnection.Decode<ProduceResponse>(frame, produced.GetProperty("v").GetInt16(), correlation);
            Requests.AssertError(ErrorCode.None, Assert.Single(Assert.Single(response.Responses).PartitionResponses).ErrorCode);
        }

        /// <summary>A member joins, and the group's partitions get their state: without it nothing can be fetched.</summary>
        private async Task JoinAsync(string group, JsonElement join)
        {
            if (_groups.Add(group))
                await _admin.FindCoordinatorAsync(group);
            string[] names = [.. join.GetProperty("topics").EnumerateArray().Select(name => name.GetString()!)];
            var answer = await _admin.ShareHeartbeatAsync(group, join.GetProperty("member").GetString()!, 0, names);
            Requests.AssertError(ErrorCode.None, answer.ErrorCode);
            await PumpAsync(async () =>
            {
                var described = await _admin.DescribeShareOffsetsAsync(group);
                return names.All(name => described.Topics.Any(topic => topic.TopicName == name));
            });
        }

        private async Task CloseAsync(int connection)
        {
            if (!_connections.Remove(connection, out var closed))
                return;
            await closed.DisposeAsync();
            await SettleAsync();
        }

        private async Task SendAsync(JsonElement request)
        {
            var connection = request.GetProperty("conn").GetInt32();
            if (!_connections.TryGetValue(connection, out var client))
                _connections[connection] = client = await _node.ConnectAsync();
            var hex = _topics.Aggregate(
                request.GetProperty("request").GetString()!, (frame, topic) => frame.Replace(
                    topic.Key, Hex(topic.Value.Ours), StringComparison.OrdinalIgnoreCase));
            var frame = Convert.FromHexString(hex);
            var waits = _node.Clock.NextTimerAsync(MaxWaitOf(frame));
            await client.SendFrameAsync(frame);
            var receiving = client.ReceiveFrameAsync();
            _answers[(connection, request.GetProperty("corr").GetInt32())] = receiving;

            // Time goes on when the answer is there, or the node waits for time to go on.
            await Task.WhenAny(receiving, waits);
            for (var i = 0; i < RoundTripsOfWait && !receiving.IsCompleted; i++)
                await SettleAsync();
        }

        /// <summary>The longest wait of a ShareFetch; of another request, a time that no timer has.</summary>
        private static long MaxWaitOf(byte[] frame)
        {
            const int clientIdAt = 8;
            var reader = new WireReader(frame);
            if ((ApiKey)reader.ReadInt16() != ApiKey.ShareFetch)
                return int.MaxValue;
            var version = reader.ReadInt16();
            var bodyAt = clientIdAt + sizeof(short) + Math.Max(BinaryPrimitives.ReadInt16BigEndian(frame.AsSpan(clientIdAt)), (short)0) + 1;
            var body = new WireReader(frame.AsMemory(bodyAt));
            return ShareFetchRequest.Read(ref body, version).MaxWaitMs;
        }

        private async Task CompareAsync(JsonElement answer)
        {
            var correlation = answer.GetProperty("corr").GetInt32();
            var version = answer.GetProperty("v").GetInt16();
            _answers.Remove((answer.GetProperty("conn").GetInt32(), correlation), out var receiving);
            await PumpAsync(() => Task.FromResult(receiving!.IsCompleted));
            var ours = await receiving! ?? throw new EndOfStreamException("The connection was closed.");
            var theirs = Convert.FromHexString(answer.GetProperty("response").GetString()!);
            var isFetch = answer.GetProperty("answer").GetInt16() == (short)ApiKey.ShareFetch;
            var expected = isFetch ? Fetch(theirs, version, correlation) : Acknowledge(theirs, version, correlation);
            var actual = isFetch ? Fetch(ours, version, correlation) : Acknowledge(ours, version, correlation);
            if (expected != actual)
                Differences.Add($"{_name}, {_elapsedMs} ms, after '{_note}':\n  Kafka {expected}\n  ours  {actual}");
            Compared++;
            await SettleAsync();
        }

        private string Fetch(byte[] frame, short version, int correlation)
        {
            var response = TestConnection.Decode<ShareFetchResponse>(frame, version, correlation);
            return InWords(
                response.ErrorCode, response.AcquisitionLockTimeoutMs,
                from topic in response.Responses
                from partition in topic.Partitions
                select new Told(
                    NameOf(topic.TopicId, partition.PartitionIndex), partition.ErrorCode, partition.AcknowledgeErrorCode,
                    string.Join(' ', partition.AcquiredRecords.Select(InWords)),
                    BatchesOf(partition.Records)));
        }

        private string Acknowledge(byte[] frame, short version, int correlation)
        {
            var response = TestConnection.Decode<ShareAcknowledgeResponse>(frame, version, correlation);
            return InWords(
                response.ErrorCode, response.AcquisitionLockTimeoutMs,
                from topic in response.Responses
                from partition in topic.Partitions
                select new Told(NameOf(topic.TopicId, partition.PartitionIndex), partition.ErrorCode, 0, "", ""));
        }

        private static string InWords(short error, int lockMs, IEnumerable<Told> partitions) => string.Create(
            CultureInfo.InvariantCulture,
            $"error {error} lock {lockMs}: {string.Join("; ", partitions.Where(told => !told.IsEmpty).OrderBy(told => told.Partition))}");

        private static string InWords(ShareFetchResponse.AcquiredRecordsData range) => string.Create(
            CultureInfo.InvariantCulture, $"{range.FirstOffset}-{range.LastOffset}x{range.DeliveryCount}");

        private static string BatchesOf(Records records)
        {
            var batches = new List<string>();
            for (var rest = records.Memory.Span; rest.Length > 0;)
            {
                var view = new RecordBatchView(rest);
                batches.Add($"{view.BaseOffset}-{view.LastOffset}");
                rest = rest[view.SizeInBytes..];
            }

            return string.Join(' ', batches);
        }

        private string NameOf(Uuid topicId, int partition)
        {
            var known = _topics.FirstOrDefault(topic => topic.Key == Hex(topicId) || topic.Value.Ours == topicId).Value.Name;
            return $"{known ?? topicId.ToString()}-{partition}";
        }

        /// <summary>What is written after an answer takes effect before the next request, as it does in the time between them.</summary>
        private async Task SettleAsync()
        {
            foreach (var group in _groups)
                await _admin.DescribeShareOffsetsAsync(group);
        }

        /// <summary>Waits for something, and lets a little time pass meanwhile.</summary>
        private Task PumpAsync(Func<Task<bool>> condition) => Waiting.UntilAsync(async () =>
        {
            if (await condition())
                return true;
            _node.Clock.AdvanceMs(1);
            _elapsedMs++;
            return false;
        });

        private static string Hex(Uuid id)
        {
            var buffer = new WireBuffer();
            var writer = new WireWriter(buffer);
            writer.WriteUuid(id);
            writer.Flush();
            return Convert.ToHexStringLower(buffer.Written);
        }
    }
}
