using System.Security.Authentication;
using Ottla.Network.Buffers;
using Ottla.Network.Security;
using Ottla.Network.Transport;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.Requests.Security;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Security;

/// <summary>Three nodes that speak TLS and log in with each other, brokers and controllers.</summary>
public sealed class SecureClusterTests : IDisposable
{
    private const string Plain = "org.apache.kafka.common.security.plain.PlainLoginModule";

    private readonly TestAuthority _authority = new();

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task Nodes_log_in_with_each_other_over_TLS()
    {
        await using var cluster = await TestCluster.StartCombinedAsync([.. Configs("node", "node-secret")]);
        await cluster.ActiveControllerAsync();
        await using var client = new TestConnection(await ConnectAsync(cluster, "alice-secret"));
        var created = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(new CreateTopicsRequest
        {
            Topics = [new() { Name = "t", NumPartitions = 6, ReplicationFactor = 3 }],
            TimeoutMs = 30_000,
        });
        Assert.Equal((0, null), (created.Topics[0].ErrorCode, created.Topics[0].ErrorMessage));
        await Waiting.UntilAsync(() => cluster.Nodes.Values.All(node => node.Image.Topics.Find("t") is not null));
        await Assert.ThrowsAsync<AuthenticationException>(() => ConnectAsync(cluster, "wrong"));
    }

    private IEnumerable<(string, string)> Configs(string user, string password)
    {
        var server = _authority.Issue("CN=node");
        yield return ("listener.security.protocol.map", "PLAINTEXT:SASL_SSL,CONTROLLER:SASL_SSL");
        yield return ("sasl.enabled.mechanisms", "PLAIN");
        yield return ("sasl.mechanism.inter.broker.protocol", "PLAIN");
        yield return ("sasl.mechanism.controller.protocol", "PLAIN");
        yield return ("connection.failed.authentication.delay.ms", "0");
        foreach (var listener in new[] { "plaintext", "controller" })
        {
            yield return ($"listener.name.{listener}.plain.sasl.jaas.config",
                $"{Plain} required username=\"{user}\" password=\"{password}\" user_{user}=\"{password}\" user_alice=\"alice-secret\";");
            yield return ($"listener.name.{listener}.ssl.keystore.type", "PEM");
            yield return ($"listener.name.{listener}.ssl.keystore.key", TestAuthority.KeyPemOf(server));
            yield return ($"listener.name.{listener}.ssl.keystore.certificate.chain", server.ExportCertificatePem());
            yield return ($"listener.name.{listener}.ssl.truststore.type", "PEM");
            yield return ($"listener.name.{listener}.ssl.truststore.certificates", _authority.CertificatePem);
            yield return ($"listener.name.{listener}.ssl.client.auth", "required");
        }
    }

    private async Task<ITransportConnection> ConnectAsync(TestCluster cluster, string password)
    {
        var settings = new TlsSettings
        {
            Key = new CertifiedKey(_authority.Issue("CN=alice"), []),
            Trusted = CertificateStores.ReadPemCertificates("trust", _authority.CertificatePem),
            Protocols = SslProtocols.Tls13,
        };
        var security = new ClientSecurity(() => settings, () => new PlainClient("alice", password), "test", new BufferPool());
        var address = new NodeAddress(1, "10.0.0.1", 9092);
        var connection = await cluster.Network.ConnectAsync(
            new System.Net.IPEndPoint(System.Net.IPAddress.Parse(address.Host), address.Port), default);
        return (await security.SecureAsync(connection, address, default)).Connection;
    }
}
