namespace Ottla.Cli.KafkaTools.Options;

/// <summary>Prints the options of a tool.</summary>
internal static class OptionHelp
{
    private const int NameWidth = 48;

    /// <summary>Writes a line for each option.</summary>
    public static void Write(OptionTable table, TextWriter output)
    {
        output.WriteLine($"Options of {table.Tool}:");
        foreach (var option in table.Options)
        {
            var names = string.Join(", ", option.Names);
            if (option.Argument != OptionArgument.None)
            {
                var type = string.Join(": ", new[] { option.Type, option.Placeholder }.Where(part => part.Length > 0));
                names += option.Argument == OptionArgument.Optional ? $" [{type}]" : $" <{type}>";
            }

            var notes = $"{(option.IsRequired ? "REQUIRED. " : "")}{(option.IsDeprecated ? "Deprecated. " : "")}{option.Description}"
                + (option.Default.Length > 0 ? $" (default: {option.Default})" : "");
            output.WriteLine(names.Length < NameWidth ? $"  {names.PadRight(NameWidth)} {notes}"
                : $"  {names}\n{new string(' ', NameWidth + 3)}{notes}");
        }
    }
}
