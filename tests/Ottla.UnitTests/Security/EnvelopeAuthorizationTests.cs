using System.Buffers.Binary;
using System.Text.Json;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Security;

/// <summary>The controller's listener with an authorizer: who may forward for others, and who may speak as a broker.</summary>
public sealed class EnvelopeAuthorizationTests
{
    /// <summary>
    /// Recorded with an entry for topics that the row does not tell of: alice may create the topic and see its configs, while every other
    /// recording refuses both without an entry.
    /// </summary>
    private const string RecordedWithAnEntry = "alice at the controller listener, no ACL: CreateTopics";

    /// <summary>What a controller of Apache Kafka answered (tests/golden/security/envelope.jsonl), but for what needs a login.</summary>
    [Fact]
    public async Task The_recorded_answers()
    {
        await using var node = await TestNode.StartAsync(
            ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
            ("super.users", "User:admin;User:ANONYMOUS"));
        await using var client = await PrincipalClient.ConnectAsync(node.Node.Apis, ClientPrincipal.Anonymous);
        var compared = 0;
        foreach (var line in File.ReadLines(GoldenData.Path(Path.Combine("security", "envelope.jsonl"))))
        {
            using var json = JsonDocument.Parse(line);
            var row = json.RootElement;
            var name = row.TryGetProperty("case", out var text) ? text.GetString()! : "";
            if (!row.TryGetProperty("connectionUser", out var user) || user.GetString() == "none"
                || row.GetProperty("listener").GetString() != "CONTROLLER" || !row.TryGetProperty("response", out var response)
                || response.ValueKind == JsonValueKind.Null || name == RecordedWithAnEntry)
                continue;
            await SetAclsAsync(client, name);
            await using var controller = await PrincipalClient.ConnectAsync(
                node.Node.ControllerApis!, new ClientPrincipal("User", user.GetString()!, false), "CONTROLLER");
            var answer = await controller.SendFrameAsync(Convert.FromHexString(row.GetProperty("request").GetProperty("hex").GetString()!));
            var correlationId = row.GetProperty("request").GetProperty("correlationId").GetInt32();
            var expected = Convert.FromHexString(response.GetProperty("hex").GetString()!);
            Assert.True(answer is not null, $"{name}: the connection was closed");
            if (row.TryGetProperty("errorCode", out _))
                Compare(name, Decode(expected), Decode(answer!));
            else
                Assert.Equal(ErrorsOf(expected), ErrorsOf(answer!));
            compared++;

            EnvelopeResponse Decode(byte[] frame) => (EnvelopeResponse)RecordedAnswers.Decode(ApiKey.Envelope, 0, correlationId, frame);

            string ErrorsOf(byte[] frame)
            {
                var request = Convert.FromHexString(row.GetProperty("request").GetProperty("hex").GetString()!);
                var (key, version) = (BinaryPrimitives.ReadInt16BigEndian(request), BinaryPrimitives.ReadInt16BigEndian(request.AsSpan(2)));
                var facts = AnswerFacts.Of(RecordedAnswers.Decode((ApiKey)key, version, correlationId, frame), id => id.ToString());
                return $"{name}: " + string.Join(", ", facts.Where(fact => fact.Key.EndsWith("ErrorCode", StringComparison.Ordinal)));
            }
        }

        Assert.True(compared >= 20, $"{compared} rows");
    }

    /// <summary>What the recording's administrator had set for a row.</summary>
    private static async Task SetAclsAsync(PrincipalClient client, string name)
    {
        var deleted = await client.CallAsync<DeleteAclsRequest, DeleteAclsResponse>(
            new() { Filters = [SecuredNode.Everything()] });
        Assert.All(deleted.FilterResults, filter => Assert.Equal(0, filter.ErrorCode));
        var host = name.StartsWith("host rule 10.9.9.9", StringComparison.Ordinal) ? "10.9.9.9" : "*";
        var created = await client.CallAsync<CreateAclsRequest, CreateAclsResponse>(new()
        {
            Creations =
            [
                new()
                {
                    ResourceType = (sbyte)ResourceType.Topic,
                    ResourceName = "env",
                    Principal = "User:bob",
                    Host = host,
                    Operation = (sbyte)AclOperation.Create,
                    PermissionType = 3,
                },
            ],
        });
        Assert.Equal(0, Assert.Single(created.Results).ErrorCode);
    }

    private static void Compare(string name, EnvelopeResponse expected, EnvelopeResponse actual)
    {
        Assert.True(expected.ErrorCode == actual.ErrorCode, $"{name}: {actual.ErrorCode}, not {expected.ErrorCode}");
        if (expected.ResponseData is null)
            return;
        if (name.Contains("CreateDelegationToken", StringComparison.Ordinal))
        {
            var token = (CreateDelegationTokenResponse)RecordedAnswers.Decode(ApiKey.CreateDelegationToken, 3, 77, actual.ResponseData!);
            Assert.Equal((64, "bob"), (token.ErrorCode, token.PrincipalName));
            return;
        }

        var wanted = Assert.Single(Topics(expected));
        var topic = Assert.Single(Topics(actual));
        Assert.True(
            (wanted.Name, wanted.ErrorCode, wanted.ErrorMessage, wanted.TopicConfigErrorCode)
                == (topic.Name, topic.ErrorCode, topic.ErrorMessage, topic.TopicConfigErrorCode),
            $"{name}: {topic.ErrorCode} {topic.ErrorMessage} {topic.TopicConfigErrorCode}");

        static CreateTopicsResponse.CreatableTopicResult[] Topics(EnvelopeResponse envelope) =>
            ((CreateTopicsResponse)RecordedAnswers.Decode(ApiKey.CreateTopics, 7, 77, envelope.ResponseData!)).Topics;
    }
}
