using System.Text.Json;
using Ottla.Storage.Files;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Security;

/// <summary>A node answers logins with Kafka's bytes: what Kafka was sent is sent to a node, frame by frame.</summary>
public sealed class GoldenLoginTests
{
    private const string Jaas =
        "org.apache.kafka.common.security.plain.PlainLoginModule required user_admin=\"admin-secret\" user_alice=\"alice-secret\" "
        + "user_bob=\"bob-secret\";";

    /// <summary>Longer answers are those of other APIs.</summary>
    private const int LongestLoginAnswer = 200;

    /// <summary>The word localhost, in hexadecimal digits.</summary>
    private const string Localhost = "6c6f63616c686f7374";

    private static readonly string[] s_listeners = ["SASL", "REAUTH", "PLAINONLY"];

    /// <summary>
    /// What is left out: logins with a nonce or a token that only their server could make, which other tests judge; frames that are
    /// recorded
    /// in part only; and requests that are no logins.
    /// </summary>
    public static TheoryData<string> Cases()
    {
        var cases = new TheoryData<string>();
        foreach (var line in GoldenLogins.All)
        {
            var name = GoldenLogins.NameOf(line);
            if (!name.StartsWith("SCRAM", StringComparison.Ordinal) && !name.StartsWith("OAUTHBEARER", StringComparison.Ordinal)
                && !name.StartsWith("token", StringComparison.Ordinal) && !name.StartsWith("AlterUser", StringComparison.Ordinal)
                && !name.StartsWith("Kafka", StringComparison.Ordinal) && name != "metadata records")
                cases.Add(name);
        }

        Assert.True(cases.Count > 60, $"only {cases.Count} cases are replayed");
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_recorded_login_is_answered_as_by_Kafka(string name)
    {
        var line = GoldenLogins.Get(name);
        var disk = new InMemoryFileSystem(TimeProvider.System);
        await using var node = await TestNode.StartOnAsync(disk, [.. Configs()]);
        await using var client = await node.ConnectAsync(Array.IndexOf(s_listeners, GoldenLogins.Text(line, "listener")));
        var isOpen = true;
        foreach (var step in line.GetProperty("steps").EnumerateArray())
        {
            if (step.TryGetProperty("sleepMs", out var sleep))
                node.Clock.AdvanceMs(sleep.GetInt64());
            else
                isOpen = await ReplayAsync(client, step, isOpen);
        }

        if (!isOpen || GoldenLogins.Text(line, "after")!.StartsWith("closed", StringComparison.Ordinal))
            await client.AssertClosedAsync();
        else if (EndsWithMetadata(line))
            await client.AssertAliveAsync();
    }

    private static async Task<bool> ReplayAsync(TestConnection client, JsonElement step, bool isOpen)
    {
        if (!isOpen)
            return false; // Kafka had closed the connection, and so has the node
        var isRaw = step.TryGetProperty("rawFrame", out var raw);
        var bytes = Convert.FromHexString(isRaw ? GoldenLogins.Text(step, "req")! : GoldenLogins.Text(step.GetProperty("request"), "hex")!);
        try
        {
            await (isRaw && raw.ValueKind == JsonValueKind.False ? client.SendRawAsync(bytes) : client.SendFrameAsync(bytes));
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            // The node has closed the connection before, and Kafka must have done so too: no answer is expected.
        }

        if (step.TryGetProperty("noAnswerFor", out _))
            return true;
        var expected = isRaw ? GoldenLogins.Text(step, "resp")
            : step.GetProperty("response") is { ValueKind: JsonValueKind.Object } response ? GoldenLogins.Text(response, "hex") : null;
        var answer = await client.ReceiveFrameAsync();
        if (expected is null)
        {
            Assert.Null(answer);
            return false;
        }

        Assert.NotNull(answer);
        if (answer.Length > 0 && expected.Contains(Localhost, StringComparison.Ordinal))
            return true; // an answer to Metadata, in a frame that is recorded without a name
        var api = GoldenLogins.Text(step, "api");
        if (api is "SaslHandshake" or "SaslAuthenticate" || (isRaw && expected.Length < LongestLoginAnswer))
            Assert.Equal(expected, Convert.ToHexStringLower(answer));
        else if (api == "ApiVersions")
            Assert.Equal(expected[8..12], Convert.ToHexStringLower(answer)[8..12]); // the error: the lists of APIs differ
        return true;
    }

    /// <summary>Whether the client is logged in at the end.</summary>
    private static bool EndsWithMetadata(JsonElement line) =>
        GoldenLogins.Text(line.GetProperty("steps").EnumerateArray().Last(), "api") == "Metadata";

    private static IEnumerable<(string, string)> Configs()
    {
        yield return ("listeners",
            "SASL://127.0.0.1:9101,REAUTH://127.0.0.1:9102,PLAINONLY://127.0.0.1:9103,INTERNAL://127.0.0.1:9104,"
            + "CONTROLLER://127.0.0.1:9093");
        yield return ("advertised.listeners", "INTERNAL://localhost:9104");
        yield return ("listener.security.protocol.map",
            "SASL:SASL_PLAINTEXT,REAUTH:SASL_PLAINTEXT,PLAINONLY:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT");
        yield return ("inter.broker.listener.name", "INTERNAL");
        yield return ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512,SCRAM-SHA-256,OAUTHBEARER");
        yield return ("connection.failed.authentication.delay.ms", "0");
        yield return ("listener.name.plainonly.sasl.enabled.mechanisms", "PLAIN");
        foreach (var listener in s_listeners)
        {
            yield return ($"listener.name.{listener.ToLowerInvariant()}.plain.sasl.jaas.config", Jaas);
            yield return ($"listener.name.{listener.ToLowerInvariant()}.oauthbearer.sasl.server.callback.handler.class",
                "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler");
        }

        yield return ("listener.name.reauth.plain.connections.max.reauth.ms", "4000");
    }
}
