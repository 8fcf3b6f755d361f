using System.Collections;
using System.CommandLine;
using Ottla.Configuration;

namespace Ottla.Cli.Commands;

/// <summary>The options that say what a node's configuration is, and how it is read.</summary>
internal sealed class ConfigurationOptions
{
    private readonly Option<FileInfo?> _config = new("--config", "-c")
    {
        Description = "A Kafka server.properties file. Without one, defaults for development on one machine are used.",
        HelpName = "FILE",
    };

    private readonly Option<string[]> _set = new("--set", "-s")
    {
        Description = "Sets one config, over file and environment; may be repeated. Environment variables KAFKA_LOG_DIRS and the like set log.dirs and the like.",
        HelpName = "key=value",
        AllowMultipleArgumentsPerToken = false,
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_config);
        command.Options.Add(_set);
    }

    /// <summary>Whether no configuration file was named: then a node may format its directories by itself.</summary>
    public bool IsDevMode(ParseResult arguments) => arguments.GetValue(_config) is null;

    /// <summary>Reads the configuration.</summary>
    /// <exception cref="ConfigException">A value is not allowed, or a file or option cannot be read.</exception>
    public BrokerConfig Load(ParseResult arguments)
    {
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Select(entry => KeyValuePair.Create((string)entry.Key, (string?)entry.Value ?? ""));
        var overrides = (arguments.GetValue(_set) ?? []).Select(Split).ToList();
        return arguments.GetValue(_config) is { } file
            ? BrokerConfig.Load(ReadProperties(file), environment, overrides)
            : BrokerConfig.LoadDevMode(environment, overrides);
    }

    private static IEnumerable<KeyValuePair<string, string>> ReadProperties(FileInfo file)
    {
        try
        {
            using var reader = file.OpenText();
            return JavaProperties.Parse(reader.ReadToEnd());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"Cannot read the configuration file {file.FullName}: {e.Message}");
        }
    }

    private static KeyValuePair<string, string> Split(string assignment)
    {
        var equals = assignment.IndexOf('=', StringComparison.Ordinal);
        return equals > 0
            ? KeyValuePair.Create(assignment[..equals].Trim(), assignment[(equals + 1)..].Trim())
            : throw new ConfigException($"--set takes key=value, not '{assignment}'.");
    }
}
