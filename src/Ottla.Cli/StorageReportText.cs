using Ottla.Broker.Directories;
using Ottla.Storage.Log;

namespace Ottla.Cli;

/// <summary>Prints a report about a node's log directories, as kafka-storage info does.</summary>
internal static class StorageReportText
{
    /// <summary>The lines of a report.</summary>
    public static string Of(StorageReport report)
    {
        var text = new StringWriter { NewLine = "\n" };
        Write(text, report.Directories, "Found log directory:", "Found log directories:");
        if (report.Metadata is { } metadata)
        {
            text.WriteLine($"Found metadata: {{{string.Join(", ", PropertiesOf(metadata))}}}");
            text.WriteLine();
        }

        Write(text, report.Problems, "Found problem:", "Found problems:");
        return text.ToString();
    }

    private static void Write(StringWriter text, IReadOnlyList<string> lines, string singular, string plural)
    {
        if (lines.Count == 0)
            return;
        text.WriteLine(lines.Count == 1 ? singular : plural);
        foreach (var line in lines)
            text.WriteLine($"  {line}");
        text.WriteLine();
    }

    private static IEnumerable<string> PropertiesOf(MetaProperties metadata)
    {
        if (metadata is { Version: 0, NodeId: { } brokerId })
            yield return $"broker.id={brokerId}";
        if (metadata.ClusterId is { } clusterId)
            yield return $"cluster.id={clusterId}";
        if (metadata.DirectoryId is { } directoryId)
            yield return $"directory.id={directoryId}";
        if (metadata is { Version: > 0, NodeId: { } nodeId })
            yield return $"node.id={nodeId}";
        yield return $"version={metadata.Version}";
    }
}
