using Ottla.Kernel;
using Ottla.Storage.Files;
using Ottla.Storage.Inspection;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Storage.Inspection;

/// <summary><c>ottla log verify</c>: what Kafka left is clean, and whatever is broken in it is found and named with its place.</summary>
public sealed class LogVerifierTests
{
    private const string FirstLog = "00000000000000000000.log";
    private const string SecondBatchOfZstd = "codec-zstd-0/" + FirstLog; // position 3122, offsets 100 to 199

    /// <summary>What is broken, how, and where it must be found.</summary>
    public static TheoryData<string, Action<string>, string, long?, long?, string> Corruptions() => new()
    {
        { "a bit of a batch flips", root => Flip(root, SecondBatchOfZstd, 3122 + 70), SecondBatchOfZstd, 3122, null,
            "does not match its checksum" },
        { "a length grows", root => Flip(root, SecondBatchOfZstd, 3122 + 8), SecondBatchOfZstd, 3122, null, "there is no valid batch" },
        { "the file is cut", root => Cut(root, SecondBatchOfZstd, 10), SecondBatchOfZstd, 12466, null, "there is no valid batch" },
        { "an offset index entry has another position", root => Flip(root, "codec-zstd-0/00000000000000000000.index", 7),
            "codec-zstd-0/00000000000000000000.index", 0, 199, "where no batch begins" },
        { "an offset index entry has another offset", root => Flip(root, "codec-zstd-0/00000000000000000000.index", 3),
            "codec-zstd-0/00000000000000000000.index", 0, null, "whose batch ends at offset 199" },
        { "the offset index is cut", root => Cut(root, "codec-zstd-0/00000000000000000000.index", 3),
            "codec-zstd-0/00000000000000000000.index", 24, null, "not a multiple" },
        { "a time index entry has another time", root => Flip(root, "codec-zstd-0/00000000000000000000.timeindex", 7),
            "codec-zstd-0/00000000000000000000.timeindex", 0, 199, "is wrong" },
        { "a transaction index entry has another producer", root => Flip(root, "txn-0/00000000000000000020.txnindex", 34 + 9),
            "txn-0/00000000000000000020.txnindex", 34, 125, "the log implies" },
        { "the transaction index is gone", root => Delete(root, "txn-0/00000000000000000020.txnindex"),
            "txn-0/00000000000000000020.txnindex", null, 62, "is missing" },
        { "a producer snapshot is broken", root => Flip(root, "txn-0/00000000000000000141.snapshot", 30),
            "txn-0/00000000000000000141.snapshot", null, 141, "checksum" },
        { "a producer snapshot is another's", root => Copy(
            root, "partitions-0/00000000000000000100.snapshot", "txn-0/00000000000000000141.snapshot"),
                "txn-0/00000000000000000141.snapshot", null, 141, "but the log before offset 141 does not have it" },
        { "a segment is missing", root => Delete(root, "trimmed-0/00000000000000005100.log"), "trimmed-0/00000000000000010200.log", null,
            5100, "are missing" },
        { "segments are swapped", root => Swap(root, "trimmed-0/00000000000000005100.log", "trimmed-0/00000000000000010200.log"),
            "trimmed-0/00000000000000010200.log", 0, 5100, "does not belong in the segment" },
        { "leader epochs go backwards", root => Write(root, "txn-0/leader-epoch-checkpoint", "0\n2\n3 0\n2 50\n"),
            "txn-0/leader-epoch-checkpoint", null, 50, "must have a greater epoch" },
        { "a leader epoch is not the log's", root => Write(root, "txn-0/leader-epoch-checkpoint", "0\n1\n7 0\n"),
            "txn-0/leader-epoch-checkpoint", null, 0, "the log gives it epoch 0" },
        { "a leader epoch starts behind the end", root => Write(root, "txn-0/leader-epoch-checkpoint", "0\n2\n0 0\n1 5000\n"),
            "txn-0/leader-epoch-checkpoint", null, 5000, "past the log's end, 141" },
        { "a recovery point is behind the end", root => Write(root, "recovery-point-offset-checkpoint", "0\n1\ntxn 0 142\n"),
            "recovery-point-offset-checkpoint", null, 142, "past the log's end, 141" },
        { "a high watermark is behind the end", root => Write(root, "replication-offset-checkpoint", "0\n1\ntxn 0 142\n"),
            "replication-offset-checkpoint", null, 142, "past the log's end, 141" },
        { "a log start offset is behind the end", root => Write(root, "log-start-offset-checkpoint", "0\n1\ntxn 0 142\n"),
            "log-start-offset-checkpoint", null, 142, "past the log's end, 141" },
        { "a checkpoint has too few lines", root => Write(root, "recovery-point-offset-checkpoint", "0\n2\ntxn 0 1\n"),
            "recovery-point-offset-checkpoint", null, null, "claims 2 entries" },
        { "meta.properties is gone", root => Delete(root, "meta.properties"), "meta.properties", null, null, "missing" },
        { "partition.metadata is malformed", root => Write(root, "txn-0/partition.metadata", "version: 9\n"), "txn-0/partition.metadata",
            null, null, "malformed" },
        { "a partition has another topic's id", root => Copy(root, "txn-0/partition.metadata", "partitions-2/partition.metadata"),
            "partitions-2/partition.metadata", null, null, "but another partition of the topic has" },
        { "a metadata snapshot is cut", root => Cut(root, "__cluster_metadata-0/00000000000000000178-0000000002.checkpoint", 20),
            "__cluster_metadata-0/00000000000000000178-0000000002.checkpoint", null, null, "there is no valid batch" },
    };

    [Theory]
    [MemberData(nameof(Corruptions))]
    public void FindsWhatIsBrokenAndSaysWhere(
        string what, Action<string> corrupt, string file, long? position, long? offset, string problem)
    {
        var root = GoldenData.CleanCopy();
        corrupt(root);
        var findings = Verify(root);
        Assert.True(
            findings.Any(finding => finding.Severity == FindingSeverity.Error && finding.File == Path.Combine(root, file)
                && (position is null || finding.Position == position) && (offset is null || finding.Offset == offset)
                && finding.Problem.Contains(problem, StringComparison.Ordinal)),
            $"{what}: not found in\n{string.Join('\n', findings)}");
    }

    [Theory]
    [InlineData("txn-0/00000000000000000000.log.deleted", "left this")]
    [InlineData("txn-0/00000000000000000000.log.swap", "left this")]
    [InlineData("txn-0/00000000000000000000.log.cleaned", "left this")]
    [InlineData("txn-0/leader-epoch-checkpoint.tmp", "left this")]
    [InlineData("txn-0/00000000000000000077.index", "the index has no segment")]
    [InlineData("txn-0/holiday.jpg", "does not belong to a log")]
    [InlineData("holiday.jpg", "does not belong in a log directory")]
    [InlineData("recovery-point-offset-checkpoint.tmp", "left this")]
    public void WarnsOfFilesThatDoNotBelong(string file, string problem)
    {
        var root = GoldenData.CleanCopy();
        Write(root, file, "");
        var finding = Assert.Single(Verify(root));
        Assert.Equal((FindingSeverity.Warning, Path.Combine(root, file)), (finding.Severity, finding.File));
        Assert.Contains(problem, finding.Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatKafkaClosedInOrderIsClean() => Assert.Empty(Verify(GoldenData.CleanDirectory));

    [Fact]
    public void AKilledBrokerLeavesOnlyWhatThatExplains()
    {
        var findings = Verify(GoldenData.UncleanCopy());
        Assert.Contains(findings, finding => finding.Problem.Contains("did not shut down cleanly", StringComparison.Ordinal));
        Assert.Contains(findings, finding => finding.Problem.Contains("preallocated and unused", StringComparison.Ordinal));
        Assert.True(findings.All(finding => finding.Severity == FindingSeverity.Info), string.Join('\n', findings));
    }

    [Fact]
    public void APartitionCanBeCheckedAlone()
    {
        var root = GoldenData.CleanCopy();
        Flip(root, SecondBatchOfZstd, 3122 + 70);
        Assert.NotEmpty(Verify(Path.Combine(root, "codec-zstd-0")));
        Assert.Empty(Verify(Path.Combine(root, "codec-lz4-0")));
    }

    [Fact]
    public void WhatCannotBeReadIsAFindingAndTheRestIsChecked()
    {
        var root = GoldenData.CleanCopy();
        Delete(root, "codec-gzip-0/" + FirstLog);
        File.CreateSymbolicLink(Path.Combine(root, "codec-gzip-0", FirstLog), Path.Combine(root, "nowhere"));
        Flip(root, SecondBatchOfZstd, 3122 + 70);
        var findings = new List<LogFinding>();
        new LogVerifier(new RealFileSystem(), findings.Add).Verify(root);
        Assert.Contains(
            findings, finding => finding.Severity == FindingSeverity.Error && finding.File == Path.Combine(root, "codec-gzip-0")
            && finding.Problem.StartsWith("a part cannot be read", StringComparison.Ordinal));
        Assert.Contains(findings, finding => finding.File == Path.Combine(root, SecondBatchOfZstd));
    }

    [Fact]
    public void ALogThatIsBeingMovedCanBeCheckedAlone()
    {
        var root = GoldenData.CleanCopy();
        var future = Path.Combine(root, LogFileNames.FutureDirectory(new TopicPartition("codec-zstd", 0), new Uuid(1, 2)));
        Directory.Move(Path.Combine(root, "codec-zstd-0"), future);
        Assert.Empty(Verify(future));
    }

    [Fact]
    public void WarnsWhenABrokerRuns()
    {
        var root = GoldenData.CleanCopy();
        var disk = new RealFileSystem();
        using var held = disk.TryLock(Path.Combine(root, ".lock"));
        Assert.NotNull(held);
        var finding = Assert.Single(Verify(root));
        Assert.Contains("a running broker", finding.Problem, StringComparison.Ordinal);
    }

    private static List<LogFinding> Verify(string directory)
    {
        var before = Contents(directory);
        var findings = new List<LogFinding>();
        new LogVerifier(new RealFileSystem(), findings.Add).Verify(directory);
        Assert.Equal(before, Contents(directory));
        return findings;
    }

    private static List<(string, long, DateTime)> Contents(string directory) =>
        [.. new DirectoryInfo(directory).EnumerateFiles("*", SearchOption.AllDirectories)
            .Select(file => (file.FullName, file.Length, file.LastWriteTimeUtc)).Order()];

    private static void Flip(string root, string file, int position)
    {
        var bytes = File.ReadAllBytes(Path.Combine(root, file));
        bytes[position] ^= 0x40;
        File.WriteAllBytes(Path.Combine(root, file), bytes);
    }

    private static void Cut(string root, string file, int count)
    {
        var bytes = File.ReadAllBytes(Path.Combine(root, file));
        File.WriteAllBytes(Path.Combine(root, file), bytes[..^count]);
    }

    private static void Delete(string root, string file) => File.Delete(Path.Combine(root, file));

    private static void Copy(string root, string from, string to) =>
        File.Copy(Path.Combine(root, from), Path.Combine(root, to), overwrite: true);

    private static void Swap(string root, string first, string second)
    {
        Copy(root, first, "swapped");
        Copy(root, second, first);
        File.Move(Path.Combine(root, "swapped"), Path.Combine(root, second), overwrite: true);
    }

    private static void Write(string root, string file, string text) => File.WriteAllText(Path.Combine(root, file), text);
}
