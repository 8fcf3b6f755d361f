using System.Collections;
using System.CommandLine;
using Ottla.Configuration;

namespace Ottla.Cli.Commands;

/// <summary>The command line options that name a node's configuration: a file and single overrides. One instance per command.</summary>
internal sealed class ConfigurationOptions
{
    private readonly Option<FileInfo?> _config = new("--config", "-c")
    {
        Description =
            "Read the configuration from this Kafka server.properties file. Without it, Ottla uses defaults for development on one "
            + "machine.",
        HelpName = "FILE",
    };

    private readonly Argument<FileInfo?> _file = new("file")
    {
        Description = "The same as --config FILE, as kafka-server-start takes it.",
        HelpName = "FILE",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<string[]> _set = new("--set", "-s", "--override")
    {
        Description =
            "Set one config; may be repeated. It overrides environment variables (KAFKA_LOG_DIRS sets log.dirs), which override the file.",
        HelpName = "key=value",
        AllowMultipleArgumentsPerToken = false,
    };

    private readonly Option<bool> _container = new("--container")
    {
        Description =
            $"Be the entry point of an image: read {ContainerDefaults.MountedFile} if it is there, as Apache Kafka's image does, keep the "
            + "data in /data, answer on all addresses, and format the directories if needed.",
    };

    /// <summary>Adds the options to a command that may also name the file without an option, as Kafka's start script does.</summary>
    public void AddWithFileTo(Command command)
    {
        AddTo(command);
        command.Options.Add(_container);
        command.Arguments.Add(_file);
        command.Validators.Add(result =>
        {
            if (result.GetValue(_file) is not null && result.GetValue(_config) is not null)
                result.AddError("Name the configuration file once: as FILE or by --config.");
            if (result.GetValue(_container) && (result.GetValue(_file) ?? result.GetValue(_config)) is not null)
                result.AddError($"With --container, the configuration file is {ContainerDefaults.MountedFile}.");
        });
    }

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_config);
        command.Options.Add(_set);
    }

    /// <summary>
    /// Whether the command names no configuration file: then the node may format its log directories itself, as in development or in a
    /// container.
    /// </summary>
    public bool IsDevMode(ParseResult arguments) => FileOf(arguments) is null;

    /// <summary>Reads the configuration.</summary>
    /// <exception cref="ConfigException">A value is not allowed, or a file or an option is unreadable.</exception>
    public BrokerConfig Load(ParseResult arguments)
    {
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Select(entry => KeyValuePair.Create((string)entry.Key, (string?)entry.Value ?? ""));
        var overrides = (arguments.GetValue(_set) ?? []).Select(Split).ToList();
        if (arguments.GetValue(_container))
        {
            var mounted = new FileInfo(ContainerDefaults.MountedFile);
            return BrokerConfig.LoadInContainer(mounted.Exists ? ReadFile(mounted) : null, environment, overrides);
        }

        return FileOf(arguments) is { } file
            ? BrokerConfig.Load(ReadFile(file), environment, overrides)
            : BrokerConfig.LoadDevMode(environment, overrides);
    }

    /// <summary>Reads a file of properties.</summary>
    /// <exception cref="ConfigException">The file is unreadable.</exception>
    public static IReadOnlyDictionary<string, string> ReadFile(FileInfo file)
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

    private FileInfo? FileOf(ParseResult arguments) => arguments.GetValue(_config) ?? arguments.GetValue(_file);

    private static KeyValuePair<string, string> Split(string assignment)
    {
        var equals = assignment.IndexOf('=', StringComparison.Ordinal);
        return equals > 0
            ? KeyValuePair.Create(assignment[..equals].Trim(), assignment[(equals + 1)..].Trim())
            : throw new ConfigException($"Invalid value '{assignment}' for --set: expected key=value.");
    }
}
