using System.CommandLine;
using System.Globalization;
using Ottla.Broker.Directories;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Cli.Commands;

/// <summary><c>ottla format</c>: prepares the log directories of a new node, as kafka-storage format does.</summary>
internal static class FormatCommand
{
    public static Command Create()
    {
        var configuration = new ConfigurationOptions();
        var clusterId = new Option<string>("--cluster-id", "-t")
        {
            Description = "The id of the cluster: 22 characters of base64. 'ottla random-uuid' prints a new one.",
            Required = true,
            HelpName = "ID",
        };
        var standalone = new Option<bool>("--standalone")
        {
            Description = "Make this node the only voter of a new dynamic quorum (KIP-853).",
        };
        var initialControllers = new Option<string?>("--initial-controllers", "-I")
        {
            Description = "The voters of a new dynamic quorum: id@host:port:directoryId, separated by commas.",
            HelpName = "VOTERS",
        };
        var noInitialControllers = new Option<bool>("--no-initial-controllers", "-N")
        {
            Description = "Format a node that joins a dynamic quorum later.",
        };
        var feature = new Option<string[]>("--feature", "-f")
        {
            Description = "Set the initial level of a feature; may be repeated.",
            HelpName = "name=level",
        };
        var releaseVersion = new Option<string?>("--release-version", "-r")
        {
            Description = "Set the initial metadata version, for example 4.3-IV0. Default: the newest.",
            HelpName = "VERSION",
        };
        var addScram = new Option<string[]>("--add-scram", "-S")
        {
            Description = "Create a SCRAM credential, for example SCRAM-SHA-256=[name=alice,password=secret]; may be repeated.",
            HelpName = "CREDENTIAL",
        };
        var ignoreFormatted = new Option<bool>("--ignore-formatted", "-g")
        {
            Description = "Skip directories that are already formatted, instead of failing.",
        };
        var command = new Command("format", "Prepare the log directories of a new node, as kafka-storage format does.")
        {
            clusterId, standalone, initialControllers, noInitialControllers, feature, releaseVersion, addScram, ignoreFormatted,
        };
        configuration.AddTo(command);
        command.Validators.Add(arguments =>
        {
            string[] given =
                [.. new Option[] { standalone, noInitialControllers, initialControllers }.Where(
                    option => arguments.GetResult(option) is { Implicit: false }).Select(option => option.Name)];
            if (given.Length > 1)
                arguments.AddError($"argument {given[1]}: not allowed with argument {given[0]}");
        });
        command.SetAction(arguments => Run(() =>
        {
            var config = configuration.Load(arguments);
            return (config, LogDirectories.FormatRequestOf(config, arguments.GetValue(clusterId)!) with
            {
                ReleaseVersion = arguments.GetValue(releaseVersion),
                Features = ParseFeatures(arguments.GetValue(feature) ?? []),
                ScramArguments = arguments.GetValue(addScram) ?? [],
                InitialControllers = arguments.GetValue(standalone) ? [Self(config)]
                    : arguments.GetValue(initialControllers) is { } voters ? InitialController.ParseList(voters) : null,
                HasNoInitialControllers = arguments.GetValue(noInitialControllers),
                IgnoreFormatted = arguments.GetValue(ignoreFormatted),
            });
        }));
        return command;
    }

    private static int Run(Func<(BrokerConfig Config, FormatRequest Request)> read)
    {
        try
        {
            var (config, request) = read();
            return Format(config, request, Console.Out, Console.Error);
        }
        catch (Exception e) when (e is ConfigException or FormatterException)
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Usage;
        }
    }

    /// <summary>Formats, and says what it does.</summary>
    /// <returns>The exit code.</returns>
    /// <exception cref="FormatterException">The request cannot be carried out; nothing is written.</exception>
    internal static int Format(BrokerConfig config, FormatRequest request, TextWriter output, TextWriter error)
    {
        try
        {
            var disk = new RealFileSystem();
            var plan = StorageFormatter.Plan(request, path => LogDirectories.Existing(disk, path));
            foreach (var (path, reason) in plan.Unreadable)
                output.WriteLine($"I/O error trying to read log directory {path}. Ignoring... ({reason})");
            if (plan.Directories.Count == 0)
            {
                output.WriteLine("All of the log directories are already formatted.");
                return ExitCode.Success;
            }

            foreach (var warning in Warnings(config, request))
                error.WriteLine($"WARNING: {warning}");
            output.WriteLine($"Bootstrap metadata: {BootstrapMetadataText.Of(plan)}");
            var listener = config.ControllerListenerNames.Count > 0 ? config.ControllerListenerNames[0] : "CONTROLLER";
            LogDirectories.Format(plan, listener, disk, Instant.Now(TimeProvider.System), directory =>
                output.WriteLine($"Formatting {directory.Kind} {directory.Path} with metadata.version {plan.MetadataVersion}."));
            return ExitCode.Success;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            error.WriteLine($"The log directories are not all formatted: {e.Message}");
            return ExitCode.Failure;
        }
    }

    /// <summary>Warns of settings that are allowed, and mostly mistakes.</summary>
    private static IEnumerable<string> Warnings(BrokerConfig config, FormatRequest request)
    {
        if (request.InitialControllers is not { } controllers || !config.IsController)
            yield break;
        if (controllers.FirstOrDefault(controller => controller.Id == config.NodeId) is not { } self)
        {
            yield return $"node.id {config.NodeId} is not among --initial-controllers: this controller follows the quorum without a vote "
                + "until "
                + "'ottla quorum add-controller' adds it.";
            yield break;
        }

        var advertised = config.AdvertisedControllerListeners[0];
        if (self.Port != advertised.Port || (advertised.Host is { } host && host != self.Host))
        {
            yield return $"--initial-controllers has node {self.Id} at {self.Host}:{self.Port}, but its configuration advertises "
                + $"{advertised}: the "
                + "others look for it at the former address until it has told them.";
        }
    }

    /// <summary>This node as the only voter.</summary>
    /// <exception cref="FormatterException">It is no controller.</exception>
    internal static InitialController Self(BrokerConfig config)
    {
        if (!config.IsController)
            throw new FormatterException(
                "You can only use --standalone on a controller: add 'controller' to process.roles, or leave --standalone out.");
        var listener = config.AdvertisedControllerListeners[0];
        return new InitialController(config.NodeId, listener.Host ?? "localhost", listener.Port, Uuid.NewRandom());
    }

    private static Dictionary<string, short> ParseFeatures(string[] assignments)
    {
        var features = new Dictionary<string, short>(StringComparer.Ordinal);
        foreach (var assignment in assignments)
        {
            if (assignment.Split('=', StringSplitOptions.TrimEntries) is not [var name, var text]
                || !short.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var level))
                throw new FormatterException(
                    $"Invalid value '{assignment}' for --feature: expected name=level, for example group.version=1.");
            features[name] = level;
        }

        return features;
    }
}
