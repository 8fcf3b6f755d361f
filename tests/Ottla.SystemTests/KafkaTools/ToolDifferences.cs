using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.KafkaTools;

/// <summary>
/// The rows in which Ottla's tools do not print what Kafka's do, each with its reason (tests/golden/kafka-tools-differences.tsv).
/// </summary>
public static class ToolDifferences
{
    /// <summary>Reads the list.</summary>
    /// <returns>
    /// By the row's section and id, what is found: for <c>order</c> that only the order of lines differs, for <c>text</c> that more does,
    /// for <c>varies</c> anything, because it is another from run to run.
    /// </returns>
    public static IReadOnlyDictionary<string, IReadOnlyList<Likeness>> Read()
    {
        var listed = new Dictionary<string, IReadOnlyList<Likeness>>();
        foreach (var line in File.ReadLines(Path.Combine(RepositoryPaths.Root, "tests", "golden", "kafka-tools-differences.tsv")))
        {
            if (line.StartsWith('#') || line.Length == 0)
                continue;
            if (line.Split('\t') is not [var id, var kind and ("order" or "text" or "varies"), { Length: > 0 }])
            {
                throw new InvalidDataException(
                    $"A row is a section and an id, 'order', 'text' or 'varies', and a reason, separated by tabs: {line}");
            }

            listed.Add(id, kind switch
            {
                "order" => [Likeness.OtherOrder],
                "text" => [Likeness.Different],
                _ => [Likeness.Same, Likeness.OtherOrder, Likeness.Different],
            });
        }

        return listed;
    }
}
