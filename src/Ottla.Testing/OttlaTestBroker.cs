using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Ottla.Broker.Hosts.Coordinators;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Protocol;

namespace Ottla.Testing;

/// <summary>
/// A real Kafka broker, or a cluster of them, inside the test's process: any client connects to it over a port of 127.0.0.1. Disks are in
/// memory, nothing is shared with other test brokers, and time and faults are the test's.
/// </summary>
/// <remarks>Made and disposed by one test, or shared by the tests of a class. Thread-safe.</remarks>
public sealed class OttlaTestBroker : IAsyncDisposable
{
    private const int ControllerId = 1000;
    private const int ClientPort = 9092;
    private const int ControllerPort = 9093;
    private const int InternalPort = 9094;
    private const string Never = "2147483647";

    private readonly string _clusterId = Uuid.NewRandom().ToString();
    private readonly InMemoryTransport _network = new();
    private readonly OttlaTestBrokerOptions _options;
    private readonly Dictionary<int, TestNode> _brokers = [];
    private readonly List<ClientDoor> _doors = [];
    private readonly X509Certificate2? _authority;
    private readonly X509Certificate2? _certificate;
    private readonly Lazy<OttlaClient> _client;
    private readonly Lazy<IAdmin> _admin;
    private readonly Lazy<Producer<byte[]?, byte[]?>> _producer;
    private TestNode? _controller;
    private int _connections;

    private OttlaTestBroker(OttlaTestBrokerOptions options)
    {
        _options = options;
        if (options.UseTls)
            (_authority, _certificate) = IssueCertificate();
        _client = new Lazy<OttlaClient>(() => new OttlaClient(new OttlaClientOptions
        {
            BootstrapServers = string.Join(',', _brokers.Values.Select(node => $"{node.Host}:{InternalPort}")),
            ClientId = "ottla-test-broker",
            EnableMetricsPush = false,
            Transport = _network,
        }));
        _admin = new Lazy<IAdmin>(() => Client.CreateAdmin());
        _producer = new Lazy<Producer<byte[]?, byte[]?>>(() => Client.CreateProducer<byte[]?, byte[]?>());
    }

    /// <summary>What clients are given as <c>bootstrap.servers</c>.</summary>
    public string BootstrapServers => string.Join(
        ',', _doors.Select(door => string.Create(CultureInfo.InvariantCulture, $"{ClientHost}:{door.Port}")));

    /// <summary>The certificate of the authority that clients have to trust, in PEM; null without TLS.</summary>
    public string? CertificateAuthorityPem => _authority?.ExportCertificatePem();

    /// <summary>The clock of all nodes.</summary>
    public TestClock Clock { get; } = new();

    /// <summary>What goes wrong with requests of clients.</summary>
    public FaultPlan Faults { get; } = new();

    /// <summary>What clients have sent.</summary>
    public WireLog Wire { get; } = new();

    /// <summary>The ids of the brokers.</summary>
    public IReadOnlyCollection<int> NodeIds => _brokers.Keys;

    /// <summary>
    /// A client for the test's own use: it needs no login, its requests meet no faults and are not in <see cref="Wire"/>. The broker
    /// closes it.
    /// </summary>
    public OttlaClient Client => _client.Value;

    internal IAdmin Admin => _admin.Value;

    internal Producer<byte[]?, byte[]?> Producer => _producer.Value;

    private string ClientHost => _options.UseTls ? "localhost" : "127.0.0.1";

    private bool HasUsers => _options.Users.Count > 0;

    /// <summary>Starts a broker; when this returns, it serves clients.</summary>
    /// <param name="options">How it is made; null for one plain node.</param>
    /// <param name="cancellation">Ends a start that is not wanted any more.</param>
    /// <exception cref="ArgumentException">An option is wrong.</exception>
    /// <exception cref="Ottla.Configuration.ConfigException">A config is wrong.</exception>
    public static async Task<OttlaTestBroker> StartAsync(
        OttlaTestBrokerOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= new OttlaTestBrokerOptions();
        if (options.Nodes is < 1 or > 100)
            throw new ArgumentException($"Nodes is {options.Nodes}; a test broker has 1 to 100.", nameof(options));
        var broker = new OttlaTestBroker(options);
        try
        {
            await broker.StartNodesAsync(cancellation);
            return broker;
        }
        catch
        {
            await broker.DisposeAsync();
            throw;
        }
    }

    /// <summary>A topic, whether it is there yet or not.</summary>
    /// <param name="name">Its name.</param>
    public TestTopic Topic(string name) => new(this, name);

    /// <summary>Stops a node in order.</summary>
    /// <param name="id">Its id.</param>
    /// <exception cref="InvalidOperationException">It does not run.</exception>
    public Task StopNodeAsync(int id) => Node(id).StopAsync();

    /// <summary>Kills a node: its connections break, and what it wrote is there when it starts again.</summary>
    /// <param name="id">Its id.</param>
    /// <exception cref="InvalidOperationException">It does not run.</exception>
    public Task KillNodeAsync(int id) => Node(id).KillAsync();

    /// <summary>Starts a node that was stopped or killed, on its port and its disk.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="cancellation">Ends a start that is not wanted any more.</param>
    /// <exception cref="InvalidOperationException">It runs.</exception>
    public Task StartNodeAsync(int id, CancellationToken cancellation = default) => Node(id).StartAsync(_clusterId, cancellation);

    /// <summary>Has another node lead a partition. A single node leads it anew, after a restart.</summary>
    /// <param name="topic">The topic.</param>
    /// <param name="partition">The partition.</param>
    /// <param name="to">The new leader, one of the replicas; null for the next one.</param>
    /// <exception cref="KafkaException">It cannot be moved.</exception>
    public async Task MoveLeaderAsync(string topic, int partition = 0, int? to = null)
    {
        if (_brokers.Count == 1)
        {
            await StopNodeAsync(1);
            await StartNodeAsync(1);
            return;
        }

        var before = (await DescribeAsync(topic))[partition];
        var replicas = before.Replicas;
        var leader = to ?? replicas.First(id => id != before.LeaderId);
        if (!replicas.Contains(leader))
            throw new ArgumentException($"Node {leader} has no replica of {topic}-{partition}.", nameof(to));
        var key = new TopicPartition(topic, partition);
        (await Admin.AlterPartitionReassignmentsAsync(
            new Dictionary<TopicPartition, IReadOnlyList<int>?> { [key] = [leader, .. replicas.Where(id => id != leader)] }))
            .ThrowIfFailed();
        var election = (await Admin.ElectLeadersAsync(ElectionType.Preferred, [key]))[key];
        if (election.Error != ErrorCode.ElectionNotNeeded)
            election.ThrowIfFailed();
    }

    /// <summary>Has another node coordinate a consumer group.</summary>
    /// <param name="groupId">The group, which has committed or joined before.</param>
    /// <exception cref="KafkaException">There is no group yet on this broker.</exception>
    public async Task MoveGroupCoordinatorAsync(string groupId) =>
        await MoveLeaderAsync(
            TopicNames.ConsumerOffsets,
            CoordinatorKeys.PartitionOf(groupId, (await DescribeAsync(TopicNames.ConsumerOffsets)).Count));

    /// <summary>Has another node coordinate the transactions of a producer.</summary>
    /// <param name="transactionalId">Its transactional id.</param>
    /// <exception cref="KafkaException">There was no transactional producer yet on this broker.</exception>
    public async Task MoveTransactionCoordinatorAsync(string transactionalId) =>
        await MoveLeaderAsync(
            TopicNames.TransactionState,
            CoordinatorKeys.PartitionOf(transactionalId, (await DescribeAsync(TopicNames.TransactionState)).Count));

    /// <summary>Stops everything. Records are gone.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_client.IsValueCreated)
            await _client.Value.DisposeAsync();
        foreach (var door in _doors)
            await door.DisposeAsync();
        foreach (var node in _brokers.Values.Append(_controller).OfType<TestNode>().Where(node => node.IsRunning))
            await node.KillAsync();
        Clock.Dispose();
        _certificate?.Dispose();
        _authority?.Dispose();
    }

    /// <summary>Makes an authority, and a certificate of it for this machine.</summary>
    private static (X509Certificate2 Authority, X509Certificate2 Certificate) IssueCertificate()
    {
        var (from, to) = (new DateTimeOffset(2020, 1, 1, 0, 0, 0, TimeSpan.Zero), new DateTimeOffset(2120, 1, 1, 0, 0, 0, TimeSpan.Zero));
        using var authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var authorityRequest = new CertificateRequest("CN=Ottla test authority", authorityKey, HashAlgorithmName.SHA256);
        authorityRequest.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        var authority = authorityRequest.CreateSelfSigned(from, to);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(authority, from, to.AddYears(-1), [1]);
        using var withKey = issued.CopyWithPrivateKey(key);

        // A key that was never exported cannot be used by the TLS of some operating systems.
        return (authority, X509CertificateLoader.LoadPkcs12(withKey.Export(X509ContentType.Pkcs12), null));
    }

    private TestNode Node(int id) => _brokers.GetValueOrDefault(id)
        ?? throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"There is no node {id}."), nameof(id));

    private async Task<IReadOnlyList<PartitionDescription>> DescribeAsync(string topic) =>
        (await Admin.DescribeTopicsAsync([topic])).GetValues()[topic].Partitions;

    /// <summary>
    /// A single node is broker and controller. Several brokers have a controller beside them, which nobody kills: then elections of
    /// partitions, and not of controllers, are what a test sees.
    /// </summary>
    private async Task StartNodesAsync(CancellationToken cancellation)
    {
        var isSingle = _options.Nodes == 1;
        var controllerId = isSingle ? 1 : ControllerId;
        var controllerHost = isSingle ? HostOf(1) : IPAddress.Parse("10.0.255.1");
        var voters = string.Create(CultureInfo.InvariantCulture, $"{controllerId}@{controllerHost}:{ControllerPort}");
        if (!isSingle)
        {
            _controller = NewNode(controllerId, controllerHost, new Dictionary<string, string>
            {
                ["process.roles"] = "controller",
                ["listeners"] = $"CONTROLLER://{controllerHost}:{ControllerPort}",
                ["controller.quorum.voters"] = voters,
            });
            await _controller.StartAsync(_clusterId, cancellation);
        }

        for (var id = 1; id <= _options.Nodes; id++)
        {
            var host = HostOf(id);
            var door = ClientDoor.Open(new DoorSettings(
                id, new IPEndPoint(host, ClientPort), _network, _certificate, Faults, Wire, Clock,
                () => Interlocked.Increment(ref _connections)));
            _doors.Add(door);
            _brokers.Add(id, NewNode(id, host, new Dictionary<string, string>
            {
                ["process.roles"] = isSingle ? "broker,controller" : "broker",
                ["listeners"] = $"CLIENT://{host}:{ClientPort},INTERNAL://{host}:{InternalPort}"
                    + (isSingle ? $",CONTROLLER://{host}:{ControllerPort}" : ""),
                ["advertised.listeners"] = string.Create(
                    CultureInfo.InvariantCulture, $"CLIENT://{ClientHost}:{door.Port},INTERNAL://{host}:{InternalPort}"),
                ["inter.broker.listener.name"] = "INTERNAL",
                ["controller.quorum.voters"] = voters,
            }));
        }

        await Task.WhenAll(_brokers.Values.Select(node => node.StartAsync(_clusterId, cancellation)));
        if (!HasUsers)
            return;
        foreach (var mechanism in new[] { ScramType.Sha256, ScramType.Sha512 })
        {
            (await Admin.AlterUserScramCredentialsAsync(
                [.. _options.Users.Select(user => new ScramUpsertion(user.Key, mechanism, user.Value))], cancellation))
                .ThrowIfFailed();
        }
    }

    private static IPAddress HostOf(int id) => new([10, 0, 0, (byte)id]);

    private TestNode NewNode(int id, IPAddress host, Dictionary<string, string> own)
    {
        var replicas = Math.Min(_options.Nodes, 3).ToString(CultureInfo.InvariantCulture);
        var all = new Dictionary<string, string>
        {
            ["node.id"] = id.ToString(CultureInfo.InvariantCulture),
            ["log.dirs"] = "/data",
            ["controller.listener.names"] = "CONTROLLER",
            ["listener.security.protocol.map"] =
                $"CLIENT:{(HasUsers ? "SASL_PLAINTEXT" : "PLAINTEXT")},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            ["default.replication.factor"] = replicas,
            ["offsets.topic.replication.factor"] = replicas,
            ["offsets.topic.num.partitions"] = "1",
            ["transaction.state.log.replication.factor"] = replicas,
            ["transaction.state.log.num.partitions"] = "1",
            ["transaction.state.log.min.isr"] = "1",
            ["group.initial.rebalance.delay.ms"] = "0", // groups of one member need not wait for a second one

            // The test's clock may go ahead by hours at once: nodes that live do not lose each other by that.
            ["broker.session.timeout.ms"] = Never,
            ["replica.lag.time.max.ms"] = Never,
            ["connections.max.idle.ms"] = Never,
        };
        if (HasUsers)
        {
            all["sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512";
            all["listener.name.client.plain.sasl.jaas.config"] = "org.apache.kafka.common.security.plain.PlainLoginModule required "
                + string.Join(' ', _options.Users.Select(user => $"user_{user.Key}={Quote(user.Value)}")) + ";";
        }

        foreach (var (name, value) in own.Concat(_options.Configs))
            all[name] = value;
        return new TestNode(id, host, all, _network, Clock, _options.LoggerFactory);
    }

    private static string Quote(string text) =>
        $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
