using System.Text;
using System.Text.Json;
using Ottla.Kernel;
using Ottla.Protocol.Sasl;
using Ottla.Requests.Security;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Security;

namespace Ottla.UnitTests.Security;

/// <summary>SCRAM with Kafka's bytes: both sides, with the recorded nonces.</summary>
public sealed class GoldenScramTests
{
    private const string ClientNonce = "fyko+d2lbbFgONRv9qkxdawL";
    private static readonly Instant s_now = new(1_800_000_000_000);

    /// <summary>Every recorded login that got as far as the proof, but those of delegation tokens, whose salts Kafka makes up.</summary>
    public static TheoryData<string> Exchanges() => [.. GoldenLogins.All
        .Where(line => GoldenLogins.NameOf(line).StartsWith("SCRAM", StringComparison.Ordinal) && Steps(line).Count == 2)
        .Where(line => Steps(line).All(step => step.TryGetProperty("response", out var answer) && answer.ValueKind == JsonValueKind.Object
            && answer.GetProperty("body").TryGetProperty("authBytes", out _)))
        .Select(GoldenLogins.NameOf)];

    [Theory]
    [MemberData(nameof(Exchanges))]
    public void The_server_says_what_Kafka_said(string name)
    {
        var steps = Steps(GoldenLogins.Get(name));
        var (first, final) = (Message(steps[0], "request"), Message(steps[1], "request"));
        var challenge = Encoding.ASCII.GetString(Message(steps[0], "response"));
        var serverNonce = challenge[("r=" + ClientNonce).Length..challenge.IndexOf(',', StringComparison.Ordinal)];
        var server = new ScramServer(MechanismOf(name), new RecordedUsers(), serverNonce);

        Assert.Equal(challenge, Encoding.ASCII.GetString(server.Evaluate(first, s_now).Response));
        var step = server.Evaluate(final, s_now);
        if (GoldenLogins.ErrorOf(steps[1]).Code == 0)
        {
            Assert.Null(step.Failure);
            Assert.Equal(Message(steps[1], "response"), step.Response);
            Assert.Equal(ScramClientFirst.Parse(first).UserName, step.Identity?.Name);
        }
        else
        {
            Assert.Null(step.Identity);
            Assert.Null(step.Failure!.ClientMessage); // the client is told the text that says nothing about users
        }
    }

    [Fact]
    public void Recorded_exchanges_are_there() => Assert.True(Exchanges().Count >= 15);

    [Theory]
    [InlineData("SCRAM-SHA-256 right, user sc256", "sc256", "pencil-256")]
    [InlineData("SCRAM-SHA-512 right, user sc512", "sc512", "pencil-512")]
    [InlineData("SCRAM-SHA-256 right, user we,ird=x, password pass,=word", "we,ird=x", "pass,=word")]
    [InlineData("SCRAM-SHA-256 right, user umlpw, password pässwörd", "umlpw", "pässwörd")]
    public void The_client_says_what_Kafka_took(string name, string user, string password)
    {
        var steps = Steps(GoldenLogins.Get(name));
        var client = new ScramClient(MechanismOf(name), user, password, isToken: false, ClientNonce);
        Assert.Equal(Message(steps[0], "request"), client.Begin());
        Assert.Equal(Message(steps[1], "request"), client.Respond(Message(steps[0], "response")));
        Assert.False(client.IsComplete);
        Assert.Null(client.Respond(Message(steps[1], "response")));
        Assert.True(client.IsComplete);
    }

    [Fact]
    public void A_token_logs_in_as_its_owner_where_Kafka_lets_it()
    {
        var steps = Steps(GoldenLogins.Get("token: login by SCRAM-SHA-512"));
        var first = ScramClientFirst.Parse(Message(steps[0], "request"));
        Assert.True(first.IsToken);
        Assert.Equal("fVRrdCTzRC2s5TBPZUil7A", first.UserName);
        // delegation.token.secret.key of the recording; the HMAC of the token's id is its password
        var tokens = DelegationTokensImage.Empty.ById.Add(first.UserName, new DelegationToken(
            first.UserName, "User:alice", "User:alice", [], 0, long.MaxValue, s_now.UnixMilliseconds + 60_000));
        var image = MetadataImage.Empty with { DelegationTokens = new DelegationTokensImage(tokens) };
        var credentials = new Ottla.Broker.Security.MetadataCredentials(() => image, "token-secret");
        var password = Convert.ToBase64String(
            System.Security.Cryptography.HMACSHA512.HashData("token-secret"u8, Encoding.UTF8.GetBytes(first.UserName)));

        var step = Login(credentials, first.UserName, password, isToken: true);
        Assert.Equal(new SaslIdentity("alice", IsTokenAuthenticated: true, new Instant(s_now.UnixMilliseconds + 60_000)), step.Identity);
        Assert.NotNull(Login(credentials, first.UserName, "wrong", isToken: true).Failure);
        Assert.NotNull(Login(credentials, first.UserName, password, isToken: false).Failure);
        Assert.NotNull(
            Login(new Ottla.Broker.Security.MetadataCredentials(() => image, null), first.UserName, password, isToken: true).Failure);

        // Kafka's own proof, for the salt that Kafka made up
        var challenge = ScramServerFirst.Parse(Message(steps[0], "response"));
        var client = new ScramClient(ScramMechanism.Sha512, first.UserName, password, isToken: true, ClientNonce);
        Assert.Equal(Message(steps[0], "request"), client.Begin());
        Assert.Equal(Message(steps[1], "request"), client.Respond(Encoding.ASCII.GetBytes(challenge.Text)));
    }

    private static SaslStep Login(IScramCredentials credentials, string user, string password, bool isToken)
    {
        var server = new ScramServer(ScramMechanism.Sha512, credentials, "server");
        var client = new ScramClient(ScramMechanism.Sha512, user, password, isToken, "client");
        return server.Evaluate(client.Respond(server.Evaluate(client.Begin(), s_now).Response), s_now);
    }

    private static ScramMechanism MechanismOf(string name) =>
        name.Contains("SHA-512", StringComparison.Ordinal) ? ScramMechanism.Sha512 : ScramMechanism.Sha256;

    private static List<JsonElement> Steps(JsonElement line) =>
        [.. line.GetProperty("steps").EnumerateArray().Where(step => GoldenLogins.Text(step, "api") == "SaslAuthenticate")];

    private static byte[] Message(JsonElement step, string side) =>
        Convert.FromBase64String(GoldenLogins.Text(step.GetProperty(side).GetProperty("body"), "authBytes")!);

    private sealed class RecordedUsers : IScramCredentials
    {
        public ScramEntry Find(ScramMechanism mechanism, string name, bool isToken, Instant now)
        {
            var user = GoldenLogins.ScramUsers.EnumerateArray().Single(each => GoldenLogins.Text(each, "user") == name
                && GoldenLogins.Text(each, "mechanism") == mechanism.Name);
            return new ScramEntry(
                new ScramCredential(Bytes("salt"), Bytes("storedKey"), Bytes("serverKey"), user.GetProperty("iterations").GetInt32()),
                new SaslIdentity(name, isToken, null));

            System.Collections.Immutable.ImmutableArray<byte> Bytes(string property) =>
                [.. Convert.FromBase64String(GoldenLogins.Text(user, property)!)];
        }
    }
}
