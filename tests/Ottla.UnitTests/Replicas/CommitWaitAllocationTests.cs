using System.Buffers.Binary;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Api;
using Ottla.Broker.Replicas;
using Ottla.Broker.Server;
using Ottla.Network.Buffers;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Replication;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Replicas;

/// <summary>
/// What a produce request with acks=all allocates on a leader with followers, from the receive to the send: counted, not timed.
/// </summary>
public sealed class CommitWaitAllocationTests
{
    private const int WarmUpRounds = 500;
    private const int CountedRounds = 1000;

    [Theory]
    [InlineData(1, 1)]
    [InlineData(1, 20)]
    [InlineData(5, 1)]
    [InlineData(5, 3)]
    public async Task Produce_that_waits_for_followers_allocates_nothing(int inFlight, int partitions)
    {
        using var leader = new LeaderTestBed();
        leader.Create("t", partitions, ("min.insync.replicas", "2"));
        var script = new Script(leader, inFlight, partitions);
        var produce = new ProduceHandler(
            leader.Topics, leader.Leaders, verifier: null!, Authorizer.None, leader.Clock); // no transactions
        var apis = new ApiTable(
            ApiListeners.Broker, [new ReusingApiEntry<ProduceRequest, ProduceResponse>(produce) { OverlapsItself = true }]);
        var settings = new ServerSettings(1 << 20, 100, 100, 100, new Dictionary<IPAddress, int>(), -1);
        using var heavy = new HeavyRequests(static () => 1, TimeProvider.System);
        await using var connection = new Connection(
            script, "PLAINTEXT", apis, heavy, settings, new BufferPool(), leader.Clock, NullLogger.Instance);
        await script.RunAsync(connection);
        var rounds = WarmUpRounds + CountedRounds;
        for (var i = 0; i < partitions; i++)
            Assert.Equal(rounds * inFlight, leader.Replica("t", i).Log.HighWatermark);
        Assert.Equal(rounds * inFlight, script.Answers);
        Assert.Equal(0, leader.Replica("t").CommitDeadlines.Count);
        Assert.Equal(0, script.MedianBytes);
    }

    /// <summary>
    /// A producer and two followers. In each round the producer sends its requests, which wait; then both followers fetch past them. The
    /// broker's side runs through on the thread of the test, which counts what it allocates.
    /// </summary>
    private sealed class Script : ScriptedClient
    {
        private readonly LeaderTestBed _leader;
        private readonly int _inFlight;
        private readonly PartitionReplica[] _replicas;
        private readonly byte[] _frame;
        private readonly long[] _bytes = new long[CountedRounds];
        private int _round;
        private long _before;

        public Script(LeaderTestBed leader, int inFlight, int partitions)
        {
            _leader = leader;
            _inFlight = inFlight;
            leader.Topics.Find("t")!.Find(0);
            _replicas = [.. Enumerable.Range(0, partitions).Select(index => leader.Replica("t", index))];
            var request = Produce("t", leader.IdOf("t"), Batch(), version: 13, acks: -1);
            request.TopicData[0].PartitionData = [.. Enumerable.Range(0, partitions).Select(index =>
                new ProduceRequest.PartitionProduceData { Index = index, Records = new Records(Batch()) })];
            _frame = TestConnection.Encode(ApiKey.Produce, 13, 7, request);
        }

        /// <summary>Responses that were sent.</summary>
        public int Answers { get; private set; }

        public long MedianBytes
        {
            get
            {
                Array.Sort(_bytes);
                return _bytes[CountedRounds / 2];
            }
        }

        public override ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            if (buffer.IsEmpty)
                return ValueTask.FromResult(0);
            if (_round > 0)
                EndRound();
            if (_round == WarmUpRounds + CountedRounds)
                return ValueTask.FromResult(0);
            _round++;
            var rest = buffer.Span;
            for (var i = 0; i < _inFlight; i++)
            {
                BinaryPrimitives.WriteInt32BigEndian(rest, _frame.Length);
                _frame.CopyTo(rest[4..]);
                rest = rest[(4 + _frame.Length)..];
            }

            _before = GC.GetAllocatedBytesForCurrentThread();
            return ValueTask.FromResult(_inFlight * (4 + _frame.Length));
        }

        public override ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            for (var rest = bytes.Span; !rest.IsEmpty; rest = rest[(4 + BinaryPrimitives.ReadInt32BigEndian(rest))..])
                Answers++;
            return ValueTask.CompletedTask;
        }

        /// <summary>The requests wait; the followers fetch, and the answers leave.</summary>
        private void EndRound()
        {
            if (Answers != (_round - 1) * _inFlight)
                throw new InvalidOperationException($"{Answers} answers were sent before the followers of round {_round} had fetched.");
            foreach (var replica in _replicas)
            {
                Fetch(replica, 2);
                Fetch(replica, 3);
            }

            RunDeferred();
            if (!IsOnOwnThread)
                throw new InvalidOperationException("A request went on elsewhere: what it allocates is not counted.");
            if (_round > WarmUpRounds)
                _bytes[_round - WarmUpRounds - 1] = GC.GetAllocatedBytesForCurrentThread() - _before;
        }

        private void Fetch(PartitionReplica replica, int follower)
        {
            var end = replica.Log.LogEndOffset;
            replica.RecordFollowerFetch(
                new FollowerFetch(follower, follower * 10, LeaderTestBed.LeaderEpoch, end, 0, end, _leader.Now));
        }
    }
}
