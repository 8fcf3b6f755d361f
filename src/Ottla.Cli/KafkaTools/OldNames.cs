using System.Globalization;
using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools;

/// <summary>Options that have a newer name since KIP-1147.</summary>
internal static class OldNames
{
    /// <summary>Refuses both names of an option at once.</summary>
    /// <exception cref="UsageException">Both were given.</exception>
    public static void Refuse(ParsedOptions options, params ReadOnlySpan<(string New, string Old)> names)
    {
        foreach (var (one, other) in names)
        {
            if (options.Has(one) && options.Has(other))
                throw new UsageException($"Options --{one} and --{other} cannot be specified together.");
        }
    }

    /// <summary>Tells of old names that were given, on standard output as Kafka does.</summary>
    /// <param name="options">The options.</param>
    /// <param name="context">The invocation.</param>
    /// <param name="text">What is told: {0} is the old name, {1} the new one.</param>
    /// <param name="names">The names.</param>
    public static void Warn(ParsedOptions options, ToolContext context, string text, params ReadOnlySpan<(string Old, string New)> names)
    {
        foreach (var (old, @new) in names)
        {
            if (options.Has(old))
                context.Output.WriteLine(string.Format(CultureInfo.InvariantCulture, text, old, @new));
        }
    }
}
