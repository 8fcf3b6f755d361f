using System.Text.Json;
using Ottla.Storage.Files;
using Ottla.Storage.Inspection;

namespace Ottla.UnitTests.Storage.Inspection;

/// <summary>
/// What <c>ottla log dump</c> prints is what Kafka's own tool printed of the same files, line by line; its JSON has the same facts.
/// </summary>
public sealed class LogDumpTests
{
    public static TheoryData<string> GoldenDumps() =>
        [.. Directory.EnumerateFiles(GoldenData.Path("dump"), "*.txt").Select(path => Path.GetFileName(path)!)
            .Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(GoldenDumps))]
    public void PrintsWhatKafkasToolPrinted(string golden)
    {
        var wanted = File.ReadAllLines(GoldenData.Path(Path.Combine("dump", golden)));
        var (isClean, lines) = Dump(PathIn(wanted[0]), new LogDumpOptions());
        Assert.True(isClean);
        Assert.Equal(wanted.Length, lines.Count);
        foreach (var (kafkas, ours) in wanted.Zip(lines).Skip(1))
            Assert.Equal(kafkas, ours);
    }

    [Theory]
    [MemberData(nameof(GoldenDumps))]
    public void JsonHasTheSameFacts(string golden)
    {
        var wanted = File.ReadAllLines(GoldenData.Path(Path.Combine("dump", golden)));
        var (isClean, lines) = Dump(PathIn(wanted[0]), new LogDumpOptions { Json = true });
        Assert.True(isClean);
        var facts = wanted.Skip(1).Where(
            line => !line.StartsWith("Log starting", StringComparison.Ordinal)
            && !line.StartsWith("Snapshot end", StringComparison.Ordinal)).ToList();
        var objects = lines.Select(line => JsonDocument.Parse(line).RootElement)
            .Where(line => line.GetProperty("kind").GetString() is not ("segment" or "snapshot")).ToList();
        Assert.Equal(facts.Count, objects.Count);
        foreach (var (text, json) in facts.Zip(objects))
            AssertSameFacts(text, json);
    }

    [Fact]
    public void GoesOnBehindABatchWhoseChecksumIsWrong()
    {
        var path = Path.Combine(GoldenData.CleanCopy(), "codec-zstd-0", "00000000000000000000.log");
        var bytes = File.ReadAllBytes(path);
        bytes[3122 + 70] ^= 1;
        File.WriteAllBytes(path, bytes);
        var (isClean, lines) = Dump(path, new LogDumpOptions());
        Assert.False(isClean);
        Assert.Equal(5, lines.Count(line => line.StartsWith("baseOffset", StringComparison.Ordinal)));
        Assert.Contains(
            lines, line =>
            line.StartsWith("Problem at position 3122: the batch at offset 100 does not match its checksum", StringComparison.Ordinal));
    }

    [Fact]
    public void GoesOnAtTheNextIndexedBatchBehindABrokenHeader()
    {
        var path = Path.Combine(GoldenData.CleanCopy(), "codec-zstd-0", "00000000000000000000.log");
        var bytes = File.ReadAllBytes(path);
        bytes[3122 + 8] = 0x7f; // the length: far past the end
        File.WriteAllBytes(path, bytes);
        var (isClean, lines) = Dump(path, new LogDumpOptions());
        Assert.False(isClean);
        Assert.Contains(
            lines, line => line.StartsWith("Problem at position 3122:", StringComparison.Ordinal)
            && line.EndsWith("position 6277", StringComparison.Ordinal));
        Assert.Equal(4, lines.Count(line => line.StartsWith("baseOffset", StringComparison.Ordinal)));
    }

    [Fact]
    public void ShowsOnlyTheOffsetsThatAreWanted()
    {
        var path = Path.Combine(GoldenData.CleanDirectory, "codec-zstd-0", "00000000000000000000.log");
        var (_, lines) = Dump(path, new LogDumpOptions { Records = true, FromOffset = 150, ToOffset = 152 });
        Assert.Equal(["150", "151", "152"], lines.Where(line => line.StartsWith('|')).Select(line => line.Split(' ')[2]));
    }

    [Fact]
    public void ShowsTransactionMarkers()
    {
        var path = Path.Combine(GoldenData.CleanDirectory, "txn-0", "00000000000000000020.log");
        var (_, lines) = Dump(path, new LogDumpOptions { Records = true, FromOffset = 62, ToOffset = 62 });
        Assert.Contains(lines, line => line.EndsWith("endTxnMarker: ABORT coordinatorEpoch: 0", StringComparison.Ordinal));
    }

    [Fact]
    public void EveryFileOfADirectoryCanBeDumped()
    {
        var files = Directory.EnumerateFiles(GoldenData.CleanDirectory, "*", SearchOption.AllDirectories)
            .Where(path => LogDump.CanDump(Path.GetFileName(path))).ToList();
        Assert.Contains(files, path => path.EndsWith("meta.properties", StringComparison.Ordinal));
        Assert.Contains(files, path => path.EndsWith("leader-epoch-checkpoint", StringComparison.Ordinal));
        foreach (var path in files)
            Assert.True(Dump(path, new LogDumpOptions { Records = true, Json = true }).IsClean, path);
    }

    private static string PathIn(string firstLine) => Path.Combine(GoldenData.CleanDirectory, firstLine["Dumping ".Length..]);

    private static (bool IsClean, List<string> Lines) Dump(string path, LogDumpOptions options)
    {
        using var writer = new StringWriter { NewLine = "\n" };
        using var dump = new LogDump(new RealFileSystem(), writer, options);
        var isClean = dump.Dump(path, path);
        return (isClean, [.. writer.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)]);
    }

    /// <summary>Walks over the <c>name: value</c> pairs of Kafka's line; JSON values stand at its end.</summary>
    private static void AssertSameFacts(string text, JsonElement json)
    {
        var payload = text.IndexOf('{', StringComparison.Ordinal);
        var plain = payload < 0 ? text : text[..payload];
        var words = plain.TrimStart('|', ' ').Split(' ', StringSplitOptions.RemoveEmptyEntries);
        for (var i = 0; i + 1 < words.Length; i += 2)
        {
            var name = words[i].TrimEnd(':');
            if (!words[i].EndsWith(':') || words[i + 1] is "key:" or "payload:")
                break;
            if (name is "CreateTime" or "LogAppendTime")
            {
                Assert.Equal(name, json.GetProperty("timestampType").GetString());
                name = "timestamp";
            }

            var value = json.GetProperty(name);
            var wanted = words[i + 1] == "OptionalLong.empty" ? "null" : words[i + 1].StartsWith("OptionalLong[", StringComparison.Ordinal)
                ? words[i + 1]["OptionalLong[".Length..^1] : words[i + 1];
            Assert.Equal(
                wanted, value.ValueKind == JsonValueKind.String ? value.GetString()
                : value.GetRawText().Replace("\"", "", StringComparison.Ordinal));
        }

        if (payload < 0)
            return;
        foreach (var name in new[] { "key", "payload", "LeaderChange", "SnapshotHeader", "SnapshotFooter", "KRaftVersion", "KRaftVoters" })
        {
            if (json.TryGetProperty(name, out var value))
                Assert.Equal(
                    text[(text.IndexOf(
                        $" {name}", text.IndexOf("headerKeys", StringComparison.Ordinal) + "headerKeys".Length, StringComparison.Ordinal)
                            + 1 + name.Length)..].TrimStart(':', ' ').Split(" payload: ")[0], value.ValueKind == JsonValueKind.String
                                ? value.GetString()! : value.GetRawText());
        }
    }
}
