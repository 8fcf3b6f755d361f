using System.IO.Compression;
using System.Text.Json;
using Ottla.Client.Consumers.Assignors;
using Ottla.Client.Consumers.Membership;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>
/// The assignors against 900 assignments of Apache Kafka's Java client 4.4.0: bytes, and the order of partitions, are the same.
/// </summary>
public sealed class GoldenAssignorTests
{
    [Theory]
    [InlineData("range", 225)]
    [InlineData("roundrobin", 225)]
    [InlineData("sticky", 225)]
    [InlineData("cooperative-sticky", 225)]
    public void Assignments_are_those_of_the_Java_client(string name, int expectedCases)
    {
        var assignor = ConsumerAssignors.Named(name);
        var cases = 0;
        foreach (var golden in Cases().Where(golden => golden.GetProperty("assignor").GetString() == name))
        {
            cases++;
            var members = golden.GetProperty("members").EnumerateArray().Select(ToMember).ToList();
            var topics = ToTopics(golden.GetProperty("topics"));
            var assigned = assignor.Assign(new AssignorInput(members, topics));
            var id = golden.GetProperty("id").GetInt32();
            if (golden.TryGetProperty("orderSensitive", out _) && name == "range")
            {
                AssertBalanced(id, assigned, golden.GetProperty("assignment"));
                continue;
            }

            foreach (var expected in golden.GetProperty("assignment").EnumerateObject())
            {
                var bytes = ClassicMembership.WriteAssignment(assigned[expected.Name]);
                var wanted = expected.Value.GetProperty("hex").GetString()!;
                Assert.True(wanted == Convert.ToHexStringLower(bytes),
                    $"case {id}, member {expected.Name}: {string.Join(' ', assigned[expected.Name])} instead of "
                        + expected.Value.GetProperty("partitions").GetRawText());
            }
        }

        Assert.Equal(expectedCases, cases);
    }

    [Fact]
    public void Subscriptions_are_written_as_by_the_Java_client()
    {
        var compared = 0;
        foreach (var member in Cases().SelectMany(golden => golden.GetProperty("members").EnumerateArray()))
        {
            var bytes = Convert.FromHexString(member.GetProperty("subscriptionHex").GetString()!);
            var subscription = ConsumerProtocol.ReadSubscription(bytes);
            Assert.Equal(bytes, ConsumerProtocol.WriteSubscription(subscription, ConsumerProtocolSubscription.HighestVersion));
            compared++;
        }

        Assert.True(compared > 900);
    }

    [Fact]
    public void User_data_of_the_sticky_assignors_is_written_as_by_the_Java_client()
    {
        var compared = 0;
        foreach (var golden in Cases())
        {
            var name = golden.GetProperty("assignor").GetString()!;
            foreach (var member in golden.GetProperty("members").EnumerateArray())
            {
                if (member.GetProperty("userDataHex").GetString() is not { } hex)
                    continue;
                var bytes = Convert.FromHexString(hex);
                if (name == "sticky")
                {
                    var (partitions, generation) = StickyUserData.Read(bytes);
                    Assert.Equal(hex, Convert.ToHexStringLower(new StickyAssignor().UserData(partitions, generation!.Value)!));
                }
                else
                {
                    var generation = StickyUserData.ReadGeneration(bytes);
                    Assert.Equal(hex, Convert.ToHexStringLower(new CooperativeStickyAssignor().UserData([], generation)!));
                }

                compared++;
            }
        }

        Assert.True(compared > 300, $"{compared}");
    }

    [Fact]
    public void Mistakes_of_other_members_do_not_keep_a_group_from_being_assigned()
    {
        byte[][] broken = [[], [1], [0, 0, 0, 9], [255, 255, 255, 255], [127, 255, 255, 255, 0, 0]];
        foreach (var userData in broken)
        {
            AssignorMember[] members =
            [
                new AssignorMember("a", null, ["t"], [], 3, null, userData),
                new AssignorMember("b", null, ["t"], [new TopicPartition("t", 99), new TopicPartition("gone", 0)], 3, null, null),
            ];
            var topics = new Dictionary<string, AssignorTopic> { ["t"] = new AssignorTopic(3) };
            foreach (var name in (string[])["range", "roundrobin", "sticky", "cooperative-sticky"])
            {
                var assigned = ConsumerAssignors.Named(name).Assign(new AssignorInput(members, topics));
                Assert.Equal(3, assigned.Values.SelectMany(partitions => partitions).Distinct().Count());
                Assert.Equal([1, 2], assigned.Values.Select(partitions => partitions.Count).Order());
            }
        }
    }

    private static void AssertBalanced(int id, Dictionary<string, List<TopicPartition>> assigned, JsonElement expected)
    {
        foreach (var byTopic in expected.EnumerateObject().SelectMany(member => member.Value.GetProperty("partitions").EnumerateArray())
            .GroupBy(pair => pair[0].GetString()!))
        {
            Assert.Equal(byTopic.Count(), assigned.Values.SelectMany(each => each).Count(partition => partition.Topic == byTopic.Key));
            var wanted = expected.EnumerateObject().Select(member => member.Value.GetProperty("partitions").EnumerateArray())
                .Select(partitions => partitions.Count(pair => pair[0].GetString() == byTopic.Key));
            var counts = assigned.Values.Select(partitions => partitions.Count(partition => partition.Topic == byTopic.Key));
            Assert.True(wanted.Order().SequenceEqual(counts.Order()), $"case {id}, topic {byTopic.Key}");
        }
    }

    private static IEnumerable<JsonElement> Cases()
    {
        using var file = File.OpenRead(GoldenData.Path("client/assignors.jsonl.gz"));
        using var reader = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
        while (reader.ReadLine() is { } line)
        {
            using var json = JsonDocument.Parse(line);
            yield return json.RootElement.Clone();
        }
    }

    private static AssignorMember ToMember(JsonElement json)
    {
        var subscription = ConsumerProtocol.ReadSubscription(Convert.FromHexString(json.GetProperty("subscriptionHex").GetString()!));
        return new AssignorMember(
            json.GetProperty("memberId").GetString()!,
            json.GetProperty("groupInstanceId").GetString(),
            subscription.Topics,
            [.. subscription.OwnedPartitions.SelectMany(
                topic => topic.Partitions, (topic, partition) => new TopicPartition(topic.Topic, partition))],
            subscription.GenerationId,
            subscription.RackId is { Length: > 0 } rack ? rack : null,
            subscription.UserData);
    }

    private static Dictionary<string, AssignorTopic> ToTopics(JsonElement json)
    {
        var topics = new Dictionary<string, AssignorTopic>();
        foreach (var topic in json.EnumerateObject())
        {
            var count = topic.Value.GetProperty("partitions").GetInt32();
            if (count == 0)
                continue;
            IReadOnlySet<string>[]? racks = topic.Value.TryGetProperty("racks", out var each)
                ? [.. each.EnumerateArray().Select(partition => partition.EnumerateArray().Select(rack => rack.GetString()!).ToHashSet())]
                : null;
            topics.Add(topic.Name, new AssignorTopic(count, racks));
        }

        return topics;
    }
}
