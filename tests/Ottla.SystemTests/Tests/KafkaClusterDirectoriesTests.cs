using System.Globalization;
using System.Text.Json;
using Ottla.SystemTests.Clients;
using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// The directories of three Apache Kafka 4.4 nodes (tests/golden/cluster), stopped in order or killed, opened by three Ottla nodes of the
/// same ids: the quorum goes on with the voters in the log, and serves the topics that it finds there.
/// </summary>
[Trait(Categories.Trait, Categories.Cluster)]
public sealed class KafkaClusterDirectoriesTests
{
    private const string Unreplicated = "g-rf1";

    private static readonly int[] Nodes = [1, 2, 3];

    [Theory]
    [InlineData("dirs-clean")]
    [InlineData("dirs-killed")]
    public async Task ThreeNodesGoOnWhereKafkaStopped(string archive)
    {
        var golden = Path.Combine(RepositoryPaths.Root, "tests", "golden", "cluster");
        var folder = Directory.CreateTempSubdirectory("ottla-system-test-").FullName;
        try
        {
            (await ClientTool.RunAsync("/bin/tar", ["-xJf", Path.Combine(golden, $"{archive}.tar.xz"), "-C", folder])).OrFail();
            await using var cluster = LocalCluster.On(Nodes.Select(id => Unpacked(id, folder)), new Dictionary<string, string>
            {
                ["transaction.max.timeout.ms"] = "900000",
                ["min.insync.replicas"] = "2",
            });
            await cluster.StartAsync();
            await cluster.ActiveControllerAsync();

            var expected = await File.ReadAllLinesAsync(Path.Combine(golden, $"{archive}.expected.jsonl"));
            var metadata = (await ClusterClient.TryMetadataAsync(cluster.Brokers.First().BrokerPort!.Value))!;
            var topics = expected.Select(line => JsonDocument.Parse(line).RootElement).Where(line => line.TryGetProperty("topicId", out _))
                .Select(line => (Name: line.GetProperty("topic").GetString()!, Id: line.GetProperty("topicId").GetString()!)).Distinct()
                .Order();
            Assert.Equal(topics, metadata.Topics.Select(topic => (topic.Name, Id: Text(topic.Id))).Order());

            await AssertReadAsync(cluster, partition: 0, leader: 2, expected);
            await AssertReadAsync(cluster, partition: 1, leader: 3, expected);
            await using var connection = await RawConnection.OpenAsync(cluster.Brokers.Last().BrokerPort!.Value);
            Assert.Equal(0, (await ClusterClient.CreateTopicAsync(connection, "made-by-ottla", 8000)).Error);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The voters in the log are reached on the ports of the proxy that recorded Kafka's nodes: the nodes listen there.</summary>
    private static (int Id, int BrokerPort, int ControllerPort, string Folder) Unpacked(int id, string folder)
    {
        var node = Directory.CreateDirectory(Path.Combine(folder, $"node{id}")).FullName;
        Directory.Move(Path.Combine(folder, $"n{id}"), Path.Combine(node, "data"));
        return (id, BrokerProcess.FindFreePort(), 31501 + (10 * id), node);
    }

    /// <summary>The records of a partition of one replica are served by the node that has them.</summary>
    private static async Task AssertReadAsync(LocalCluster cluster, int partition, int leader, string[] expected)
    {
        var first = Array.FindIndex(expected, line =>
            line.StartsWith(string.Create(CultureInfo.InvariantCulture, $"{{\"topic\":\"{Unreplicated}\""), StringComparison.Ordinal)
            && JsonDocument.Parse(line).RootElement.GetProperty("partition").GetInt32() == partition);
        var records = expected[(first + 1)..].Select(line => JsonDocument.Parse(line).RootElement)
            .TakeWhile(line => line.TryGetProperty("o", out _))
            .Select(line => (Offset: line.GetProperty("o").GetInt64(), Crc: line.GetProperty("crc").GetUInt32())).ToList();
        Assert.NotEmpty(records);
        await using var protocol = new TransactionProtocol(cluster.Nodes.Single(node => node.Id == leader).BrokerPort!.Value, "unused");
        var read = await protocol.FetchAsync(Unreplicated, new Dictionary<int, long> { [partition] = 0 });
        Assert.Equal(records, read.Select(record => (record.Offset, Crc32(record.Value))));
    }

    private static string Text(Guid id) =>
        Convert.ToBase64String(id.ToByteArray(bigEndian: true)).TrimEnd('=').Replace('+', '-').Replace('/', '_');

    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var one in bytes)
        {
            crc ^= one;
            for (var bit = 0; bit < 8; bit++)
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
        }

        return ~crc;
    }
}
