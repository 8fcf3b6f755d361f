using System.Buffers.Binary;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Api;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Replicas.PlayedFollower;

namespace Ottla.UnitTests.Replicas;

/// <summary>What a fetch of a follower allocates on the leader, from the receive to the send: counted, not timed.</summary>
public sealed class FollowerFetchAllocationTests
{
    private const int WarmUpRequests = 500;
    private const int CountedRequests = 2000;

    /// <summary>What of a request the test counts.</summary>
    public enum Load
    {
        /// <summary>There are records when the fetch comes in.</summary>
        Records,

        /// <summary>The fetch waits, and an append answers it.</summary>
        RecordsAfterWait,

        /// <summary>There is nothing, and the fetch does not wait.</summary>
        Nothing,
    }

    [Theory]
    [InlineData(Load.Records, 1)]
    [InlineData(Load.RecordsAfterWait, 1)]
    [InlineData(Load.Records, 20)]
    [InlineData(Load.RecordsAfterWait, 20)]
    [InlineData(Load.Nothing, 20)]
    public async Task A_fetch_of_a_session_allocates_nothing(Load load, int partitions)
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", partitions + 100); // most are idle
        var script = new Script(leader, load, partitions);
        var planner = new FetchPlanner(leader.Topics, leader.Leaders, racks: null, leader.Clock);
        var fetch = new FetchHandler(
            planner, new FetchSessions(1, new Prng(1)), leader.Handler, leader.Leaders, Authorizer.None,
            new ClientQuotas(11, 1000, 11, 1000, TimeProvider.System), static () => int.MaxValue, leader.Clock);
        var apis = new ApiTable(ApiListeners.Broker, [new ReusingApiEntry<FetchRequest, FetchResponse>(fetch)]);
        var settings = new ServerSettings(1 << 20, 100, 100, 100, new Dictionary<IPAddress, int>(), -1);
        using var heavy = new HeavyRequests(static () => 1, TimeProvider.System);
        await using var connection = new Connection(
            script, "PLAINTEXT", apis, heavy, settings, new BufferPool(), leader.Clock, NullLogger.Instance);
        await script.RunAsync(connection);
        Assert.Equal(load == Load.Nothing ? 0 : CountedRequests + WarmUpRequests, script.AnswersWithRecords);
        Assert.Equal(0, script.MedianBytes);
    }

    /// <summary>
    /// A follower whose requests are there already. The broker's side runs through on the thread of the test, which counts what it
    /// allocates; what appends allocate is not counted.
    /// </summary>
    private sealed class Script : ScriptedClient
    {
        /// <summary>Stands in the request where an offset goes.</summary>
        private static readonly byte[] s_offset = [1, 2, 3, 4, 5, 6, 7, 8];

        private readonly LeaderTestBed _leader;
        private readonly Load _load;
        private readonly int _partitions;
        private readonly byte[] _first;
        private readonly byte[] _next;
        private readonly long[] _bytes = new long[CountedRequests];
        private readonly byte[] _sent = new byte[1 << 16];
        private int _epochAt;
        private int _sentBytes;
        private int _sentCount;
        private int _answers = -1;
        private int _requested;
        private long _before;
        private long _counted;

        public Script(LeaderTestBed leader, Load load, int partitions)
        {
            _leader = leader;
            _load = load;
            _partitions = partitions;
            var follower = new PlayedFollower(leader);
            _first = TestConnection.Encode(
                ApiKey.Fetch, 18, 0,
                Changed(follower.Request([.. Enumerable.Range(0, partitions + 100).Select(index => At("t", index, 0))]), maxWaitMs: 0));
            (follower.SessionId, follower.SessionEpoch) = (0x01020304, 1);
            _next = TestConnection.Encode(
                ApiKey.Fetch, 18, 1,
                load == Load.Nothing ? Changed(follower.Request(), maxWaitMs: 0)
                    : follower.Request([.. Enumerable.Range(0, partitions).Select(index => At("t", index, 0x0102030405060708, 3))]));

            static FetchRequest Changed(FetchRequest request, int maxWaitMs)
            {
                request.MaxWaitMs = maxWaitMs;
                return request;
            }
        }

        public int AnswersWithRecords { get; private set; }

        public long MedianBytes
        {
            get
            {
                Assert.Equal(WarmUpRequests + CountedRequests, _answers);
                Array.Sort(_bytes);
                return _bytes[CountedRequests / 2];
            }
        }

        public override ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            if (buffer.IsEmpty)
                return ValueTask.FromResult(0);
            if (_sentCount < _requested)
            {
                // The fetch waits: what it did so far counts, and what it does when the append has woken it.
                _counted += GC.GetAllocatedBytesForCurrentThread() - _before;
                if (_load == Load.RecordsAfterWait)
                    AppendToAll();
                _before = GC.GetAllocatedBytesForCurrentThread();
                RunDeferred();
            }

            if (_sentCount < _requested || !IsOnOwnThread)
                throw new InvalidOperationException("A request went on elsewhere: what it allocates is not counted.");
            if (_requested > 0)
                OnAnswered();
            if (_answers == WarmUpRequests + CountedRequests)
                return ValueTask.FromResult(0);
            return ValueTask.FromResult(Request(buffer.Span));
        }

        public override ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            bytes.CopyTo(_sent);
            _sentBytes = bytes.Length;
            _sentCount++;
            return ValueTask.CompletedTask;
        }

        private void OnAnswered()
        {
            _counted += GC.GetAllocatedBytesForCurrentThread() - _before;
            if (_answers++ >= WarmUpRequests)
                _bytes[_answers - WarmUpRequests - 1] = _counted;
            _counted = 0;
            if (_answers == 0)
            {
                // length, correlation id, tags, throttle time, error code, session id
                var sessionId = BinaryPrimitives.ReadInt32BigEndian(_sent.AsSpan(15));
                var at = _next.AsSpan().IndexOf(s_offset.AsSpan(0, 4));
                BinaryPrimitives.WriteInt32BigEndian(_next.AsSpan(at), sessionId);
                _epochAt = at + 4;
            }
            else if (_sentBytes > 60 * _partitions)
            {
                AnswersWithRecords++;
            }
        }

        /// <summary>Writes the next request, which names the offsets after the records that were sent.</summary>
        private int Request(Span<byte> buffer)
        {
            _requested++;
            var frame = _answers < 0 ? _first : _next;
            if (_answers >= 0)
            {
                BinaryPrimitives.WriteInt32BigEndian(_next.AsSpan(_epochAt), _answers + 1);
                if (_load == Load.Records)
                    AppendToAll();
            }

            BinaryPrimitives.WriteInt32BigEndian(buffer, frame.Length);
            frame.CopyTo(buffer[4..]);
            if (_answers >= 0 && _load != Load.Nothing)
            {
                for (var rest = buffer.Slice(4, frame.Length); rest.IndexOf(s_offset) is var at and >= 0; rest = rest[(at + 8)..])
                    BinaryPrimitives.WriteInt64BigEndian(rest[at..], _answers);
            }

            _before = GC.GetAllocatedBytesForCurrentThread();
            return 4 + frame.Length;
        }

        private void AppendToAll()
        {
            for (var i = 0; i < _partitions; i++)
                _leader.Append("t", i);
        }
    }
}
