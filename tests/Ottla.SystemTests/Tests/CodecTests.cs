using System.Text;
using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Tests;

/// <summary>The broker compresses and expands by itself with every codec, also where there is nothing but its executable.</summary>
[Trait(Categories.Trait, Categories.Process)]
public sealed class CodecTests
{
    private const short Produce = 0;
    private const short Fetch = 1;
    private const short CreateTopics = 19;
    private const int Records = 1000;

    private static readonly string[] s_codecs = ["none", "gzip", "snappy", "lz4", "zstd"]; // by their number in a batch's attributes

    [Fact]
    public async Task EveryCodecIsServed()
    {
        await using var broker = await BrokerProcess.StartAsync();
        await CompressAndExpandAsync(broker);
    }

    [StaticExecutableFact]
    public async Task EveryCodecIsServedFromAnEmptyRoot()
    {
        var root = StaticExecutable.MakeRoot();
        try
        {
            var settings = new Dictionary<string, string> { ["log.dirs"] = "/data" };
            await using (var broker = await BrokerProcess.StartAsync(settings, conditions: new ProcessConditions(Root: root)))
            {
                await CompressAndExpandAsync(broker);
                Assert.Equal(0, await broker.TerminateAsync());
            }

            var entries = Directory.EnumerateFileSystemEntries(root).Select(Path.GetFileName).Order();
            Assert.Equal(["data", Path.GetFileName(StaticExecutable.File)], entries);
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    /// <summary>What the topic's codec compressed is sent again to a topic whose records are not compressed.</summary>
    private static async Task CompressAndExpandAsync(BrokerProcess broker)
    {
        await using var connection = await RawConnection.OpenAsync(broker.Port);
        var batch = new BatchBuilder { TimestampMs = 1_700_000_000_000, Records = Records, Value = Value }.Build();
        await CreateTopicAsync(connection, "plain", "uncompressed");
        for (var codec = 0; codec < s_codecs.Length; codec++)
        {
            var name = s_codecs[codec];
            await CreateTopicAsync(connection, name, name == "none" ? "uncompressed" : name);
            await ProduceAsync(connection, name, batch);
            var compressed = await FetchAsync(connection, name, 0);
            const int attributesOffset = 22;
            Assert.Equal(codec, compressed[attributesOffset] & 7);
            Assert.True(codec == 0 || compressed.Length < batch.Length / 2, $"{name}: {compressed.Length} of {batch.Length} bytes");

            await ProduceAsync(connection, "plain", compressed);
            var records = RecordBatchReader.Read(await FetchAsync(connection, "plain", codec * Records));
            Assert.Equal(Enumerable.Range(0, Records).Select(Value), records.Select(record => record.Value));
        }
    }

    private static byte[] Value(int index) => Encoding.UTF8.GetBytes($"the value of record {index}, again and again and again");

    private static async Task CreateTopicAsync(RawConnection connection, string name, string compression)
    {
        var body = new WireWriter()
            .Int32(1).String(name).Int32(1).Int16(1).Int32(0).Int32(1).String("compression.type").String(compression).Int32(30_000).Int8(0);
        var response = await connection.RequestAsync(CreateTopics, 2, body.ToArray());
        Assert.Equal(0, response.Int32()); // throttle time
        Assert.Equal(1, response.Int32());
        response.String();
        Assert.Equal(0, response.Int16());
    }

    private static async Task ProduceAsync(RawConnection connection, string topic, byte[] batch)
    {
        var body = new WireWriter().String(null).Int16(-1).Int32(30_000).Int32(1).String(topic).Int32(1).Int32(0).Bytes(batch);
        var response = await connection.RequestAsync(Produce, 7, body.ToArray());
        Assert.Equal(1, response.Int32());
        response.String();
        Assert.Equal(1, response.Int32());
        Assert.Equal(0, response.Int32());
        Assert.Equal(0, response.Int16());
    }

    private static async Task<byte[]> FetchAsync(RawConnection connection, string topic, long offset)
    {
        var body = new WireWriter().Int32(-1).Int32(1000).Int32(1).Int32(1 << 20).Int8(0).Int32(0).Int32(-1) // no session
            .Int32(1).String(topic).Int32(1).Int32(0).Int32(-1).Int64(offset).Int64(-1).Int32(1 << 20).Int32(0);
        var response = await connection.RequestAsync(Fetch, 10, body.ToArray()); // the first that may bring zstd
        Assert.Equal(0, response.Int32()); // throttle time
        Assert.Equal(0, response.Int16());
        response.Int32(); // session
        Assert.Equal(1, response.Int32());
        response.String();
        Assert.Equal(1, response.Int32());
        Assert.Equal(0, response.Int32());
        Assert.Equal(0, response.Int16());
        response.Int64(); // high watermark
        response.Int64(); // last stable offset
        response.Int64(); // log start offset
        Assert.InRange(response.Int32(), -1, 0); // aborted transactions
        return response.Bytes(response.Int32());
    }
}
