using System.Globalization;

namespace Ottla.Cli.KafkaTools.Options;

/// <summary>The options of one invocation. Names are given without dashes.</summary>
/// <param name="table">The options that there are.</param>
/// <param name="given">The options that were given, in their order; null for one without a value.</param>
internal sealed class ParsedOptions(OptionTable table, IReadOnlyList<(OptionSpec Option, string? Value)> given)
{
    /// <summary>The options that there are.</summary>
    public OptionTable Table => table;

    /// <summary>Whether an option was given.</summary>
    public bool Has(string name) => given.Any(each => each.Option == Known(name));

    /// <summary>All values of an option, in their order.</summary>
    public IReadOnlyList<string> Values(string name) =>
        [.. given.Where(each => each.Option == Known(name)).Select(each => each.Value).OfType<string>()];

    /// <summary>The value of an option; null when it was not given, or has no value.</summary>
    /// <exception cref="OptionException">It was given more than once.</exception>
    public string? Value(string name)
    {
        var values = Values(name);
        return values.Count <= 1
            ? values.Count == 0 ? null : values[0]
            : throw new OptionException($"Found multiple arguments for option {Known(name).Name}, but you asked for only one");
    }

    /// <summary>The number of an option; null when it was not given.</summary>
    /// <exception cref="OptionException">It was given more than once, or is no number.</exception>
    public int? Int(string name) => Value(name) is not { } text ? null
        : int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
            : throw Unreadable(text, name);

    /// <inheritdoc cref="Int"/>
    public long? Long(string name) => Value(name) is not { } text ? null
        : long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number
            : throw Unreadable(text, name);

    /// <summary>Demands options.</summary>
    /// <exception cref="UsageException">One is missing.</exception>
    public void Require(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (!Has(name))
                throw new UsageException($"Missing required argument \"[{name}]\"");
        }
    }

    /// <summary>Demands options, in the words of argparse4j.</summary>
    /// <exception cref="ArgumentParserException">One is missing.</exception>
    public void Demand(params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (!Has(name))
                throw new ArgumentParserException($"argument {string.Join('/', Known(name).Names)} is required");
        }
    }

    /// <summary>Demands one of several options, or at most one.</summary>
    /// <param name="isRequired">Whether one has to be there.</param>
    /// <param name="names">The options.</param>
    /// <exception cref="ArgumentParserException">There is none, or more than one.</exception>
    public void DemandOneOf(bool isRequired, params string[] names)
    {
        var given = names.Where(Has).ToList();
        if (given.Count == 0 && isRequired)
            throw new ArgumentParserException($"one of the arguments {string.Join(' ', names.Select(name => $"--{name}"))} is required");
        if (given.Count > 1)
            throw new ArgumentParserException($"argument --{given[1]}: not allowed with argument --{given[0]}");
    }

    /// <summary>Refuses options beside another one.</summary>
    /// <exception cref="UsageException">One is there.</exception>
    public void Refuse(string with, params ReadOnlySpan<string> names)
    {
        if (!Has(with))
            return;
        foreach (var name in names)
        {
            if (Has(name))
                throw new UsageException($"Option \"[{with}]\" can't be used with option \"[{name}]\"");
        }
    }

    /// <summary>Demands exactly one of several options.</summary>
    /// <exception cref="UsageException">There is none, or more than one.</exception>
    public void RequireOneOf(params string[] names)
    {
        if (names.Count(Has) != 1)
            throw new UsageException(
                $"Exactly one of the following arguments is required: {string.Join(", ", names.Select(name => $"[{name}]"))}");
    }

    private OptionSpec Known(string name) => table.Find(name) ?? throw new InvalidOperationException($"{table.Tool} has no option {name}.");

    private OptionException Unreadable(string text, string name) => new($"Cannot parse argument '{text}' of option {Known(name).Name}");
}
