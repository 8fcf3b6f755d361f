namespace Ottla.Cli.KafkaTools.Text;

/// <summary>The names of enums as Java writes them.</summary>
internal static class JavaEnums
{
    /// <summary>A value's name in capitals, its words separated by underscores: <c>TRANSACTIONAL_ID</c>.</summary>
    public static string Of<T>(T value)
        where T : struct, Enum =>
        string.Concat(value.ToString().Select((c, i) => i > 0 && char.IsUpper(c) ? $"_{c}" : $"{char.ToUpperInvariant(c)}"));
}
