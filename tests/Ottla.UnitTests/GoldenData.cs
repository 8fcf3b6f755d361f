using System.Diagnostics;
using System.IO.Compression;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Ottla.UnitTests;

/// <summary>What Apache Kafka itself wrote (tests/golden), unpacked once per test run into a temporary directory that the run removes.</summary>
public static class GoldenData
{
    private const string CleanArchive = "datadir-clean";
    private const string UncleanArchive = "datadir-unclean";

    private static readonly string GoldenDirectory = System.IO.Path.GetFullPath(System.IO.Path.Combine(SourceDirectory(), "..", "golden"));
    private static readonly Lazy<string> Root = new(CreateRoot);
    private static readonly Lazy<string> Clean = new(() => Unpack(CleanArchive, Root.Value));
    private static readonly Lazy<IReadOnlyList<GoldenRecord>> AllRecords = new(ReadRecords);

    private static int _copies;

    /// <summary>A log directory of a broker that stopped cleanly. Shared by all tests: read only.</summary>
    public static string CleanDirectory => Clean.Value;

    /// <summary>A fresh copy of a log directory of a broker that was killed; the caller may write in it.</summary>
    public static string UncleanCopy() => UnpackCopy(UncleanArchive);

    /// <summary>A fresh copy of <see cref="CleanDirectory"/>; the caller may write in it.</summary>
    public static string CleanCopy() => UnpackCopy(CleanArchive);

    /// <summary>Every record that a consumer read from the clean directory's broker.</summary>
    public static IReadOnlyList<GoldenRecord> Records() => AllRecords.Value;

    /// <summary>The path of a file in tests/golden.</summary>
    public static string Path(string name) => System.IO.Path.Combine(GoldenDirectory, name);

    private static string UnpackCopy(string archive)
    {
        var parent = System.IO.Path.Combine(Root.Value, $"copy-{Interlocked.Increment(ref _copies)}");
        Directory.CreateDirectory(parent);
        return Unpack(archive, parent);
    }

    private static string Unpack(string archive, string parent)
    {
        using var tar = Process.Start("tar", ["-xJf", Path($"{archive}.tar.xz"), "-C", parent]);
        tar.WaitForExit();
        if (tar.ExitCode != 0)
            throw new InvalidOperationException($"tar failed with {tar.ExitCode} on {archive}");
        return System.IO.Path.Combine(parent, archive);
    }

    private static string CreateRoot()
    {
        var root = Directory.CreateTempSubdirectory("ottla-golden-").FullName;
        AppDomain.CurrentDomain.ProcessExit += (_, _) => Directory.Delete(root, recursive: true);
        return root;
    }

    private static List<GoldenRecord> ReadRecords()
    {
        using var file = File.OpenRead(Path("records.jsonl.gz"));
        using var reader = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
        var records = new List<GoldenRecord>();
        while (reader.ReadLine() is { } line)
        {
            using var json = JsonDocument.Parse(line);
            records.Add(GoldenRecord.From(json.RootElement));
        }

        return records;
    }

    private static string SourceDirectory([CallerFilePath] string path = "") => System.IO.Path.GetDirectoryName(path)!;
}

/// <summary>One record as a consumer saw it.</summary>
/// <param name="Isolation"><c>read_uncommitted</c> or <c>read_committed</c>.</param>
/// <param name="TimestampType">The consumer's number: 1 create time, 2 log append time.</param>
public sealed record GoldenRecord(
    string Isolation,
    string Topic,
    int Partition,
    long Offset,
    int TimestampType,
    long Timestamp,
    string? Key,
    string? Value,
    IReadOnlyList<(string Key, string? Value)> Headers)
{
    internal static GoldenRecord From(JsonElement json) => new(
        json.GetProperty("isolation").GetString()!,
        json.GetProperty("topic").GetString()!,
        json.GetProperty("partition").GetInt32(),
        json.GetProperty("offset").GetInt64(),
        json.GetProperty("timestampType").GetInt32(),
        json.GetProperty("timestamp").GetInt64(),
        json.GetProperty("key").GetString(),
        json.GetProperty("value").GetString(),
        [.. json.GetProperty("headers").EnumerateArray().Select(header => (header[0].GetString()!, header[1].GetString()))]);
}
