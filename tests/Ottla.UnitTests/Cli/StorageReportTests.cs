using Ottla.Broker.Directories;
using Ottla.Cli;
using Ottla.Kernel;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Cli;

/// <summary>What <c>ottla storage info</c> finds and prints: the texts are those of kafka-storage info 4.4.</summary>
public sealed class StorageReportTests
{
    private static readonly MetaProperties Node1 =
        new() { ClusterId = "MkU3OEVBNTcwNTJENDM2Qg", NodeId = 1, DirectoryId = Uuid.Parse("DAwMDAwMTAGNDQ0NDQ0NsQ") };

    private readonly InMemoryFileSystem _disk = new();

    [Fact]
    public void Missing_directory() => AssertPrints("Found problem:\n  /d1 does not exist\n\n", "/d1");

    [Fact]
    public void Formatted_directory()
    {
        Format("/d1", Node1);
        AssertPrints(
            "Found log directory:\n  /d1\n\n"
            + "Found metadata: {cluster.id=MkU3OEVBNTcwNTJENDM2Qg, directory.id=DAwMDAwMTAGNDQ0NDQ0NsQ, node.id=1, version=1}\n\n",
            "/d1");
    }

    [Fact]
    public void Several_directories_and_a_new_one()
    {
        Format("/d3a", Node1);
        Format("/d3b", Node1 with { DirectoryId = new Uuid(4, 400) });
        AssertPrints(
            "Found log directories:\n  /d3a\n  /d3b\n\n"
            + "Found metadata: {cluster.id=MkU3OEVBNTcwNTJENDM2Qg, directory.id=DAwMDAwMTAGNDQ0NDQ0NsQ, node.id=1, version=1}\n\n"
            + "Found problem:\n  /d4new does not exist\n\n",
            "/d4new", "/d3b", "/d3a");
    }

    [Fact]
    public void Not_formatted_not_a_directory_and_damaged()
    {
        _disk.CreateDirectory("/a");
        _disk.ReplaceFile("/b", [1]);
        _disk.CreateDirectory("/c");
        _disk.ReplaceFile("/c/meta.properties", "version=7\n"u8.ToArray());
        var report = StorageReport.Of(["/a", "/b", "/c"], _disk);
        Assert.Equal(["/a", "/c"], report.Directories);
        Assert.Null(report.Metadata);
        Assert.Equal("/a is not formatted.", report.Problems[0]);
        Assert.Equal("/b is not a directory", report.Problems[1]);
        Assert.StartsWith("Error loading /c/meta.properties: ", report.Problems[2], StringComparison.Ordinal);
        Assert.Contains("unknown version 7", report.Problems[2], StringComparison.Ordinal);
        Assert.Equal(3, report.Problems.Count);
    }

    [Fact]
    public void Directories_of_others()
    {
        Format("/a", Node1);
        Format("/b", Node1 with { ClusterId = "other" });
        Format("/c", Node1 with { NodeId = 2 });
        Assert.Equal(
            ["Mismatched cluster IDs between storage directories.", "Mismatched node IDs between storage directories."],
            StorageReport.Of(["/a", "/b", "/c"], _disk).Problems);
    }

    [Fact]
    public void Directory_of_the_time_before_KRaft()
    {
        _disk.CreateDirectory("/old");
        _disk.ReplaceFile("/old/meta.properties", "version=0\nbroker.id=3\ncluster.id=c\n"u8.ToArray());
        AssertPrints(
            "Found log directory:\n  /old\n\nFound metadata: {broker.id=3, cluster.id=c, version=0}\n\nFound problem:\n"
            + "  The kafka configuration file appears to be for a cluster in KRaft mode, but the directories are formatted for legacy "
                + "mode.\n\n",
            "/old");
    }

    private void Format(string path, MetaProperties properties)
    {
        _disk.CreateDirectory(path);
        properties.Write(_disk, path);
    }

    private void AssertPrints(string text, params string[] paths) =>
        Assert.Equal(text, StorageReportText.Of(StorageReport.Of(paths, _disk)));
}
