using System.CommandLine;
using System.Globalization;
using Ottla.Configuration;
using Ottla.Kernel;

namespace Ottla.Cli.Framework;

/// <summary>Arguments and options that several commands have.</summary>
internal static class CommonOptions
{
    /// <summary>What stands for a topic's name in help; completions ask the cluster for what stands here.</summary>
    public const string TopicName = "TOPIC";

    /// <summary>What stands for a group's name in help.</summary>
    public const string GroupName = "GROUP";

    /// <summary>Whether the command only tells what it would do.</summary>
    public static readonly Option<bool> DryRun = new("--dry-run") { Description = "Tell what would be done, and change nothing." };

    /// <summary>Whether the command asks nothing.</summary>
    public static readonly Option<bool> Yes = new("--yes", "-y") { Description = "Do not ask before something is lost." };

    /// <summary>One topic.</summary>
    public static Argument<string> Topic() => new("topic") { Description = "The topic.", HelpName = TopicName };

    /// <summary>Topics.</summary>
    public static Argument<string[]> Topics(bool mayBeNone) => new("topic")
    {
        Description = mayBeNone ? "The topics; all without it. 'logs-*' means all that begin so." : "The topics.",
        HelpName = TopicName,
        Arity = mayBeNone ? ArgumentArity.ZeroOrMore : ArgumentArity.OneOrMore,
    };

    /// <summary>Configs: <c>name=value</c>.</summary>
    public static Option<string[]> Configs() => new("--config", "-c")
    {
        Description = "Set a config, as retention.ms=3600000; may be repeated.",
        HelpName = "NAME=VALUE",
    };

    /// <summary>An option with a text.</summary>
    public static Option<string?> Text(string name, string description, string helpName, params string[] aliases) =>
        new(name, aliases) { Description = description, HelpName = helpName };

    /// <summary>An option with several texts.</summary>
    public static Option<string[]> Texts(string name, string description, string helpName, params string[] aliases) =>
        new(name, aliases) { Description = description, HelpName = helpName };

    /// <summary>An option with a number.</summary>
    public static Option<int?> Number(string name, string description, params string[] aliases) =>
        new(name, aliases) { Description = description, HelpName = "N" };

    /// <summary>An option that is there or not.</summary>
    public static Option<bool> Flag(string name, string description, params string[] aliases) =>
        new(name, aliases) { Description = description };

    /// <summary>Reads partitions: <c>topic:0</c>, or <c>topic:0,1</c>.</summary>
    /// <exception cref="ConfigException">It cannot be read.</exception>
    public static IEnumerable<TopicPartition> Partitions(string text, string option)
    {
        var at = text.LastIndexOf(':');
        if (at <= 0)
            throw new ConfigException($"{option}: cannot read '{text}'. Expected TOPIC:PARTITION, as orders:0 or orders:0,1.");
        return Numbers(text[(at + 1)..], option).Select(index => new TopicPartition(text[..at], index));
    }

    /// <summary>Reads numbers with commas between them.</summary>
    /// <exception cref="ConfigException">One cannot be read.</exception>
    public static IReadOnlyList<int> Numbers(string text, string option) =>
    [
        .. text.Split(',', StringSplitOptions.TrimEntries).Select(each =>
            int.TryParse(each, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number
                : throw new ConfigException($"{option}: cannot read '{text}'. Expected numbers with commas between them.")),
    ];

    /// <summary>Reads a time: <c>2026-01-31T12:00:00Z</c>, a date alone, milliseconds since 1970 as <c>@1700000000000</c>, or how long
    /// ago: <c>-2h</c>.</summary>
    /// <exception cref="ConfigException">It cannot be read.</exception>
    public static DateTimeOffset Time(string text, string option, DateTimeOffset now)
    {
        if (text.StartsWith('-'))
            return ConnectionOptions.Duration(text[1..], option) is var ago && ago > now - DateTimeOffset.UnixEpoch
                ? DateTimeOffset.UnixEpoch : now - ago;
        if (text.StartsWith('@') && long.TryParse(text.AsSpan(1), NumberStyles.None, CultureInfo.InvariantCulture, out var ms)
            && ms <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds())
            return DateTimeOffset.FromUnixTimeMilliseconds(ms);
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time)
            ? time < DateTimeOffset.UnixEpoch ? DateTimeOffset.UnixEpoch : time // no record is older
            : throw new ConfigException(
                $"{option}: cannot read '{text}'. Expected a time (2026-01-31T12:00:00Z), how long ago (-2h), or milliseconds since 1970 "
                    + "(@1700000000000).");
    }
}
