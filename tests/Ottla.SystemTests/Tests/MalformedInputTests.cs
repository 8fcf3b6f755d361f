using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Tests;

/// <summary>
/// Bytes that no client would send: the connection ends, and nothing else. Afterwards the broker answers others,
/// and holds hardly more memory than before, however much the bytes claimed to be.
/// </summary>
[Trait(Categories.Trait, Categories.Malformed)]
public sealed class MalformedInputTests(BrokerFixture fixture) : IClassFixture<BrokerFixture>
{
    private const int Repetitions = 50;
    private const int RandomRounds = 300;
    private const int RandomBytesMax = 2000;
    private const int Seed = 20261125;
    private const long ResidentGrowthBytesMax = 64L * 1024 * 1024;

    private const short Produce = 0;
    private const short Fetch = 1;
    private const short Metadata = 3;
    private const short ApiVersions = 18;
    private const short UnsupportedVersion = 35;

    /// <summary>Frames that the broker must refuse by closing, by name.</summary>
    public static TheoryData<string> RefusedFrames { get; } = [.. Frames.Keys];

    private static Dictionary<string, byte[]> Frames => new()
    {
        ["length -1"] = new WireWriter().Int32(-1).ToArray(),
        ["lowest length"] = new WireWriter().Int32(int.MinValue).ToArray(),
        ["length of 2 GB"] = new WireWriter().Int32(int.MaxValue).ToArray(),
        ["length above socket.request.max.bytes"] = new WireWriter().Int32(104_857_601).ToArray(),
        ["length 0"] = new WireWriter().Int32(0).ToArray(),
        ["frame shorter than a header"] = new WireWriter().Bytes([0, 3, 0]).ToArray(),
        ["header ends before the client id"] = new WireWriter().Bytes([0, 3, 0, 1, 0, 0, 0, 1]).ToArray(),
        ["client id longer than the frame"] = new WireWriter().Bytes([0, 3, 0, 1, 0, 0, 0, 1, 0x7f, 0xff, 65]).ToArray(),
        ["client id with a negative length"] = new WireWriter().Bytes([0, 3, 0, 1, 0, 0, 0, 1, 0x80, 0, 65]).ToArray(),
        ["Metadata with 2^31-1 topics"] = RawConnection.Frame(Metadata, 1, 1, new WireWriter().Int32(int.MaxValue).ToArray()),
        ["Metadata with a topic name that does not end"] = RawConnection.Frame(
            Metadata, 1, 1, new WireWriter().Int32(1).Int16(32000).ToArray()),
        ["flexible Metadata with 2^32-2 topics"] = RawConnection.Frame(
            Metadata, 12, 1, new WireWriter().Int8(0).UnsignedVarint(uint.MaxValue).ToArray()),
        ["varint without an end"] = RawConnection.Frame(Metadata, 12, 1, [0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ["header with a tagged field longer than the frame"] =
            RawConnection.Frame(
                Metadata, 12, 1, new WireWriter().UnsignedVarint(1).UnsignedVarint(0).UnsignedVarint(int.MaxValue).ToArray()),
        ["header with 2^32-1 tagged fields"] = RawConnection.Frame(
            Metadata, 12, 1, new WireWriter().UnsignedVarint(uint.MaxValue).ToArray()),
        ["Produce with 2^31-1 topics"] =
            RawConnection.Frame(Produce, 7, 1, new WireWriter().String(null).Int16(-1).Int32(1000).Int32(int.MaxValue).ToArray()),
        ["Produce with 2^31-1 partitions"] =
            RawConnection.Frame(
                Produce, 7, 1, new WireWriter().String(null).Int16(-1).Int32(1000).Int32(1).String("t").Int32(int.MaxValue).ToArray()),
        ["Produce with records of 2 GB"] =
            RawConnection.Frame(
                Produce, 7, 1, new WireWriter().String(null).Int16(-1).Int32(1000).Int32(1).String("t").Int32(1).Int32(0)
                .Int32(int.MaxValue).ToArray()),
        ["Fetch with 2^31-1 topics"] =
            RawConnection.Frame(
                Fetch, 11, 1,
                new WireWriter().Int32(-1).Int32(0).Int32(0).Int32(0).Int8(0).Int32(0).Int32(-1).Int32(int.MaxValue).ToArray()),
        ["unknown API key"] = RawConnection.Frame(9999, 0, 1, []),
        ["negative API key"] = RawConnection.Frame(-5, 0, 1, []),
        ["version that no broker has"] = RawConnection.Frame(Produce, 99, 1, []),
        ["negative version"] = RawConnection.Frame(Metadata, -1, 1, []),
        ["version that Kafka 4 removed"] = RawConnection.Frame(Produce, 2, 1, new WireWriter().Int16(-1).Int32(1000).Int32(0).ToArray()),
    };

    [Theory]
    [MemberData(nameof(RefusedFrames))]
    public async Task RefusedFrameEndsItsConnectionOnly(string name)
    {
        var frame = Frames[name];
        await using var bystander = await RawConnection.OpenAsync(fixture.Broker.Port);
        await bystander.ApiVersionsAsync();
        await WithoutMemoryGrowthAsync(async () =>
        {
            for (var repetition = 0; repetition < Repetitions; repetition++)
            {
                await using var connection = await RawConnection.OpenAsync(fixture.Broker.Port);
                await connection.SendAsync(frame);
                await connection.ExpectCloseAsync();
            }
        });
        await bystander.ApiVersionsAsync();
    }

    /// <summary>Every beginning of a good request, and then nothing: the connection ends with the sender's, without an answer.</summary>
    [Fact]
    public async Task TruncatedFramesAreDropped()
    {
        var good = RawConnection.Frame(Metadata, 1, 1, new WireWriter().Int32(1).String("truncated").ToArray());
        await WithoutMemoryGrowthAsync(async () =>
        {
            for (var length = 0; length < good.Length; length++)
            {
                await using var connection = await RawConnection.OpenAsync(fixture.Broker.Port);
                await connection.SendAsync(good.AsMemory(0, length));
                connection.FinishSending();
                Assert.Null(await connection.ReadFrameAsync());
            }
        });
    }

    /// <summary>Large frames announced and never sent hold no memory.</summary>
    [Fact]
    public async Task AnnouncedBytesAreNotAllocatedBeforeTheyCome()
    {
        const int announcedBytes = 100 * 1024 * 1024;
        await WithoutMemoryGrowthAsync(async () =>
        {
            var connections = new List<RawConnection>();
            try
            {
                for (var repetition = 0; repetition < Repetitions; repetition++)
                {
                    var connection = await RawConnection.OpenAsync(fixture.Broker.Port);
                    connections.Add(connection);
                    await connection.SendAsync(new WireWriter().Int32(announcedBytes).Int16(Produce).Int16(7).ToArray());
                }

                Assert.True(await fixture.Broker.AnswersAsync());
                Assert.InRange(fixture.Broker.ResidentBytes, 0, (long)announcedBytes * Repetitions / 4);
            }
            finally
            {
                foreach (var connection in connections)
                    await connection.DisposeAsync();
            }
        });
    }

    [Fact]
    public async Task RandomBytesDoNoHarm()
    {
        var random = new Random(Seed);
        await WithoutMemoryGrowthAsync(async () =>
        {
            for (var round = 0; round < RandomRounds; round++)
            {
                var bytes = new byte[random.Next(1, RandomBytesMax)];
                random.NextBytes(bytes);
                // Every other time behind a true length and a real API's key and version, so that the bytes get further in.
                var sent = round % 2 == 0 ? bytes : RawConnection.Frame((short)random.Next(0, 75), (short)random.Next(0, 8), round, bytes);
                await using var connection = await RawConnection.OpenAsync(fixture.Broker.Port);
                await connection.SendAsync(sent);
                connection.FinishSending();
                await connection.ExpectCloseAsync();
            }
        });
    }

    /// <summary>
    /// ApiVersions is the one request that may be newer than the broker: error 35 in version 0, and the connection lives.
    /// </summary>
    [Fact]
    public async Task NewerApiVersionsIsAnsweredInVersionZero()
    {
        await using var connection = await RawConnection.OpenAsync(fixture.Broker.Port);
        var response = await connection.RequestAsync(ApiVersions, 99, [0, 1, 2, 3]);
        Assert.Equal(UnsupportedVersion, response.Int16());
        var count = response.Int32();
        Assert.InRange(count, 1, 200);
        var keys = new List<short>();
        for (var index = 0; index < count; index++)
        {
            keys.Add(response.Int16());
            response.Int32();
        }

        Assert.Contains(ApiVersions, keys);
        Assert.Equal(0, response.Remaining);
        await connection.ApiVersionsAsync();
    }

    private async Task WithoutMemoryGrowthAsync(Func<Task> action)
    {
        var before = fixture.Broker.ResidentBytes;
        await action();
        Assert.True(await fixture.Broker.AnswersAsync(), fixture.Broker.Output);
        var limit = before + ResidentGrowthBytesMax;
        // What the broker allocated and dropped may take a moment to be given back.
        await Until.TrueAsync(
            $"the broker's {before} resident bytes grew by no more than {ResidentGrowthBytesMax}",
            RawConnection.OperationLimit,
            () => fixture.Broker.ResidentBytes <= limit);
    }
}
