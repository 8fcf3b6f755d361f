using System.Collections.Concurrent;
using System.Globalization;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Xunit.Abstractions;

namespace Ottla.UnitTests.Security;

/// <summary>
/// Every request that was sent to a broker of Apache Kafka 4.4.0 with its StandardAuthorizer, sent again to this one with the same access
/// control entries, principals and versions.
/// </summary>
/// <remarks>
/// Refusals must be the same: the code, where it stands, which elements there are, the authorized operations, and a connection that is
/// closed. Where a request is allowed, its other codes depend on the state of the recorded broker, and only whether it is refused counts.
/// </remarks>
public sealed class AclMatrixTests(ITestOutputHelper output)
{
    private static readonly HashSet<string> Refusals = ["29", "30", "31", "53", "65"];

    /// <summary>APIs of the recording that this version does not serve, so that it closes the connection as for any unknown API.</summary>
    private static readonly HashSet<ApiKey> Unserved =
    [
        ApiKey.StreamsGroupHeartbeat, ApiKey.StreamsGroupDescribe, ApiKey.StreamsGroupTopologyDescriptionUpdate,
    ];

    /// <summary>
    /// APIs that are not offered unless unstable.feature.versions.enable asks for it: 47 of their rows still differ, mostly in texts and in
    /// what the recording's share group has.
    /// </summary>
    private static readonly HashSet<ApiKey> InDevelopment =
    [
        ApiKey.ShareGroupHeartbeat, ApiKey.ShareGroupDescribe, ApiKey.ShareFetch, ApiKey.ShareAcknowledge,
        ApiKey.DescribeShareGroupOffsets, ApiKey.AlterShareGroupOffsets, ApiKey.DeleteShareGroupOffsets,
    ];

    /// <summary>
    /// What is shown of the recorded broker and does not exist here: groups and the internal topic of APIs that are not served, a logger of
    /// Java, topics and producers that other rows left.
    /// </summary>
    private static readonly string[] NotHere =
    [
        "[__share_group_state]", "-g-share", "-g-streams", "-g-st", "[kafka.server.KafkaApis]", "-del-", ".ActiveProducers[",
    ];

    private const string UserOfResultIsEmpty =
        "Kafka repeats the error of the request in one result for each user, and all these results have an empty name: they say no more";

    /// <summary>Rows that are answered differently, and why.</summary>
    private static readonly Dictionary<string, string> Deviations = new()
    {
        ["DescribeUserScramCredentials-none-860"] = UserOfResultIsEmpty,
        ["DescribeUserScramCredentials-right-and-deny-Cluster-Describe-862"] = UserOfResultIsEmpty,
    };

    [Fact]
    public Task The_recorded_matrix() => ReplayAsync("acl-matrix.jsonl.gz", "sec");

    [Fact]
    public Task The_recorded_matrix_of_older_versions() => ReplayAsync("acl-versions.jsonl.gz", "ver");

    [Fact]
    public Task The_recorded_answers_where_everyone_may_use_what_no_entry_is_about() =>
        ReplayAsync("allow-everyone.jsonl.gz", "ev", ("allow.everyone.if.no.acl.found", "true"));

    private async Task ReplayAsync(string file, string prefix, params (string Name, string Value)[] configs)
    {
        var recording = RecordedAnswers.Read(file);
        await using var node = await SecuredNode.StartAsync(recording, configs);
        await node.CreateFixtureAsync(prefix);
        foreach (var owner in recording.TokenIdByOwner.Keys)
            await node.CreateTokenAsync(owner);
        var undeclared = new ConcurrentDictionary<string, bool>();
        node.Node.Node.Shared.Authorizer.Asked = (api, operation, type) =>
        {
            if (!ApiRules.Of(api).Declares(operation, type))
                undeclared.TryAdd($"{api} asks for {operation} on {type}, which its entry does not declare", true);
        };
        var (equal, equalInRefusals, unserved) = (0, 0, 0);
        var different = new List<string>();
        foreach (var row in recording.Rows)
        {
            if (Unserved.Contains(row.Key))
            {
                Assert.Null(node.Node.Node.Apis.Find((short)row.Key));
                unserved++;
                continue;
            }

            if (InDevelopment.Contains(row.Key))
            {
                unserved++;
                continue;
            }

            List<Difference> differences;
            try
            {
                differences = await CompareAsync(node, row, prefix);
            }
            catch (Exception e) when (e is TimeoutException or EndOfStreamException)
            {
                throw new InvalidOperationException($"{row.Row} v{row.Version} is not answered", e);
            }

            if (differences.Count == 0)
                equal++;
            else if (!differences.Exists(difference => difference.IsRefusal))
                equalInRefusals++;
            else if (!Deviations.ContainsKey(row.Row))
                different.Add($"{row.Row} v{row.Version}: {string.Join("; ", differences.Select(difference => difference.Text))}");
        }

        output.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{recording.Rows.Count} rows: {equal} equal, {equalInRefusals} equal but for codes that depend on the fixture, "
            + $"{different.Count} different, {unserved} of APIs that are not served or not offered"));
        Assert.True(different.Count == 0, string.Join('\n', different));
        Assert.Empty(undeclared.Keys);
    }

    private static async Task<List<Difference>> CompareAsync(SecuredNode node, RecordedRow row, string prefix)
    {
        await PrepareAsync(node, row);
        await node.SetAclsAsync(row.Acls);
        var client = IsAboutTokens(row.Key) ? await node.LoggedInAsync(row.User) : await node.ClientOf(row.User);
        var sent = client.SendFrameAsync(node.Translate(row.Request));
        if (row.Key == ApiKey.JoinGroup)
            await node.Node.Clock.AdvanceUntilAsync(sent, 100); // a new group waits for more members
        var answer = await sent;
        if (row.Key is ApiKey.CreateAcls or ApiKey.DeleteAcls)
            node.ForgetAcls();
        if (row.Key == ApiKey.ConsumerGroupHeartbeat)
            await node.LeaveAsync($"{prefix}-g-hb", "AAAAAAAAAAAAAAAAAAAABQ");
        if (row.Response is null || answer is null)
        {
            return row.Response is null == answer is null
                ? []
                : [new Difference(true, row.Response is null ? "not closed" : "closed")];
        }

        var expected = AnswerFacts.Of(RecordedAnswers.Decode(row.Key, row.Version, row.CorrelationId, row.Response), node.NameOf);
        var actual = AnswerFacts.Of(RecordedAnswers.Decode(row.Key, row.Version, row.CorrelationId, answer), node.NameOf);
        return [.. expected.Keys.Union(actual.Keys).Where(path => IsOfFixture(path, prefix))
            .Where(path => actual.ContainsKey(path) || !Array.Exists(NotHere, part => path.Contains(part, StringComparison.Ordinal)))
            .Select(path => Compare(path, expected.GetValueOrDefault(path), actual.GetValueOrDefault(path), expected))
            .OfType<Difference>()];
    }

    private static bool IsAboutTokens(ApiKey key) => key is ApiKey.CreateDelegationToken or ApiKey.RenewDelegationToken
        or ApiKey.ExpireDelegationToken or ApiKey.DescribeDelegationToken;

    /// <summary>What an administrator did just before the row.</summary>
    private static async Task PrepareAsync(SecuredNode node, RecordedRow row)
    {
        foreach (var step in row.Setup)
        {
            var words = step.Split(' ');
            if (words[0] == "group")
                await node.CommitAsync(words[1], $"{words[1][..3]}-a");
            else
                await node.CreateTopicAsync(words[1], 1, IdOfDeletedTopic(row));
        }
    }

    /// <summary>The recorded id of the topic that a request deletes by its id: the one that is not known yet.</summary>
    private static Guid? IdOfDeletedTopic(RecordedRow row)
    {
        if (row.Key != ApiKey.DeleteTopics || row.Version < 6)
            return null;
        var reader = new WireReader(row.Request);
        RequestHeader.Read(ref reader, 2);
        var first = DeleteTopicsRequest.Read(ref reader, row.Version).Topics[0];
        if (first.Name is not null)
            return null;
        var bytes = new byte[Uuid.SizeBytes];
        first.TopicId.Write(bytes);
        return new Guid(bytes, bigEndian: true);
    }

    private static Difference? Compare(string path, string? expected, string? actual, SortedDictionary<string, string> answer)
    {
        if (expected == actual)
            return null;
        var text = $"{path} is {actual ?? "missing"}, not {expected ?? "there"}";
        if (path.EndsWith("ErrorMessage", StringComparison.Ordinal))
        {
            // Kafka's text of 31 shows its own objects, and other texts depend on the state.
            var code = answer.GetValueOrDefault(path[..^"Message".Length] + "Code");
            return new Difference(code is not null && Refusals.Contains(code) && code != "31", text);
        }

        if (path.EndsWith("ErrorCode", StringComparison.Ordinal) && expected is not null && actual is not null)
            return new Difference(Refusals.Contains(expected) || Refusals.Contains(actual), text);
        return new Difference(true, text);
    }

    /// <summary>Lists of everything show what else exists.</summary>
    private static bool IsOfFixture(string path, string prefix)
    {
        var start = path.IndexOf('[', StringComparison.Ordinal);
        if (start < 0)
            return true;
        var name = path[(start + 1)..path.IndexOf(']', start)];
        if (path.StartsWith("ApiKeys[", StringComparison.Ordinal))
            return !Unserved.Union(InDevelopment).Contains((ApiKey)short.Parse(name, CultureInfo.InvariantCulture));
        return name.StartsWith(prefix, StringComparison.Ordinal) || name.StartsWith('#') || name.StartsWith("zz-", StringComparison.Ordinal)
            || name.StartsWith("__", StringComparison.Ordinal) || name.StartsWith("id ", StringComparison.Ordinal) || name == "''"
            || char.IsDigit(name[0]);
    }

    private sealed record Difference(bool IsRefusal, string Text);
}
