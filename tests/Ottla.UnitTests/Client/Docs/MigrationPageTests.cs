using System.Text.RegularExpressions;
using Ottla.Client;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Client.Docs;

/// <summary>What the page for those who come from Confluent.Kafka says of this client is so.</summary>
public sealed partial class MigrationPageTests
{
    private static readonly List<(string What, string Here)> s_rows = ReadRows();

    [Fact]
    public void Defaults_are_those_of_the_options()
    {
        var (client, producer, consumer) = (new OttlaClientOptions(), new ProducerOptions(), new ConsumerOptions());
        Says("keys", "murmur2", producer.KeyPartitioner == KeyPartitioner.Murmur2);
        Says("acks and idempotence", "all, idempotent", producer is { Acks: Acks.All, Idempotence: true });
        Says("transactions that are open or aborted", "seen:", consumer.IsolationLevel == IsolationLevel.ReadUncommitted);
        Says("checksums of what is read", "compared", consumer.CheckCrcs);
        Says("`delivery.timeout.ms`", $"{producer.DeliveryTimeout.TotalSeconds} s");
        Says("requests under way", $"{producer.InFlightMax};");
        Says("a batch", $"{producer.BatchBytes / 1024} KiB");
        Says("linger", $"{producer.Linger.TotalMilliseconds} ms, and none while nothing is under way");
        Says("the group protocol", "KIP-848 if the cluster has it", consumer.GroupProtocol == GroupProtocol.Auto);
        Says("assignors", string.Join(", ", consumer.Assignors));
        Says("`Close`, `Dispose`", $"{producer.CloseTimeout.TotalSeconds} s", producer.CloseTimeout == consumer.CloseTimeout);
        Says("topics that do not exist", "not created", !client.AllowAutoCreateTopics);
        Says("statistics", "pushed to the cluster", client.EnableMetricsPush);
    }

    [Fact]
    public void Everything_that_is_named_is_there()
    {
        string[] frameworks = ["IBufferWriter", "Meter"];
        var names = typeof(OttlaClient).Assembly.GetExportedTypes()
            .SelectMany(type => type.GetMembers().Select(member => member.Name).Append(type.Name.Split('`')[0]))
            .Concat(frameworks).ToHashSet();
        var checkedNames = 0;
        foreach (var (what, here) in s_rows)
        {
            foreach (Match code in Code().Matches(here))
            {
                foreach (Match name in Name().Matches(code.Value))
                {
                    Assert.True(names.Contains(name.Value), $"{what}: there is no {name.Value}");
                    checkedNames++;
                }
            }
        }

        Assert.True(checkedNames > 30);
    }

    private static void Says(string what, string here, bool isSo = true)
    {
        Assert.True(isSo, what);
        Assert.Contains(here, s_rows.Single(row => row.What == what).Here, StringComparison.Ordinal);
    }

    private static List<(string What, string Here)> ReadRows() =>
        [.. File.ReadAllLines(RepositoryFiles.Path("docs/client/from-confluent-kafka.md"))
            .Where(line => line.StartsWith("| ", StringComparison.Ordinal))
            .Select(line => line.Trim('|', ' ').Split(" | "))
            .Select(cells => (cells[0], cells[^1]))];

    [GeneratedRegex("`[^`]+`")]
    private static partial Regex Code();

    [GeneratedRegex(@"\b[A-Z][A-Za-z0-9]{2,}\b")]
    private static partial Regex Name();
}
