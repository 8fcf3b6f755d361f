using System.IO.Compression;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Client;
using Ottla.Client.Cluster;
using Ottla.Client.Producing;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Batches.Compression;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Client;

/// <summary>Batches as the Java client writes them (tests/golden/client/batches.jsonl.gz): ours are the same bytes.</summary>
public sealed class GoldenBatchTests
{
    [Fact]
    public void A_producers_batches_are_those_of_the_Java_client()
    {
        var (same, decoded) = (0, 0);
        foreach (var line in Lines())
        {
            var bytes = Convert.FromHexString(line.GetProperty("hex").GetString()!);
            var input = line.GetProperty("input");
            if (!input.TryGetProperty("records", out var records) || records.GetArrayLength() == 0)
                continue;
            var view = new RecordBatchView(bytes);
            using (var reader = new RecordReader(bytes))
            {
                var expected = records.EnumerateArray().ToArray();
                for (var i = 0; reader.TryRead(out var record); i++)
                {
                    Assert.Equal(Hex(expected[i], "keyHex"), record.HasKey ? Convert.ToHexStringLower(record.Key) : null);
                    Assert.Equal(Hex(expected[i], "valueHex"), record.HasValue ? Convert.ToHexStringLower(record.Value) : null);
                }
            }

            decoded++;
            // What a producer never writes: offsets and epochs of leaders, append times, control records.
            if (view.BaseOffset != 0 || view.PartitionLeaderEpoch != -1 || view.TimestampType != TimestampType.CreateTime || view.IsControl)
                continue;
            var batch = Build(view, records, out var plain);
            Assert.True(view.Compression == CompressionType.None
                ? bytes.AsSpan().SequenceEqual(batch)
                : Convert.FromHexString(line.GetProperty("plainHex").GetString()!).AsSpan().SequenceEqual(plain), line.ToString());
            same++;
        }

        Assert.True(decoded >= 150, $"{decoded} batches were read");
        Assert.True(same >= 40, $"{same} batches were written");
    }

    private static string? Hex(JsonElement record, string name) => record.GetProperty(name).GetString();

    private static byte[] Build(RecordBatchView like, JsonElement records, out byte[] plain)
    {
        var options = new ProducerOptions { Compression = like.Compression, BatchBytes = int.MaxValue / 4 };
        var context = new ProducerContext(options, new MemoryLimit(long.MaxValue), new BufferPool(), new TestClock(), NullLogger.Instance);
        var image = new TopicImage("t", Uuid.Zero, false, [new PartitionImage(0, 1, 0, [], [], [], ErrorCode.None)], ErrorCode.None);
        var batch = new ProducerBatch(new TopicQueues(context, image, () => 0).Queues[0], new Instant(0));
        foreach (var record in records.EnumerateArray())
        {
            var timestamp = record.GetProperty("timestamp").GetInt64();
            byte[]? key = Hex(record, "keyHex") is { } k ? Convert.FromHexString(k) : null;
            byte[]? value = Hex(record, "valueHex") is { } v ? Convert.FromHexString(v) : null;
            RecordHeader[] headers = !record.TryGetProperty("headers", out var given) ? []
                : [.. given.EnumerateArray().Select(header => new RecordHeader(
                    header[0].GetString()!, header[1].GetString() is { } hex ? Convert.FromHexString(hex) : null))];
            var takenBytes = 0L;
            var bytes = batch.SizeOf(timestamp, key, value, headers, out var bodyBytes);
            Assert.Equal(0, batch.Reserve(bytes, ref takenBytes));
            batch.Append(bytes, bodyBytes, timestamp, key, value, headers, new RecordCallback());
        }

        if (like.ProducerId >= 0)
            batch.Producer = new ProducerIdAndEpoch(like.ProducerId, like.ProducerEpoch);
        batch.Sequence = like.BaseSequence;
        batch.Seal();
        batch.Stamp(like.IsTransactional);
        var written = batch.Wire.ToArray();
        plain = [];
        if (like.Compression != CompressionType.None)
        {
            using var decoder = CompressionCodecs.For(like.Compression).OpenDecoder(written.AsMemory(RecordBatchLayout.HeaderSizeBytes));
            plain = new byte[batch.Length - RecordBatchLayout.HeaderSizeBytes];
            for (var filled = 0; filled < plain.Length;)
                filled += decoder.Read(plain.AsSpan(filled));
        }

        return written;
    }

    private static IEnumerable<JsonElement> Lines()
    {
        using var file = new GZipStream(File.OpenRead(GoldenData.Path("client/batches.jsonl.gz")), CompressionMode.Decompress);
        using var reader = new StreamReader(file);
        while (reader.ReadLine() is { } line)
            yield return JsonDocument.Parse(line).RootElement;
    }
}
