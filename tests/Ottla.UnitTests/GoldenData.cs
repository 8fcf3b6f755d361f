using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;

namespace Ottla.UnitTests;

/// <summary>
/// What Apache Kafka itself wrote (tests/golden), unpacked once per test run into a temporary directory that the run removes.
/// </summary>
public static class GoldenData
{
    private const string CleanArchive = "datadir-clean";
    private const string UncleanArchive = "datadir-unclean";

    private static readonly string GoldenDirectory = System.IO.Path.Combine(AppContext.BaseDirectory, "golden");
    private static readonly Lazy<string> Root = new(CreateRoot);
    private static readonly Lazy<string> Clean = new(() => Unpack(CleanArchive, Root.Value));
    private static readonly Lazy<(List<GoldenRecord> Records, List<GoldenPartition> Partitions)> Read = new(ReadAll);

    private static int _copies;

    /// <summary>A log directory of a broker that stopped cleanly. Shared by all tests: read only.</summary>
    public static string CleanDirectory => Clean.Value;

    /// <summary>A fresh copy of a log directory of a broker that was killed; the caller may write in it.</summary>
    public static string UncleanCopy() => UnpackCopy(UncleanArchive);

    /// <summary>A fresh copy of <see cref="CleanDirectory"/>; the caller may write in it.</summary>
    public static string CleanCopy() => UnpackCopy(CleanArchive);

    /// <summary>Every record that a consumer read from the clean directory's broker.</summary>
    public static IReadOnlyList<GoldenRecord> Records() => Read.Value.Records;

    /// <summary>The offsets of every partition that was read.</summary>
    public static IReadOnlyList<GoldenPartition> Partitions() => Read.Value.Partitions;

    /// <summary>The path of a file in tests/golden.</summary>
    public static string Path(string name) => System.IO.Path.Combine(GoldenDirectory, name);

    /// <summary>
    /// A fresh copy of the directories of a broker that were damaged afterwards (tests/golden/damaged); the caller may write in it, and
    /// deletes it.
    /// </summary>
    /// <param name="name">The archive.</param>
    /// <returns>Where its log directories are.</returns>
    public static string DamagedCopy(string name)
    {
        var parent = System.IO.Path.Combine(Root.Value, $"copy-{Interlocked.Increment(ref _copies)}");
        Directory.CreateDirectory(parent);
        Unpack(System.IO.Path.Combine("damaged", name), parent);
        return parent;
    }

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

    private static (List<GoldenRecord> Records, List<GoldenPartition> Partitions) ReadAll()
    {
        using var file = File.OpenRead(Path("records.jsonl.gz"));
        using var reader = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
        var records = new List<GoldenRecord>();
        var partitions = new List<GoldenPartition>();
        while (reader.ReadLine() is { } line)
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.TryGetProperty("offset", out _))
                records.Add(GoldenRecord.From(json.RootElement));
            else
                partitions.Add(GoldenPartition.From(json.RootElement));
        }

        return (records, partitions);
    }
}

/// <summary>One record as a consumer saw it.</summary>
/// <param name="Isolation"><c>read_uncommitted</c> or <c>read_committed</c>.</param>
/// <param name="Topic">The topic's name.</param>
/// <param name="Partition">The partition's index.</param>
/// <param name="Offset">The record's offset.</param>
/// <param name="TimestampType">The consumer's number: 1 create time, 2 log append time.</param>
/// <param name="Timestamp">Milliseconds since the epoch.</param>
/// <param name="Key">The key, or null.</param>
/// <param name="Value">The value, or null.</param>
/// <param name="Headers">The headers in their order.</param>
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

/// <summary>A partition as a consumer saw it.</summary>
/// <param name="Isolation"><c>read_uncommitted</c> or <c>read_committed</c>.</param>
/// <param name="Topic">The topic's name.</param>
/// <param name="Partition">The partition's index.</param>
/// <param name="Low">The log start offset.</param>
/// <param name="High">The offset after the last.</param>
/// <param name="Records">The records read.</param>
public sealed record GoldenPartition(string Isolation, string Topic, int Partition, long Low, long High, int Records)
{
    internal static GoldenPartition From(JsonElement json) => new(
        json.GetProperty("isolation").GetString()!,
        json.GetProperty("topic").GetString()!,
        json.GetProperty("partition").GetInt32(),
        json.GetProperty("low").GetInt64(),
        json.GetProperty("high").GetInt64(),
        json.GetProperty("records").GetInt32());
}
