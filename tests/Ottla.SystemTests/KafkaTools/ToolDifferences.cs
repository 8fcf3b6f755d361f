using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.KafkaTools;

/// <summary>
/// The rows in which Ottla's tools do not print what Kafka's do, each with its reason (tests/golden/kafka-tools-differences.tsv).
/// </summary>
public static class ToolDifferences
{
    /// <summary>Reads the list.</summary>
    /// <returns>By the row's section and id, <c>order</c> where only the order of lines differs, or <c>text</c>.</returns>
    public static IReadOnlyDictionary<string, Likeness> Read()
    {
        var listed = new Dictionary<string, Likeness>();
        foreach (var line in File.ReadLines(Path.Combine(RepositoryPaths.Root, "tests", "golden", "kafka-tools-differences.tsv")))
        {
            if (line.StartsWith('#') || line.Length == 0)
                continue;
            if (line.Split('\t') is not [var id, var kind and ("order" or "text"), { Length: > 0 }])
                throw new InvalidDataException($"A row is a section and an id, 'order' or 'text', and a reason, separated by tabs: {line}");
            listed.Add(id, kind == "order" ? Likeness.OtherOrder : Likeness.Different);
        }

        return listed;
    }
}
