using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker;
using Ottla.Broker.Directories;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Broker;

/// <summary>A node that cannot become what it must says why, and does not wait.</summary>
public sealed class StartRefusalTests
{
    private const string Data = "/data";

    private static readonly (string, string) s_bootstrap = ("controller.quorum.bootstrap.servers", "127.0.0.1:9093");

    private readonly TestClock _clock = new();
    private readonly InMemoryFileSystem _disk;

    public StartRefusalTests() => _disk = new InMemoryFileSystem(_clock);

    [Fact]
    public async Task Without_voters_nothing_is_formatted()
    {
        var refused = await RefusedAsync(s_bootstrap);
        Assert.Contains(
            "Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone", refused);
        Assert.Null(MetaProperties.Read(_disk, Data));
    }

    [Fact]
    public async Task Bootstrap_servers_do_where_the_voters_are_in_the_log()
    {
        Format(standalone: true);
        await using var node = await StartAsync(s_bootstrap);
    }

    [Fact]
    public async Task Bootstrap_servers_do_not_where_it_was_formatted_for_static_voters()
    {
        await (await StartAsync()).StopAsync();
        var refused = await RefusedAsync(s_bootstrap);
        Assert.Contains("has no voters, so no controller can start", refused);
        Assert.Contains("controller.quorum.voters=0@", refused);
        await using var node = await StartAsync();
    }

    [Fact]
    public async Task Another_directory_id_is_named_with_the_one_that_belongs_there()
    {
        Format(standalone: true);
        var right = MetaProperties.Read(_disk, Data)!;
        var wrong = Uuid.NewRandom();
        var changed = right with { DirectoryId = wrong };
        changed.Write(_disk, Data);
        var refused = await RefusedAsync(s_bootstrap);
        Assert.Contains(
            $"names node 0 with the directory.id {right.DirectoryId} as its voter, but the meta.properties there has {wrong}", refused);
        right.Write(_disk, Data);
        await using var node = await StartAsync(s_bootstrap);
    }

    [Fact]
    public async Task A_lost_metadata_log_is_reported()
    {
        Format(standalone: true);
        foreach (var file in _disk.ListFiles(Data + "/__cluster_metadata-0"))
            _disk.Delete(Data + "/__cluster_metadata-0/" + file);
        Assert.Contains("If its metadata log was lost, restore it.", await RefusedAsync(s_bootstrap));
    }

    [Fact]
    public async Task A_node_that_waits_for_others_says_for_whom_and_gives_up_in_time()
    {
        using var log = new WarningLoggers();
        var voters = ("controller.quorum.voters", "0@127.0.0.1:9093,1@10.0.0.1:9093,2@10.0.0.2:9093");
        var starting = BrokerNode.StartAsync(
            Config([KeyValuePair.Create("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw")], voters,
                ("initial.broker.registration.timeout.ms", "20000")), mayFormat: true,
            new NodePlatform(_disk, new InMemoryTransport(), _clock, log, 42));
        var refused = await Assert.ThrowsAsync<NodeStartException>(() => _clock.AdvanceUntilAsync(starting, 500));
        Assert.Contains("could not register within 20000 ms (initial.broker.registration.timeout.ms)", refused.Message);
        Assert.Contains(
            log.Logger.Warnings, line => line.StartsWith(
                "Waiting for an active controller: no controller is active; the voters are 0@127.0.0.1:9093, 1@10.0.0.1:9093",
                StringComparison.Ordinal));
        Assert.Contains(
            log.Logger.Warnings, line =>
            line.StartsWith("Still waiting for a controller to register this broker", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_node_that_is_to_join_others_is_not_formatted_for_a_cluster_of_its_own()
    {
        Assert.Contains(
            "run 'ottla format --cluster-id ID'", await RefusedAsync(("controller.quorum.voters", "0@127.0.0.1:9093,1@10.0.0.1:9093")));
        Assert.Null(MetaProperties.Read(_disk, Data));
    }

    [Fact]
    public async Task Cluster_id_comes_from_the_variable_of_Kafkas_images()
    {
        await using (await StartAsync([KeyValuePair.Create("CLUSTER_ID", "4L6g3nShT-eMCtK--X86sw")]))
        {
            Assert.Equal("4L6g3nShT-eMCtK--X86sw", MetaProperties.Read(_disk, Data)!.ClusterId);
        }

        var refused = await Assert.ThrowsAsync<NodeStartException>(() => StartAsync([KeyValuePair.Create("CLUSTER_ID", "other")]));
        Assert.Contains("CLUSTER_ID is other, but the log directories belong to cluster 4L6g3nShT-eMCtK--X86sw", refused.Message);
    }

    [Fact]
    public async Task An_authorizer_must_be_Kafkas_and_its_configs_valid()
    {
        const string Name = "authorizer.class.name";
        const string Standard = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
        var other = await Assert.ThrowsAsync<ConfigException>(() => StartAsync((Name, "com.example.Own")));
        Assert.StartsWith("authorizer.class.name: this version has no class com.example.Own", other.Message);
        var users = await Assert.ThrowsAsync<ConfigException>(() => StartAsync((Name, Standard), ("super.users", "User:a;b")));
        Assert.StartsWith("super.users: 'b' is no principal", users.Message);
        var everyone = await Assert.ThrowsAsync<ConfigException>(
            () => StartAsync((Name, Standard), ("allow.everyone.if.no.acl.found", "yes")));
        Assert.StartsWith("allow.everyone.if.no.acl.found: 'yes' is neither", everyone.Message);
        await using var node = await StartAsync((Name, Standard), ("super.users", "User:ANONYMOUS"));
    }

    private void Format(bool standalone)
    {
        var request = LogDirectories.FormatRequestOf(Config([]), "c") with
        {
            HasDynamicQuorum = standalone,
            InitialControllers = standalone ? [new InitialController(0, "127.0.0.1", 9093, Uuid.NewRandom())] : null,
        };
        var plan = StorageFormatter.Plan(request, path => LogDirectories.Existing(_disk, path));
        LogDirectories.Format(plan, "CONTROLLER", _disk, Instant.Now(_clock));
    }

    private async Task<string> RefusedAsync(params (string, string)[] configs) =>
        (await Assert.ThrowsAsync<NodeStartException>(() => StartAsync(configs).WaitAsync(TestNode.Patience))).Message;

    private Task<BrokerNode> StartAsync(params (string, string)[] configs) => StartAsync([], configs);

    private Task<BrokerNode> StartAsync(KeyValuePair<string, string>[] environment, params (string, string)[] configs) =>
        BrokerNode.StartAsync(
        Config(environment, configs), mayFormat: true,
        new NodePlatform(_disk, new InMemoryTransport(), _clock, NullLoggerFactory.Instance, 42));

    private static BrokerConfig Config(KeyValuePair<string, string>[] environment, params (string Name, string Value)[] configs) =>
        BrokerConfig.LoadDevMode(
        environment, [KeyValuePair.Create("log.dirs", Data), .. configs.Select(config => KeyValuePair.Create(config.Name, config.Value))]);
}
