using System.Text;

namespace Ottla.Cli.KafkaTools.Options;

/// <summary>The options of a tool or of one of its sub-commands. Read from <c>options.tsv</c>; immutable.</summary>
internal sealed class OptionTable
{
    private const string Resource = "Ottla.Cli.KafkaTools.Options.options.tsv";
    private const int Columns = 6;

    private readonly Dictionary<string, OptionSpec> _byName = new(StringComparer.Ordinal);

    private OptionTable(string tool, int helpExitCode, bool isHelpOnOutput, IReadOnlyList<OptionSpec> options)
    {
        Tool = tool;
        HelpExitCode = helpExitCode;
        IsHelpOnOutput = isHelpOnOutput;
        Options = options;
        foreach (var option in options)
        {
            foreach (var name in option.Names)
                _byName[name.TrimStart('-')] = option;
        }
    }

    /// <summary>The tool, with its sub-command if there is one: <c>kafka-storage format</c>.</summary>
    public string Tool { get; }

    /// <summary>The exit code of <c>--help</c>.</summary>
    public int HelpExitCode { get; }

    /// <summary>Whether help goes to standard output.</summary>
    public bool IsHelpOnOutput { get; }

    /// <summary>The options in the order of the help.</summary>
    public IReadOnlyList<OptionSpec> Options { get; }

    /// <summary>The option of a name without dashes; null when the tool has none.</summary>
    public OptionSpec? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>Reads the table of a tool.</summary>
    /// <param name="tool">The tool, with its sub-command if there is one.</param>
    public static OptionTable Of(string tool)
    {
        using var reader = Open();
        OptionTable? table = null;
        var options = new List<OptionSpec>();
        string[]? header = null;
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#'))
                continue;
            var cells = line.Split('\t');
            if (line.StartsWith('['))
            {
                if (header is not null)
                    break;
                header = cells[0] == $"[{tool}]" ? cells : null;
            }
            else if (header is not null)
            {
                options.Add(Parse(cells));
            }
        }

        if (header is not null)
            table = new OptionTable(tool, int.Parse(header[1]), header[2] == "stdout", options);
        return table ?? throw new InvalidOperationException($"{Resource} has no options of {tool}.");
    }

    /// <summary>The names of all tools and sub-commands that have options.</summary>
    public static IReadOnlyList<string> Tools()
    {
        using var reader = Open();
        var tools = new List<string>();
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('['))
                tools.Add(line[1..line.IndexOf(']', StringComparison.Ordinal)]);
        }

        return tools;
    }

    private static StreamReader Open() => new(
        typeof(OptionTable).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"The executable lacks {Resource}."),
        Encoding.UTF8);

    private static OptionSpec Parse(string[] cells)
    {
        if (cells.Length != Columns)
            throw new InvalidOperationException($"{Resource}: {cells[0]} has {cells.Length} columns instead of {Columns}.");
        var (type, placeholder, flags, standard) = (cells[1], cells[2], cells[3], cells[4]);
        var takesValue = type.Length > 0 || placeholder.Length > 0;
        return new OptionSpec(
            [.. cells[0].Split(", ").OrderByDescending(name => name.StartsWith("--", StringComparison.Ordinal))], type, placeholder,
            !takesValue ? OptionArgument.None : flags.Contains('o') ? OptionArgument.Optional : OptionArgument.Required,
            flags.Contains('r'), flags.Contains('d'), standard, cells[5]);
    }
}
