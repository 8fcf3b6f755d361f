using System.Collections;
using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Ottla.Cli.Commands;
using Ottla.Configuration;

namespace Ottla.Cli.Framework;

/// <summary>
/// The options that every command for clusters has: which cluster, how to log in there, how to print. What is given on the command line
/// counts before the environment, and that before the profile.
/// </summary>
internal static class ConnectionOptions
{
    /// <summary>The environment variable with brokers to ask first.</summary>
    public const string BootstrapVariable = "OTTLA_BOOTSTRAP";

    /// <summary>The environment variable with controllers to ask first.</summary>
    public const string ControllerVariable = "OTTLA_CONTROLLER";

    /// <summary>The environment variable that names the profile.</summary>
    public const string ProfileVariable = "OTTLA_PROFILE";

    /// <summary>What variables of properties begin with: <c>OTTLA_CLIENT_SASL_PASSWORD</c> is <c>sasl.password</c>.</summary>
    public const string PropertyPrefix = "OTTLA_CLIENT_";

    /// <summary>Where a cluster is looked for when nothing says.</summary>
    public const string DefaultBootstrap = "localhost:9092";

    private const string Servers = "bootstrap.servers";
    private const string Controllers = "bootstrap.controllers";

    /// <summary>The brokers to ask first.</summary>
    public static readonly Option<string?> Bootstrap = new("--bootstrap-server", "-B", "--bootstrap")
    {
        Description = $"Ask one of these brokers first. Default: {BootstrapVariable}, the profile, {DefaultBootstrap}.",
        HelpName = "HOST:PORT,...",
    };

    /// <summary>The controllers to ask first.</summary>
    public static readonly Option<string?> Controller = new("--bootstrap-controller", "--controller")
    {
        Description = "Ask one of these controllers at its controller listener; no broker needs to run. For what concerns the cluster.",
        HelpName = "HOST:PORT,...",
    };

    /// <summary>Properties of the client.</summary>
    public static readonly Option<string[]> Property = new("-X", "--property")
    {
        Description = "Set a property of Kafka's clients, as linger.ms=20; may be repeated. Not for secrets: others can see them here.",
        HelpName = "NAME=VALUE",
    };

    /// <summary>A file of properties.</summary>
    public static readonly Option<string?> CommandConfig = new("--command-config")
    {
        Description = "Read properties of Kafka's clients from a file: security.protocol, sasl.jaas.config, ssl.truststore.location.",
        HelpName = "FILE",
    };

    /// <summary>The profile.</summary>
    public static readonly Option<string?> Profile = new("--profile")
    {
        Description = $"Take the cluster and the login of this profile. Default: {ProfileVariable}, or what 'ottla profile use' chose.",
        HelpName = "NAME",
    };

    /// <summary>How long a call may take.</summary>
    public static readonly Option<string?> Timeout = new("--timeout")
    {
        Description = "Give up when the cluster does not answer for so long. Default: 15s.",
        HelpName = "DURATION",
    };

    /// <summary>How rows are printed.</summary>
    public static readonly Option<string?> Format = NewFormat();

    /// <summary>Which columns are printed.</summary>
    public static readonly Option<string?> Columns = new("--columns")
    {
        Description = "Print only these columns, in this order; their names are those of JSON.",
        HelpName = "NAME,...",
    };

    /// <summary>Whether the client tells what it does.</summary>
    public static readonly Option<bool> Verbose = new("--verbose") { Description = "Tell on standard error what the connection does." };

    /// <summary>All of them.</summary>
    public static readonly Option[] All =
        [Bootstrap, Controller, Property, CommandConfig, Profile, Timeout, Format, Columns, Verbose];

    /// <summary>Checks options that do not go together.</summary>
    public static void Validate(CommandResult arguments)
    {
        if (arguments.GetValue(Bootstrap) is not null && arguments.GetValue(Controller) is not null)
            arguments.AddError($"{Bootstrap.Name} and {Controller.Name} cannot be given together");
    }

    /// <summary>Puts the properties of the client together.</summary>
    /// <exception cref="ConfigException">One is malformed, or a file cannot be read.</exception>
    public static Dictionary<string, string> Read(ParseResult arguments, Profiles profiles, IDictionary environment)
    {
        string? Variable(string name) => environment[name] as string is { Length: > 0 } value ? value : null;
        var properties = new Dictionary<string, string> { ["client.id"] = "ottla", ["enable.metrics.push"] = "false" };
        if ((arguments.GetValue(Profile) ?? Variable(ProfileVariable) ?? profiles.Current) is { } profile)
            Put(properties, profiles.Read(profile));
        Put(properties, environment.Keys.Cast<string>().Where(name => name.StartsWith(PropertyPrefix, StringComparison.Ordinal)).Select(
            name => KeyValuePair.Create(
                name[PropertyPrefix.Length..].ToLowerInvariant().Replace('_', '.'), environment[name] as string ?? "")));
        Choose(properties, Variable(BootstrapVariable), Variable(ControllerVariable));
        if (arguments.GetValue(CommandConfig) is { } file)
            Put(properties, ConfigurationOptions.ReadFile(new FileInfo(file)));
        Put(properties, Given(arguments));
        Choose(properties, arguments.GetValue(Bootstrap), arguments.GetValue(Controller));
        if (!properties.ContainsKey(Controllers))
            properties.TryAdd(Servers, DefaultBootstrap);
        Limit(properties, arguments);
        return properties;
    }

    /// <summary>The properties that a command line names itself, without what every command gets.</summary>
    /// <inheritdoc cref="Read" path="/exception"/>
    public static IReadOnlyDictionary<string, string> ReadForProfile(ParseResult arguments)
    {
        var properties = new Dictionary<string, string>();
        if (arguments.GetValue(CommandConfig) is { } file)
            Put(properties, ConfigurationOptions.ReadFile(new FileInfo(file)));
        Put(properties, Given(arguments));
        Choose(properties, arguments.GetValue(Bootstrap), arguments.GetValue(Controller));
        return properties;
    }

    /// <summary>Reads a duration: <c>10s</c>, <c>1500ms</c>, <c>2m</c>, <c>1h</c>, <c>7d</c>; a number alone is seconds.</summary>
    /// <exception cref="ConfigException">It cannot be read.</exception>
    public static TimeSpan Duration(string text, string option)
    {
        var digits = text.TakeWhile(c => char.IsAsciiDigit(c) || c == '.').Count();
        if (double.TryParse(text.AsSpan(0, digits), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
        {
            double? unitMs = text[digits..].Trim() switch
            {
                "ms" => 1,
                "" or "s" => 1_000,
                "m" or "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => null,
            };
            if (unitMs * number is { } ms && ms < TimeSpan.MaxValue.TotalMilliseconds)
                return TimeSpan.FromMilliseconds(ms);
        }

        throw new ConfigException($"{option}: cannot read '{text}'. Expected a duration: 500ms, 10s, 5m, 2h or 7d.");
    }

    /// <summary>Reads <c>name=value</c> arguments.</summary>
    /// <exception cref="ConfigException">One has no equals sign.</exception>
    public static IEnumerable<KeyValuePair<string, string>> Assignments(IEnumerable<string>? texts, string option)
    {
        foreach (var text in texts ?? [])
        {
            var at = text.IndexOf('=', StringComparison.Ordinal);
            if (at <= 0)
                throw new ConfigException($"{option}: cannot read '{text}'. Expected name=value.");
            yield return KeyValuePair.Create(text[..at].Trim(), text[(at + 1)..].Trim());
        }
    }

    private static IEnumerable<KeyValuePair<string, string>> Given(ParseResult arguments)
    {
        foreach (var (name, value) in Assignments(arguments.GetValue(Property), Property.Name))
        {
            if (Secrets.IsSecret(name))
            {
                var variable = PropertyPrefix + name.ToUpperInvariant().Replace('.', '_');
                throw new ConfigException(
                    $"-X {name}: others on this machine can read command lines. Put it into a file (--command-config, a profile), or into "
                        + $"the environment variable {variable}.");
            }

            yield return KeyValuePair.Create(name, value);
        }
    }

    private static Option<string?> NewFormat()
    {
        var format = new Option<string?>("--format", "-o")
        {
            Description = "text, wide (text that is not cut to fit the terminal), json (an object a row), yaml (a list) or tsv (no "
                + "headings, for cut and awk). Default: text.",
            HelpName = "FORMAT",
        };
        format.AcceptOnlyFromAmong(RowFormats.Names);
        return format;
    }

    private static void Put(Dictionary<string, string> properties, IEnumerable<KeyValuePair<string, string>> more)
    {
        foreach (var (name, value) in more)
        {
            properties[name] = value;
            if (name is Servers)
                properties.Remove(Controllers);
            else if (name is Controllers)
                properties.Remove(Servers);
        }
    }

    private static void Choose(Dictionary<string, string> properties, string? servers, string? controllers)
    {
        if (controllers is not null)
            Put(properties, [new(Controllers, controllers)]);
        if (servers is not null)
            Put(properties, [new(Servers, servers)]);
    }

    private static void Limit(Dictionary<string, string> properties, ParseResult arguments)
    {
        const int defaultMs = 15_000;
        var given = arguments.GetValue(Timeout) is { } text ? (long?)Math.Max(1, (long)Duration(text, Timeout.Name).TotalMilliseconds)
            : null;
        if (given > int.MaxValue)
            throw new ConfigException($"{Timeout.Name}: it cannot be longer than 24 days.");
        var limit = (given ?? defaultMs).ToString(CultureInfo.InvariantCulture);
        foreach (var name in new[] { "request.timeout.ms", "default.api.timeout.ms", "max.block.ms", "socket.connection.setup.timeout.ms" })
        {
            if (given is not null)
                properties[name] = limit;
            else
                properties.TryAdd(name, limit);
        }

        var patience = long.TryParse(properties["request.timeout.ms"], out var requestMs) ? requestMs : defaultMs;
        const int lingerMs = 1_000;
        properties.TryAdd("delivery.timeout.ms", Math.Min(int.MaxValue, patience + lingerMs).ToString(CultureInfo.InvariantCulture));
    }
}
