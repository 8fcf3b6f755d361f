using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.UnitTests.Raft;

/// <summary>The metadata log, snapshots and quorum-state as Kafka wrote them: read, and written again byte for byte.</summary>
public sealed partial class MetadataGoldenTests
{
    private static readonly string Directory = Path.Combine(GoldenData.CleanDirectory, "__cluster_metadata-0");

    public static TheoryData<string> Files => [
        .. System.IO.Directory.GetFiles(Directory).Select(path => Path.GetFileName(path)!)
        .Where(name => name.EndsWith(".log", StringComparison.Ordinal) || name.EndsWith(".checkpoint", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Files))]
    public void Batches_AreReadAsKafkaDumpsThem_AndWrittenAgainByteForByte(string name)
    {
        ReadOnlyMemory<byte> file = File.ReadAllBytes(Path.Combine(Directory, name));
        var read = new List<string>();
        while (!file.IsEmpty)
        {
            var batch = MetadataBatch.Decode(file);
            var size = new RecordBatchView(file.Span).SizeInBytes;
            var rewritten = batch.ControlRecords.Count > 0
                ? MetadataBatch.EncodeControl(
                    batch.BaseOffset, batch.Epoch, batch.AppendTimestampMs,
                    batch.ControlRecords.Select(record => (record.Type, record.Message)).ToArray())
                : MetadataBatch.Encode(batch.BaseOffset, batch.Epoch, batch.AppendTimestampMs, batch.Records);
            Assert.Equal(file[..size].ToArray(), rewritten);
            read.AddRange(Lines(batch));
            file = file[size..];
        }

        Assert.Equal(Dumped(name), read);
        Assert.NotEmpty(read);
    }

    [Theory]
    [InlineData("00000000000000000000-0000000000.checkpoint", 0, 0)]
    [InlineData("00000000000000000178-0000000002.checkpoint", 2, 73)]
    public void Snapshot_IsReadAndBuiltAgain(string name, int epoch, int records)
    {
        var file = File.ReadAllBytes(Path.Combine(Directory, name));
        var snapshot = SnapshotReader.Read(file);
        Assert.Equal(records, snapshot.Records.Count);
        Assert.Equal(1, snapshot.KRaftVersion);
        Assert.Equal(29093, snapshot.Voters!.Voters[0].Endpoints[0].Port);

        var built = SnapshotBuilder.Build(
            epoch, snapshot.LastContainedLogTimestampMs, snapshot.KRaftVersion, snapshot.Voters, 1, snapshot.Records)
                .SelectMany(batch => batch).ToArray();
        // Kafka takes the time anew for each batch; nothing else differs.
        Assert.Equal(WithoutTimes(file), WithoutTimes(built));
    }

    [Fact]
    public void Snapshot_ThatIsNotWholeOrNotASnapshot_IsRefused()
    {
        var file = File.ReadAllBytes(Path.Combine(Directory, "00000000000000000178-0000000002.checkpoint"));
        for (var length = 0; length < file.Length; length += 7)
            Assert.ThrowsAny<ProtocolException>(() => SnapshotReader.Read(file.AsMemory(0, length)));
        var prng = new Prng(1);
        for (var i = 0; i < 300; i++)
        {
            var broken = file.ToArray();
            broken[prng.NextInt(broken.Length)] ^= (byte)(1 << prng.NextInt(8));
            try
            {
                // Only the base offset and the epoch lie outside the checksum; a changed offset leaves a gap.
                SnapshotReader.Read(broken);
            }
            catch (ProtocolException)
            {
                continue;
            }

            Assert.Equal(1, broken.Zip(file).Count(pair => pair.First != pair.Second));
        }

        Assert.ThrowsAny<ProtocolException>(
            () => SnapshotReader.Read(File.ReadAllBytes(Path.Combine(Directory, "00000000000000000000.log"))));
    }

    [Fact]
    public void BatchesOfASnapshot_AreCutBeforeTheyGrowTooLarge()
    {
        var records = Enumerable.Range(0, 1000)
            .Select(i => new MetadataRecord(new TopicRecord { Name = $"topic-{i}", TopicId = new Uuid(1, (ulong)i) }, 0)).ToArray();
        var batches = SnapshotBuilder.Build(3, 5, 0, null, 7, records, batchSizeBytesMax: 4096).ToList();
        Assert.True(batches.Count > 8);
        Assert.All(batches, batch => Assert.InRange(batch.Length, 1, 4096));
        var snapshot = SnapshotReader.Read(batches.SelectMany(batch => batch).ToArray());
        Assert.Equal(
            records.Select(record => ((TopicRecord)record.Message).Name),
            snapshot.Records.Select(record => ((TopicRecord)record.Message).Name));
        Assert.Equal((5L, (short)0), (snapshot.LastContainedLogTimestampMs, snapshot.KRaftVersion));
    }

    [Fact]
    public void QuorumState_IsReadAndWrittenAgainByteForByte()
    {
        var golden = File.ReadAllBytes(Path.Combine(Directory, "quorum-state"));
        var state = QuorumStateFile.Parse(golden, out var version);
        Assert.Equal((1, 1, 2, -1), (version, state.LeaderId, state.LeaderEpoch, state.VotedId));
        Assert.Equal(golden, QuorumStateFile.Format(state, version));
    }

    [Fact]
    public void QuorumState_OfStaticVoters_IsVersion0()
    {
        const string line = """{"clusterId":"","leaderId":-1,"leaderEpoch":7,"votedId":2,"appliedOffset":0,"currentVoters":[{"voterId":1},{"voterId":2}],"data_version":0}""";
        var state = QuorumStateFile.Parse(Encoding.UTF8.GetBytes(line), out var version);
        Assert.Equal((0, 7, 2, 2), (version, state.LeaderEpoch, state.VotedId, state.CurrentVoters!.Length));
        Assert.Equal(line, Encoding.UTF8.GetString(QuorumStateFile.Format(state, 0)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"leaderId":1""")]
    [InlineData("""{"leaderId":"one","data_version":1}""")]
    [InlineData("""{"leaderId":99999999999,"data_version":1}""")]
    [InlineData("""{"votedDirectoryId":"?","data_version":1}""")]
    [InlineData("""{"currentVoters":7,"data_version":0}""")]
    [InlineData("""{"leaderId":1,"data_version":2}""")]
    public void QuorumState_OfGarbage_IsRefused(string text) =>
        Assert.ThrowsAny<ProtocolException>(() => QuorumStateFile.Parse(Encoding.UTF8.GetBytes(text), out _));

    [Fact]
    public void MetadataRecord_OfGarbage_IsRefused()
    {
        Assert.ThrowsAny<ProtocolException>(() => MetadataRecordSerde.Decode([0, 2, 0]));
        Assert.ThrowsAny<ProtocolException>(() => MetadataRecordSerde.Decode([1, 6, 0])); // no such type
        Assert.ThrowsAny<ProtocolException>(() => MetadataRecordSerde.Decode([1, 2, 9])); // no such version
        Assert.ThrowsAny<ProtocolException>(() => MetadataRecordSerde.Decode([1, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0]));
        var good = MetadataRecordSerde.Encode(new MetadataRecord(new TopicRecord { Name = "t" }, 0));
        Assert.ThrowsAny<ProtocolException>(() => MetadataRecordSerde.Decode([.. good, 0]));
        for (var length = 0; length < good.Length; length++)
            Assert.ThrowsAny<ProtocolException>(() => MetadataRecordSerde.Decode(good.AsSpan(0, length)));
        var prng = new Prng(5);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = new byte[prng.NextInt(1, 40)];
            prng.NextBytes(bytes);
            (bytes[0], bytes[bytes.Length / 2]) = (1, (byte)prng.NextInt(30));
            try
            {
                MetadataRecordSerde.Decode(bytes);
            }
            catch (ProtocolException)
            {
                // The only exception that garbage may cause.
            }
        }
    }

    /// <summary>The dump's record lines for the first <paramref name="count"/> records: offset, timestamp and type.</summary>
    internal static List<string> Dumped(string name, int count = int.MaxValue)
    {
        var lines = new List<string>();
        foreach (var line in File.ReadLines(GoldenData.Path(Path.Combine("dump", $"metadata-{name}.txt"))))
        {
            var match = RecordLine().Match(line);
            if (match.Success && lines.Count < count)
            {
                var type = match.Groups["payload"].Success ? $"{match.Groups["payload"].Value} v{match.Groups["version"].Value}"
                    : match.Groups["control"].Value;
                lines.Add($"{match.Groups["offset"].Value} {match.Groups["time"].Value} {type}");
            }
        }

        return lines;
    }

    internal static IEnumerable<string> Lines(MetadataBatch batch) =>
        batch.ControlRecords.Select(
            record => string.Create(CultureInfo.InvariantCulture, $"{record.Offset} {batch.AppendTimestampMs} {record.Type}"))
            .Concat(batch.Records.Select(
                (record, i) => string.Create(
                    CultureInfo.InvariantCulture,
                    $"{batch.BaseOffset + i} {batch.AppendTimestampMs} {UpperSnake(record.Message.GetType().Name)} v{record.Version}")));

    private static string UpperSnake(string name) => Hump().Replace(name, "_$0").ToUpperInvariant();

    private static byte[] WithoutTimes(byte[] file)
    {
        var bytes = file.ToArray();
        for (var rest = bytes.AsSpan(); !rest.IsEmpty;)
        {
            rest[RecordBatchLayout.CrcOffset..(RecordBatchLayout.CrcOffset + 4)].Clear();
            rest[RecordBatchLayout.BaseTimestampOffset..(RecordBatchLayout.MaxTimestampOffset + 8)].Clear();
            rest = rest[new RecordBatchView(rest).SizeInBytes..];
        }

        return bytes;
    }

    [GeneratedRegex("""^\| offset: (?<offset>\d+) CreateTime: (?<time>\d+) .*headerKeys: \[\] (payload: \{"type":"(?<payload>\w+)","version":(?<version>\d+)|(?<control>\w+))""")]
    private static partial Regex RecordLine();

    [GeneratedRegex("(?<!^)[A-Z]")]
    private static partial Regex Hump();
}
