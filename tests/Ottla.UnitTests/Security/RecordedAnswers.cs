using System.IO.Compression;
using System.Reflection;
using System.Text.Json;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Clients;

namespace Ottla.UnitTests.Security;

/// <summary>One request to a broker of Apache Kafka with an authorizer, and what it answered (tests/golden/security).</summary>
/// <param name="Row">What the row is called.</param>
/// <param name="Key">The API.</param>
/// <param name="Version">The version of the request.</param>
/// <param name="User">The principal.</param>
/// <param name="Acls">All access control entries at that moment.</param>
/// <param name="Setup">What an administrator made just before.</param>
/// <param name="CorrelationId">The correlation id of the request.</param>
/// <param name="Request">The request, without its length.</param>
/// <param name="Response">The response, without its length; null when the broker closed the connection.</param>
internal sealed record RecordedRow(
    string Row, ApiKey Key, short Version, string User, IReadOnlyList<RecordedAcl> Acls, IReadOnlyList<string> Setup, int CorrelationId,
    byte[] Request, byte[]? Response)
{
    public override string ToString() => Row;
}

/// <summary>An access control entry of a recording.</summary>
internal sealed record RecordedAcl(
    string ResourceType, string Name, string Pattern, string Principal, string Host, string Operation, string Permission);

/// <summary>A file of recorded answers.</summary>
internal sealed class RecordedAnswers
{
    private static readonly MethodInfo DecodeMethod = typeof(ClientFrames).GetMethod(nameof(ClientFrames.Decode))!;

    private RecordedAnswers(JsonElement fixture, IReadOnlyList<RecordedRow> rows, IReadOnlyDictionary<string, string> tokenOwners)
    {
        Rows = rows;
        TokenIdByOwner = tokenOwners;
        if (fixture.ValueKind == JsonValueKind.Object && fixture.TryGetProperty("topics", out var topics))
            TopicIds = topics.EnumerateObject().ToDictionary(topic => topic.Name, topic => Guid.Parse(topic.Value.GetString()!));
    }

    public IReadOnlyList<RecordedRow> Rows { get; }

    /// <summary>The ids of topics in the recording, by their names.</summary>
    public IReadOnlyDictionary<string, Guid> TopicIds { get; } = new Dictionary<string, Guid>();

    /// <summary>The delegation tokens of the recording, by their owners.</summary>
    public IReadOnlyDictionary<string, string> TokenIdByOwner { get; }

    public static RecordedAnswers Read(string file)
    {
        using var stream = File.OpenRead(GoldenData.Path(Path.Combine("security", file)));
        using var reader = new StreamReader(new GZipStream(stream, CompressionMode.Decompress));
        JsonElement fixture = default;
        var rows = new List<RecordedRow>();
        var owners = new Dictionary<string, string>();
        while (reader.ReadLine() is { } line)
        {
            using var json = JsonDocument.Parse(line);
            var root = json.RootElement;
            if (root.TryGetProperty("fixture", out var found))
                fixture = found.Clone();
            else if (root.TryGetProperty("tokens", out var tokens))
                owners = tokens.GetProperty("owner").EnumerateObject().ToDictionary(token => token.Name, token => token.Value.GetString()!);
            else if (root.TryGetProperty("row", out _))
                rows.Add(ToRow(root));
        }

        return new RecordedAnswers(fixture, rows, owners);
    }

    /// <summary>Decodes a response by its API.</summary>
    public static IMessage Decode(ApiKey key, short version, int correlationId, byte[] frame)
    {
        var type = typeof(ApiKey).Assembly.GetType($"Ottla.Protocol.Messages.{key}Response", throwOnError: true)!;
        try
        {
            return (IMessage)DecodeMethod.MakeGenericMethod(type).Invoke(null, [frame, version, correlationId])!;
        }
        catch (TargetInvocationException e)
        {
            throw new InvalidDataException($"a response of {key} v{version} cannot be decoded", e.InnerException);
        }
    }

    private static RecordedRow ToRow(JsonElement row)
    {
        var request = row.GetProperty("request");
        var response = row.GetProperty("response");
        return new RecordedRow(
            row.GetProperty("row").GetString()!,
            (ApiKey)row.GetProperty("key").GetInt16(),
            row.GetProperty("v").GetInt16(),
            row.TryGetProperty("user", out var user) ? user.GetString()! : "User:alice",
            [.. row.GetProperty("acls").EnumerateArray().Select(acl => new RecordedAcl(
                acl.GetProperty("resourceType").GetString()!, acl.GetProperty("name").GetString()!, acl.GetProperty("pattern").GetString()!,
                acl.GetProperty("principal").GetString()!, acl.GetProperty("host").GetString()!,
                acl.GetProperty("operation").GetString()!, acl.GetProperty("permission").GetString()!))],
            row.TryGetProperty("setup", out var setup) ? [.. setup.EnumerateArray().Select(step => step.GetString()!)] : [],
            request.GetProperty("correlationId").GetInt32(),
            Convert.FromHexString(request.GetProperty("hex").GetString()!),
            response.ValueKind == JsonValueKind.Null ? null : Convert.FromHexString(response.GetProperty("hex").GetString()!));
    }
}
