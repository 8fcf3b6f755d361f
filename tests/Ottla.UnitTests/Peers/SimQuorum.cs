using System.Buffers.Binary;
using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Api;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Simulator.Worlds;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;
using Ottla.Storage.Files;

namespace Ottla.UnitTests.Peers;

/// <summary>
/// The metadata quorum of several nodes and nothing else: machines, hosts, network and handlers as they ship, in a world with one clock.
/// What they send each other is recorded.
/// </summary>
internal sealed class SimQuorum(SimProcess director, World world)
{
    public const string ClusterId = "Q2x1c3Rlci1nb2xkZW4tMQ";
    public const string Listener = "CONTROLLER";
    private const string Root = "/data";
    private const int Port = 9093;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly long StartTicks = new DateTime(2026, 1, 2, 0, 0, 0, DateTimeKind.Utc).Ticks;

    private readonly Dictionary<int, SimQuorumNode> _nodes = [];
    private readonly FrameRecorder _recorder = new(() => TimeSpan.FromTicks(world.Scheduler.NowTicks - StartTicks).TotalMilliseconds);

    /// <summary>What was sent so far, by those who asked.</summary>
    public IReadOnlyList<RecordedMessage> Messages => _recorder.Messages;

    public SimQuorumNode this[int id] => _nodes[id];

    public static RaftEndpoint EndpointOf(int id) => new(Listener, AddressOf(id).ToString(), Port);

    /// <summary>Nodes 1 to 3 have the directory ids of the recorded cluster.</summary>
    public static ReplicaKey KeyOf(int id, byte disk = 1) => new(id, (id, disk) switch
    {
        (1, 1) => Uuid.Parse("CgoKCgoKSgGLCwsLCwsLAQ"),
        (2, 1) => Uuid.Parse("CgoKCgoKSgKLCwsLCwsLAg"),
        (3, 1) => Uuid.Parse("CgoKCgoKSgOLCwsLCwsLAw"),
        _ => new Uuid((ulong)id << 8, disk),
    });

    public static Voter VoterOf(int id) => new(KeyOf(id), [EndpointOf(id)]);

    public static VoterSet Voters(params int[] ids) => new(ids.Select(VoterOf));

    /// <summary>Static voters, as controller.quorum.voters gives them: without directory ids.</summary>
    public static VoterSet StaticVoters(params int[] ids) =>
        new(ids.Select(id => new Voter(new ReplicaKey(id, Uuid.Zero), [EndpointOf(id)])));

    /// <summary>A disk as format leaves it.</summary>
    /// <param name="voters">The first voters; null for a node that joins later, or whose voters are static.</param>
    /// <param name="kraftVersion">0 with static voters, else 1.</param>
    public InMemoryFileSystem Format(VoterSet? voters, short kraftVersion = 1)
    {
        var disk = new InMemoryFileSystem(director.Clock);
        disk.CreateDirectory(Root);
        RaftBootstrap.Write(disk, Root, kraftVersion, voters, [], Instant.Now(director.Clock));
        return disk;
    }

    /// <summary>An empty disk.</summary>
    public InMemoryFileSystem Empty()
    {
        var disk = new InMemoryFileSystem(director.Clock);
        disk.CreateDirectory(Root);
        return disk;
    }

    /// <summary>Starts a node on a disk, in a process of its own.</summary>
    public async Task<SimQuorumNode> StartAsync(
        int id, InMemoryFileSystem disk, Func<RaftHostOptions, RaftHostOptions>? change = null, byte directory = 1)
    {
        var process = world.NewProcess($"node {id}", AddressOf(id));
        SimQuorumNode? node = null;
        await process.Start(() =>
        {
            node = Open(id, process, disk, change, directory);
            return Task.CompletedTask;
        });
        _nodes[id] = node!;
        return node!;
    }

    /// <summary>Waits until something holds.</summary>
    public async Task UntilAsync(Func<bool> condition, string what)
    {
        for (var waited = TimeSpan.Zero; !condition(); waited += TimeSpan.FromMilliseconds(10))
        {
            Assert.True(waited < Patience, $"{what}: {string.Join("; ", _nodes.Values.Select(node => node.Describe()))}");
            await director.Delay(TimeSpan.FromMilliseconds(10));
        }
    }

    /// <summary>Waits until nodes agree on a leader that has committed a record of its epoch.</summary>
    public async Task<SimQuorumNode> UntilLedAsync(params int[] ids)
    {
        SimQuorumNode? leader = null;
        await UntilAsync(
            () =>
            {
                leader = ids.Select(id => _nodes[id]).FirstOrDefault(node => node.Host.Leader.LeaderId == node.Id);
                return leader is not null && ids.All(id =>
                    _nodes[id].Host.Leader == leader.Host.Leader && _nodes[id].Host.HighWatermark == leader.Host.EndOffset);
            },
            "they agree on a leader");
        return leader!;
    }

    /// <summary>Sends recorded bytes to the node that has the number of their receiver, and returns its answer.</summary>
    public async Task<RecordedMessage> ReplayAsync(RecordedMessage request)
    {
        var id = int.Parse(request.Destination[1..], System.Globalization.CultureInfo.InvariantCulture);
        await using var connection = await director.Transport.ConnectAsync(new IPEndPoint(AddressOf(id), Port), default);
        var bytes = new byte[4 + request.Frame.Length];
        BinaryPrimitives.WriteInt32BigEndian(bytes, request.Frame.Length);
        request.Frame.CopyTo(bytes, 4);
        await connection.SendAsync(bytes, default);
        var prefix = new byte[4];
        await FillAsync(prefix);
        var answer = new byte[BinaryPrimitives.ReadInt32BigEndian(prefix)];
        await FillAsync(answer);
        Assert.Equal(request.Header().CorrelationId, BinaryPrimitives.ReadInt32BigEndian(answer));
        return request with { IsRequest = false, Frame = answer };

        async Task FillAsync(Memory<byte> rest)
        {
            while (!rest.IsEmpty)
            {
                var count = await connection.ReceiveAsync(rest, default);
                Assert.True(count > 0, $"{request} was answered by closing the connection");
                rest = rest[count..];
            }
        }
    }

    /// <summary>Lets time pass.</summary>
    public Task PassAsync(int milliseconds) => director.Delay(TimeSpan.FromMilliseconds(milliseconds));

    private static IPAddress AddressOf(int id) => new([10, 2, 0, (byte)id]);

    private SimQuorumNode Open(
        int id, SimProcess process, InMemoryFileSystem disk, Func<RaftHostOptions, RaftHostOptions>? change, byte directory)
    {
        var buffers = new BufferPool();
        var recording = new RecordingTransport(process.Transport, id, _recorder, Port);
        var network = new RaftNetwork(
            recording, buffers, new RaftNetworkOptions { NodeId = id, ClusterId = ClusterId, ListenerName = Listener, Seed = (ulong)id },
            process.Clock, NullLogger.Instance);
        var options = new RaftHostOptions
        {
            LogDirectory = Root,
            Raft = new RaftOptions
            {
                Local = KeyOf(id, directory),
                Endpoints = [EndpointOf(id)],
                ListenerName = Listener,
            },
            Seed = world.Random.NextUInt64(),
        };
        var host = RaftHost.Open(disk, change?.Invoke(options) ?? options, process.Clock, NullLogger.Instance, network);
        var settings = new ServerSettings(100 << 20, 100, 100, 100, new Dictionary<IPAddress, int>(), -1);
        var server = new BrokerServer(
            process.Transport, () => settings, buffers, new HeavyRequests(() => 1, process.Clock), process.Clock, NullLogger.Instance);
        ApiTable? table = null;
        table = new ApiTable(ApiListeners.Controller,
        [
            new PlainApiEntry<ApiVersionsRequest, ApiVersionsResponse>(new ApiVersionsHandler(
                () => table!, new ClusterView(ClusterId, () => MetadataImage.Empty), id, SupportedFeatures.Latest, () =>
                host.Quorum.KRaftVersion)),
            .. RaftApis.Entries(new RaftServices(host, ClusterId, Listener)),
        ]);
        server.Listen(new ServerListener(Listener, new IPEndPoint(AddressOf(id), Port)), 100, SocketBufferSizes.OperatingSystemDefaults);
        server.StartAccepting(table);
        return new SimQuorumNode(id, process, disk, host, network, server);
    }
}

/// <summary>A node of a <see cref="SimQuorum"/>.</summary>
internal sealed class SimQuorumNode(
    int id, SimProcess process, InMemoryFileSystem disk, RaftHost host, RaftNetwork network, BrokerServer server)
{
    public int Id => id;

    public InMemoryFileSystem Disk => disk;

    public RaftHost Host => host;

    public SimProcess Process => process;

    /// <summary>Ends it as kill -9 does.</summary>
    public void Kill() => process.Kill();

    /// <summary>Stops it in order: hands leadership over, answers meanwhile, then closes everything.</summary>
    public Task StopAsync() => process.Start(async () =>
    {
        await host.DisposeAsync();
        await server.StopAsync(TimeSpan.FromSeconds(10));
        await network.DisposeAsync();
    });

    /// <summary>Appends a record as the controller does, and waits for its commit.</summary>
    public Task AppendAsync(string topic) => process.Start(async () =>
    {
        var record = new MetadataRecord(new TopicRecord { Name = topic, TopicId = Uuid.NewRandom() }, 0);
        await host.Append(host.Leader.Epoch, [record]).Committed;
    });

    /// <summary>Handles a request as if it had come in.</summary>
    public async Task<TReply> AskAsync<TReply>(RaftRequest request)
        where TReply : RaftResponse
    {
        TReply? reply = null;
        await process.Start(async () => reply = (TReply)await host.HandleAsync(request));
        return reply!;
    }

    public string Describe() => $"{id}: {host.Quorum.Role}, {host.Leader}, [{host.HighWatermark}, {host.EndOffset}]";
}
