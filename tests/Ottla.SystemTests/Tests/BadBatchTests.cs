using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Tests;

/// <summary>Record batches that are wrong in one field each: refused with Kafka's error, and nothing of them is stored.</summary>
[Trait(Categories.Trait, Categories.Malformed)]
public sealed class BadBatchTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    private const short Produce = 0;
    private const short ListOffsets = 2;
    private const short CreateTopics = 19;

    private const short CorruptMessage = 2;
    private const short InvalidTimestamp = 32;
    private const short UnknownServerError = -1;
    private const short InvalidRecord = 87;

    private const int CodecNobodyKnows = 7;

    /// <summary>The batches by name.</summary>
    public static TheoryData<string> Names { get; } = [.. Batches.Keys];

    private static long Now => DateTimeOffset.UtcNow.ToUnixTimeMilliseconds();

    private static Dictionary<string, (BatchBuilder Batch, short[] Errors)> Batches => new()
    {
        ["bad CRC"] = (new BatchBuilder { TimestampMs = Now, CrcError = 1 }, [CorruptMessage]),
        ["more records claimed than there are"] = (
            new BatchBuilder { TimestampMs = Now, RecordCount = 4, LastOffsetDelta = 3 }, [InvalidRecord, CorruptMessage]),
        ["fewer records claimed than there are"] = (
            new BatchBuilder { TimestampMs = Now, RecordCount = 2, LastOffsetDelta = 1 }, [InvalidRecord, CorruptMessage]),
        ["2^31-1 records claimed"] = (
            new BatchBuilder { TimestampMs = Now, RecordCount = int.MaxValue, LastOffsetDelta = int.MaxValue - 1 },
                [InvalidRecord, CorruptMessage]),
        ["count and last offset disagree"] = (new BatchBuilder { TimestampMs = Now, LastOffsetDelta = 7 }, [InvalidRecord]),
        ["negative count"] = (new BatchBuilder { TimestampMs = Now, RecordCount = -1 }, [InvalidRecord]),
        ["no record"] = (new BatchBuilder { TimestampMs = Now, Records = 0 }, [InvalidRecord]),
        ["record longer than the batch"] = (
            new BatchBuilder { TimestampMs = Now, RecordLengthError = 10 }, [InvalidRecord, CorruptMessage]),
        ["record shorter than it is"] = (new BatchBuilder { TimestampMs = Now, RecordLengthError = -2 }, [InvalidRecord, CorruptMessage]),
        ["batch longer than what came"] = (new BatchBuilder { TimestampMs = Now, LengthError = 100 }, [InvalidRecord, CorruptMessage]),
        ["batch of 2 GB"] = (new BatchBuilder { TimestampMs = Now, LengthError = 2_000_000_000 }, [InvalidRecord, CorruptMessage]),
        ["batch shorter than its header"] = (new BatchBuilder { TimestampMs = Now, LengthError = -60 }, [InvalidRecord, CorruptMessage]),
        ["magic 1"] = (new BatchBuilder { TimestampMs = Now, Magic = 1 }, [InvalidRecord, CorruptMessage]),
        ["magic 9"] = (new BatchBuilder { TimestampMs = Now, Magic = 9 }, [InvalidRecord, CorruptMessage]),
        ["unknown codec"] = (new BatchBuilder { TimestampMs = Now, Attributes = CodecNobodyKnows, Payload = [1, 2, 3] },
            [UnknownServerError]),
        ["two hours in the future"] = (new BatchBuilder { TimestampMs = Now + 7_200_000 }, [InvalidTimestamp]),
    };

    [Theory]
    [MemberData(nameof(Names))]
    public async Task IsRefusedAndNotStored(string name)
    {
        var (batch, errors) = Batches[name];
        var topic = BrokerFixture.NewTopicName("bad-batch");
        await using var connection = await RawConnection.OpenAsync(fixture.Broker.Port);
        await CreateTopicAsync(connection, topic);

        Assert.Contains(await ProduceAsync(connection, topic, batch.Build()), errors);
        Assert.Equal(0, await LatestOffsetAsync(connection, topic));

        // The builder's batches are good but for the one field, and the connection is as good as before.
        Assert.Equal(0, await ProduceAsync(connection, topic, new BatchBuilder { TimestampMs = Now }.Build()));
        Assert.Equal(3, await LatestOffsetAsync(connection, topic));
    }

    private static async Task CreateTopicAsync(RawConnection connection, string topic)
    {
        var body = new WireWriter().Int32(1).String(topic).Int32(1).Int16(1).Int32(0).Int32(0).Int32(10_000).Int8(0).ToArray();
        var response = await connection.RequestAsync(CreateTopics, 4, body);
        response.Int32(); // throttle time
        Assert.Equal(1, response.Int32());
        Assert.Equal(topic, response.String());
        Assert.Equal(0, response.Int16());
    }

    // Returns the partition's error code.
    private static async Task<short> ProduceAsync(RawConnection connection, string topic, byte[] records)
    {
        var body = new WireWriter().String(null).Int16(-1).Int32(10_000).Int32(1).String(topic).Int32(1).Int32(0).Bytes(records).ToArray();
        var response = await connection.RequestAsync(Produce, 7, body);
        Assert.Equal(1, response.Int32());
        Assert.Equal(topic, response.String());
        Assert.Equal(1, response.Int32());
        Assert.Equal(0, response.Int32()); // partition
        return response.Int16();
    }

    private static async Task<long> LatestOffsetAsync(RawConnection connection, string topic)
    {
        const long latest = -1;
        var body = new WireWriter().Int32(-1).Int32(1).String(topic).Int32(1).Int32(0).Int64(latest).ToArray();
        var response = await connection.RequestAsync(ListOffsets, 1, body);
        Assert.Equal(1, response.Int32());
        Assert.Equal(topic, response.String());
        Assert.Equal(1, response.Int32());
        Assert.Equal(0, response.Int32()); // partition
        Assert.Equal(0, response.Int16());
        response.Int64(); // timestamp
        return response.Int64();
    }
}
