namespace Ottla.Cli.KafkaTools.Options;

/// <summary>What an option takes behind it.</summary>
internal enum OptionArgument
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A value, or nothing.</summary>
    Optional,

    /// <summary>A value.</summary>
    Required,
}

/// <summary>An option of a tool, as Kafka's help lists it.</summary>
/// <param name="Names">Its names with their dashes, the long one first: <c>--cluster-id</c>, <c>-t</c>.</param>
/// <param name="Type">The type of its value in Kafka's help: <c>String</c>, <c>Integer</c>; empty when the help does not say.</param>
/// <param name="Placeholder">What stands for its value in the help; empty for none.</param>
/// <param name="Argument">What it takes.</param>
/// <param name="IsRequired">Whether the help says that it is required.</param>
/// <param name="IsDeprecated">Whether Kafka has a newer name for it.</param>
/// <param name="Default">Its default in the help; empty for none.</param>
/// <param name="Description">What it does.</param>
internal sealed record OptionSpec(
    IReadOnlyList<string> Names, string Type, string Placeholder, OptionArgument Argument, bool IsRequired, bool IsDeprecated,
    string Default, string Description)
{
    /// <summary>The long name without dashes, by which tools ask for its value.</summary>
    public string Name => Names.FirstOrDefault(name => name.StartsWith("--", StringComparison.Ordinal), Names[0]).TrimStart('-');
}
