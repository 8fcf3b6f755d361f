using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Hosts;
using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;

namespace Ottla.UnitTests.Raft;

/// <summary>
/// Several hosts in one process, each with a disk of its own; what they send arrives at once, unless a node is cut off. The test moves the
/// clock.
/// </summary>
internal sealed class LoopbackQuorum : IAsyncDisposable
{
    private const string Root = "/data";
    private readonly Dictionary<int, Node> _nodes = [];

    /// <summary>Which requests are lost on their way; null for none.</summary>
    public Func<RaftRequest, bool>? Loses { get; set; }

    /// <summary>What arrives instead of an answer to a node; null for the answer itself.</summary>
    public Func<int, RaftResponse, RaftResponse>? Alters { get; set; }

    public FakeTimeProvider Clock { get; } = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));

    public Node this[int id] => _nodes[id];

    public IEnumerable<Node> Nodes => _nodes.Values;

    public Node Leader => _nodes.Values.Single(node => node.Leads);

    public static ReplicaKey Key(int id) => new(id, new Uuid(3, (ulong)id));

    public static RaftEndpoint Endpoint(int id) => new("CONTROLLER", $"node{id}", 9093);

    /// <summary>Starts controllers that are the first voters of a dynamic quorum.</summary>
    public static LoopbackQuorum Start(params int[] ids)
    {
        var quorum = new LoopbackQuorum();
        var voters = new VoterSet(ids.Select(id => new Voter(Key(id), [Endpoint(id)])));
        foreach (var id in ids)
        {
            var disk = new InMemoryFileSystem(quorum.Clock);
            disk.CreateDirectory(Root);
            RaftBootstrap.Write(disk, Root, 1, voters, [], Instant.Now(quorum.Clock));
            quorum.StartNode(id, disk, isBroker: false);
        }

        return quorum;
    }

    /// <summary>Starts a node that knows the quorum only by its bootstrap server, or again with its old disk.</summary>
    public Node StartNode(int id, InMemoryFileSystem? disk = null, bool isBroker = false)
    {
        if (disk is null)
        {
            disk = new InMemoryFileSystem(Clock);
            disk.CreateDirectory(Root);
        }

        var node = new Node(this, id, disk);
        node.Open(new RaftHostOptions
        {
            LogDirectory = Root,
            Seed = (ulong)id,
            Raft = new RaftOptions
            {
                Local = Key(id),
                Endpoints = isBroker ? [] : [Endpoint(id)],
                CanBecomeVoter = !isBroker,
                BootstrapServers = [RaftNode.Bootstrap(0, "node1", 9093), RaftNode.Bootstrap(1, "node2", 9093)],
                FetchSnapshotBytesMax = 64,
            },
        });
        _nodes[id] = node;
        return node;
    }

    /// <summary>Lets time pass until something is so.</summary>
    public async Task UntilAsync(Func<bool> condition, string what)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        while (!condition())
        {
            Assert.False(patience.IsCancellationRequested, $"{what}: {string.Join("; ", Nodes.Select(node => node.Describe()))}");
            Clock.Advance(TimeSpan.FromMilliseconds(2));
            await Task.Delay(1);
        }
    }

    /// <summary>Has the leader append a topic, and waits until every node has it.</summary>
    public async Task AppendAsync(string topic)
    {
        var append = Leader.AppendAsync(topic);
        await UntilAsync(() => append.IsCompleted && Nodes.All(node => node.Topics.EndsWith(topic, StringComparison.Ordinal)), topic);
        await append;
    }

    public Task UntilLeaderAsync() => UntilAsync(() => Nodes.Count(node => node.Leads) == 1, "one leader");

    public async ValueTask DisposeAsync()
    {
        // All at once, with the clock going on: a leader waits a while for its successor.
        var ends = Nodes.Select(node => node.Host.DisposeAsync().AsTask()).ToArray();
        await UntilAsync(() => ends.All(end => end.IsCompleted), "the end of all nodes");
    }

    private Node? Find(RaftNode to) => _nodes.Values.FirstOrDefault(node => $"node{node.Id}" == to.Host && to.Port == 9093);

    /// <summary>A node with what its listener was told.</summary>
    internal sealed class Node(LoopbackQuorum quorum, int id, InMemoryFileSystem disk) : IRaftTransport, IMetadataLogListener
    {
        private readonly List<string> _topics = [];
        private RaftHost? _attached;

        public int Id => id;

        public InMemoryFileSystem Disk => disk;

        public RaftHost Host { get; private set; } = null!;

        public bool IsCut { get; set; }

        public bool Leads => !Host.Completion.IsCompleted && Host.Quorum.Role == RaftRole.Leader && Host.HighWatermark > 0
            && LeaderTold.LeaderId == id;

        public LeaderAndEpoch LeaderTold { get; private set; }

        /// <summary>The high watermark when it was last told that it leads; -1 if it never was.</summary>
        public long LedFrom { get; private set; } = -1;

        public int Snapshots { get; private set; }

        public bool HasCaughtUp { get; private set; }

        public bool IsReady => true;

        public string Topics
        {
            get
            {
                lock (_topics)
                    return string.Join(",", _topics);
            }
        }

        public void Open(RaftHostOptions options)
        {
            Host = RaftHost.Open(disk, options, quorum.Clock, NullLogger.Instance, this);
            Host.Register(this);
        }

        public string Describe() =>
            $"{id}: {Host.Quorum.Role} epoch {Host.Quorum.Epoch} leader {Host.Quorum.LeaderId} {Host.HighWatermark}/{Host.EndOffset} "
                + $"[{Topics}]";

        public Task AppendAsync(string topic) => Host.Append(Host.Leader.Epoch, [RaftHostTopics.Topic(topic)]).Committed;

        public void Attach(RaftHost host) => _attached = host;

        public void Send(long correlationId, RaftNode to, RaftRequest request) => _ = SendAsync(correlationId, to, request);

        public Task<(short Min, short Max)?> ProbeKRaftVersionAsync(RaftNode node, CancellationToken cancellation) =>
            Task.FromResult<(short, short)?>(quorum.Find(node) is { IsCut: false } ? (0, 1) : null);

        public void HandleSnapshot(OpenMetadataSnapshot snapshot)
        {
            using (snapshot)
            {
                Snapshots++;
                lock (_topics)
                {
                    _topics.Clear();
                    _topics.AddRange(RaftHostTopics.Names(snapshot.Read().Records));
                }
            }
        }

        public void HandleCommit(MetadataBatch batch)
        {
            lock (_topics)
                _topics.AddRange(RaftHostTopics.Names(batch.Records));
        }

        public void HandleCaughtUp() => HasCaughtUp = true;

        public void HandleLeaderChange(LeaderAndEpoch leader)
        {
            if (leader.LeaderId == id)
                LedFrom = _attached!.HighWatermark;
            LeaderTold = leader;
        }

        private async Task SendAsync(long correlationId, RaftNode to, RaftRequest request)
        {
            if (IsCut || quorum.Find(to) is not { IsCut: false } node || quorum.Loses?.Invoke(request) == true)
            {
                _attached!.ReceiveFailure(correlationId);
                return;
            }

            try
            {
                var response = await node.Host.HandleAsync(request);
                if (!IsCut && !node.IsCut)
                    _attached!.Receive(correlationId, quorum.Alters?.Invoke(id, response) ?? response);
                else
                    _attached!.ReceiveFailure(correlationId);
            }
            catch (MetadataLogException)
            {
                _attached!.ReceiveFailure(correlationId); // it has ended
            }
        }
    }
}
