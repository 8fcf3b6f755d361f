using Ottla.SchemaCompiler;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Schemas;

/// <summary>All schemas of the repository, parsed once per test run: what tests know of fields that reflection does not tell.</summary>
internal static class SchemaCatalog
{
    private static readonly Lazy<List<Schema>> Parsed = new(
        () => [.. RepositoryFiles.Find("schemas", "*.schema").Select(SchemaParser.Parse)]);

    private static readonly Lazy<Dictionary<string, Message>> Messages = new(
        () => Parsed.Value.SelectMany(s => s.Messages).ToDictionary(m => m.Name));

    public static IReadOnlyList<Schema> Schemas => Parsed.Value;

    /// <summary>Every message, by the name of its class.</summary>
    public static IReadOnlyDictionary<string, Message> ByMessage => Messages.Value;
}
