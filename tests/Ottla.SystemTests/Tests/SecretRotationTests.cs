using System.Globalization;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// Clusters whose nodes speak TLS and log in with each other: brokers by SCRAM, controllers by PLAIN. Their certificates and secrets are
/// replaced under load, and no record fails.
/// </summary>
[Trait(Categories.Trait, Categories.Cluster)]
public sealed class SecretRotationTests : IDisposable
{
    private const string Topic = "rotated";
    private const string Listener = "SASL_SSL";
    private const string ScramModule = "org.apache.kafka.common.security.scram.ScramLoginModule";
    private const string PlainModule = "org.apache.kafka.common.security.plain.PlainLoginModule";
    private const string LoginConfig = "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config";
    private const string KeyStoreConfig = "listener.name.sasl_ssl.ssl.keystore.location";
    private const short InvalidRequest = 42;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private readonly CertificateFolder _certificates = new();
    private readonly Dictionary<int, int> _ports = [];

    public SecretRotationTests()
    {
        _certificates.AddAuthority("old-ca");
        _certificates.AddAuthority("new-ca");
        _certificates.AddAuthority("foreign-ca");
        _certificates.Bundle("ca", "old-ca");
        _certificates.Bundle("client-ca", "old-ca", "new-ca");
        _certificates.Issue("old-ca", "server", "CN=node");
    }

    public void Dispose() => _certificates.Dispose();

    [ClientFact("confluent-dotnet")]
    public async Task Certificates_and_the_secret_of_the_brokers_are_replaced_without_a_failed_record()
    {
        await using var cluster = await LocalCluster.FormatCombinedAsync(
            3, settingsOf: node => SettingsOf(node, "first-secret", "PLAIN"), formatOptions: ScramUsers("first-secret"));
        await cluster.StartAsync();
        await using (var connection = await AdminAsync(cluster))
        {
            Assert.Equal(0, (await ClusterClient.CreateTopicAsync(connection, Topic, 30_000, 3)).Error);
            // An acknowledged record is on all three nodes: it shows that they can speak with each other.
            Assert.Equal((0, null), await AlterMinimumAsync(connection, "3"));
        }

        using var workload = new NumberedWorkload(
            string.Join(',', _ports.Values.Select(port => $"localhost:{port}")), Topic, partitions: 1, valueBytes: 100,
            roundsPerSecond: 100, ClientSettings());
        var work = workload.StartAsync();
        await ProgressAsync(cluster, workload, work);

        await ReplaceAuthorityAsync(cluster);
        await ProgressAsync(cluster, workload, work);
        await ReplaceKeyStoresAsync(cluster);
        await ProgressAsync(cluster, workload, work);
        await ReplaceSecretAsync(cluster);
        await ProgressAsync(cluster, workload, work);
        await RestartAllAsync(cluster, workload, work);

        workload.Stop();
        await work;
        workload.AssertComplete(ConfluentOperations.Consume(cluster.Bootstrap, Topic));
    }

    /// <summary>Controllers elect their leader by PLAIN, and then have the users by whom brokers log in.</summary>
    [Fact]
    public async Task Brokers_log_in_with_controllers_by_SCRAM()
    {
        await using var cluster = await LocalCluster.FormatSeparateAsync(
            3, 2, settingsOf: node => SettingsOf(node, "secret", node.ControllerPort is null ? "SCRAM-SHA-512" : "PLAIN"),
            formatOptions: ScramUsers("secret"));
        await cluster.StartAsync();
        await using var connection = await AdminAsync(cluster);
        Assert.Equal(0, (await ClusterClient.CreateTopicAsync(connection, Topic, 30_000, 2)).Error);
    }

    /// <summary>Both authorities are trusted first, then the certificates change, then the old authority goes.</summary>
    private async Task ReplaceAuthorityAsync(LocalCluster cluster)
    {
        var changes = Changes(cluster);
        _certificates.Bundle("ca", "old-ca", "new-ca");
        await cluster.WaitAsync("all nodes trust both authorities", s_limit, () => AllChangedAsync(cluster, changes));

        var renewed = _certificates.Issue("new-ca", "server", "CN=node");
        await WaitForCertificateAsync(cluster, renewed, includesControllers: true);

        changes = Changes(cluster);
        _certificates.Bundle("ca", "new-ca");
        await cluster.WaitAsync("all nodes trust the new authority only", s_limit, () => AllChangedAsync(cluster, changes));
    }

    /// <summary>Each broker gets another key store by its own dynamic config; one that the others do not trust is refused.</summary>
    private async Task ReplaceKeyStoresAsync(LocalCluster cluster)
    {
        var renewed = _certificates.Issue("new-ca", "renewed", "CN=node");
        _certificates.Issue("foreign-ca", "foreign", "CN=node");
        foreach (var node in cluster.Brokers)
        {
            var refused = await AlterOwnAsync(node, KeyStoreConfig, _certificates.FileOf("foreign"));
            Assert.Equal(InvalidRequest, refused.Error);
            Assert.Contains("would refuse each other", refused.Message, StringComparison.Ordinal);
            Assert.Equal((0, null), await AlterOwnAsync(node, KeyStoreConfig, _certificates.FileOf("renewed")));
        }

        await WaitForCertificateAsync(cluster, renewed, includesControllers: false);
    }

    private static async Task ReplaceSecretAsync(LocalCluster cluster)
    {
        await using var connection = await AdminAsync(cluster);
        Assert.Equal(0, await SecurityClient.AlterPasswordAsync(connection, "node", "second-secret"));
        foreach (var node in cluster.Brokers)
        {
            var refused = await AlterOwnAsync(node, LoginConfig, $"{ScramModule} required username=\"node\";");
            Assert.Equal(InvalidRequest, refused.Error);
            Assert.Equal((0, null), await AlterOwnAsync(node, LoginConfig, ScramLogin("second-secret")));
        }
    }

    /// <summary>Restarted nodes log in anew, by the secret that is in the metadata; their files still have the old one.</summary>
    private static async Task RestartAllAsync(LocalCluster cluster, NumberedWorkload workload, Task work)
    {
        // librdkafka ends an idempotent producer when some of the requests that are under way find too few replicas.
        await using (var connection = await AdminAsync(cluster))
            Assert.Equal((0, null), await AlterMinimumAsync(connection, "2"));
        foreach (var node in cluster.Nodes)
        {
            node.Terminate();
            Assert.Equal(0, await node.WaitForExitAsync());
            node.Start();
            await cluster.WaitUntilAllServeAsync();
            await cluster.WaitAsync($"{node} follows again", s_limit, async () =>
                (await ClusterClient.TryMetadataAsync(node.BrokerPort!.Value))?.Topics.Any(topic => topic is (Topic, _, _, 3)) == true);
            await ProgressAsync(cluster, workload, work);
        }
    }

    private static Task<(short Error, string? Message)> AlterMinimumAsync(RawConnection connection, string replicas) =>
        SecurityClient.AlterConfigAsync(connection, SecurityClient.TopicResource, Topic, "min.insync.replicas", replicas);

    private static Task ProgressAsync(LocalCluster cluster, NumberedWorkload workload, Task work)
    {
        var before = workload.Acknowledged;
        return cluster.WaitAsync("records are acknowledged by all three nodes", s_limit, async () =>
        {
            if (work.IsCompleted)
                await work; // with the record that failed
            return workload.Acknowledged > before + 500;
        });
    }

    private async Task WaitForCertificateAsync(LocalCluster cluster, string thumbprint, bool includesControllers)
    {
        var ports = cluster.Brokers.Select(node => _ports[node.Id])
            .Concat(includesControllers ? cluster.Controllers.Select(node => node.ControllerPort!.Value) : []).ToList();
        await cluster.WaitAsync($"all listeners show the certificate {thumbprint}", s_limit, async () =>
        {
            foreach (var port in ports)
            {
                if (await SecurityClient.TryThumbprintAsync(port) != thumbprint)
                    return false;
            }

            return true;
        });
    }

    /// <summary>How often each node said that a listener's TLS settings have changed.</summary>
    private static Dictionary<int, int> Changes(LocalCluster cluster) => cluster.Nodes.ToDictionary(
        node => node.Id, node => node.Output.Split("use its changed TLS settings").Length - 1);

    /// <summary>Whether each node said so once more of both its listeners.</summary>
    private static Task<bool> AllChangedAsync(LocalCluster cluster, Dictionary<int, int> before) =>
        Task.FromResult(Changes(cluster).All(node => node.Value >= before[node.Key] + 2));

    private static async Task<(short Error, string? Message)> AlterOwnAsync(ClusterNode node, string name, string? value)
    {
        await using var connection = await RawConnection.OpenAsync(node.BrokerPort!.Value);
        return await SecurityClient.AlterConfigAsync(
            connection, SecurityClient.BrokerResource, node.Id.ToString(CultureInfo.InvariantCulture), name, value);
    }

    private static Task<RawConnection> AdminAsync(LocalCluster cluster) =>
        RawConnection.OpenAsync(cluster.Brokers.First().BrokerPort!.Value);

    private static string ScramLogin(string secret) => $"{ScramModule} required username=\"node\" password=\"{secret}\";";

    private static string[] ScramUsers(string secret) =>
    [
        "--add-scram", $"SCRAM-SHA-512=[name=node,password={secret}]",
        "--add-scram", "SCRAM-SHA-512=[name=client,password=client-secret]",
    ];

    private Dictionary<string, string> ClientSettings() => new()
    {
        ["security.protocol"] = Listener,
        ["sasl.mechanism"] = "SCRAM-SHA-512",
        ["sasl.username"] = "client",
        ["sasl.password"] = "client-secret",
        ["ssl.ca.location"] = _certificates.FileOf("client-ca"),
    };

    private Dictionary<string, string> SettingsOf(ClusterNode node, string secret, string controllerMechanism)
    {
        List<string> listeners = [];
        List<string> advertised = [];
        if (node.BrokerPort is { } brokerPort)
        {
            var port = _ports[node.Id] = BrokerProcess.FindFreePort();
            listeners.AddRange($"PLAINTEXT://127.0.0.1:{brokerPort}", $"{Listener}://127.0.0.1:{port}");
            advertised.AddRange($"PLAINTEXT://127.0.0.1:{brokerPort}", $"{Listener}://localhost:{port}");
        }

        if (node.ControllerPort is { } controllerPort)
            listeners.Add($"CONTROLLER://127.0.0.1:{controllerPort}");
        var settings = new Dictionary<string, string>
        {
            ["listeners"] = string.Join(',', listeners),
            ["listener.security.protocol.map"] = $"PLAINTEXT:PLAINTEXT,{Listener}:SASL_SSL,CONTROLLER:SASL_SSL",
            ["sasl.mechanism.inter.broker.protocol"] = "SCRAM-SHA-512",
            ["sasl.mechanism.controller.protocol"] = controllerMechanism,
            ["listener.name.sasl_ssl.sasl.enabled.mechanisms"] = "SCRAM-SHA-512",
            ["listener.name.controller.sasl.enabled.mechanisms"] = "PLAIN,SCRAM-SHA-512",
            ["listener.name.controller.plain.sasl.jaas.config"] =
                $"{PlainModule} required username=\"controller\" password=\"quorum\" user_controller=\"quorum\";",
            ["listener.name.controller.scram-sha-512.sasl.jaas.config"] = ScramLogin(secret),
            [LoginConfig] = ScramLogin(secret),
            // Nodes log in with each other all the time.
            ["connections.max.reauth.ms"] = "3000",
        };
        if (advertised.Count > 0)
        {
            settings["advertised.listeners"] = string.Join(',', advertised);
            settings["inter.broker.listener.name"] = Listener;
        }

        foreach (var listener in new[] { "sasl_ssl", "controller" })
        {
            settings[$"listener.name.{listener}.ssl.keystore.type"] = "PEM";
            settings[$"listener.name.{listener}.ssl.keystore.location"] = _certificates.FileOf("server");
            settings[$"listener.name.{listener}.ssl.truststore.type"] = "PEM";
            settings[$"listener.name.{listener}.ssl.truststore.location"] = _certificates.FileOf("ca");
        }

        return settings;
    }
}
