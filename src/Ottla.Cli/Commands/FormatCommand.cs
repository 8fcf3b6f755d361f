using System.CommandLine;
using System.Globalization;
using Ottla.Broker.Metadata;
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
            var listener = config.ControllerListenerNames.Count > 0 ? config.ControllerListenerNames[0] : "CONTROLLER";
            return (LogDirectories.FormatRequestOf(config, arguments.GetValue(clusterId)!) with
            {
                ReleaseVersion = arguments.GetValue(releaseVersion),
                Features = ParseFeatures(arguments.GetValue(feature) ?? []),
                ScramArguments = arguments.GetValue(addScram) ?? [],
                InitialControllers = arguments.GetValue(standalone) ? [Self(config)]
                    : arguments.GetValue(initialControllers) is { } voters ? ParseControllers(voters) : null,
                HasNoInitialControllers = arguments.GetValue(noInitialControllers),
                IgnoreFormatted = arguments.GetValue(ignoreFormatted),
            }, listener);
        }));
        return command;
    }

    private static int Run(Func<(FormatRequest Request, string ControllerListener)> read)
    {
        try
        {
            var (request, listener) = read();
            var disk = new RealFileSystem();
            var plan = StorageFormatter.Plan(request, path => LogDirectories.Existing(disk, path));
            LogDirectories.Format(plan, listener, disk, Instant.Now(TimeProvider.System));
            foreach (var directory in plan.Directories)
                Console.WriteLine($"Formatting {directory.Kind} {directory.Path} with metadata.version {plan.MetadataVersion}.");
            if (plan.Directories.Count == 0)
                Console.WriteLine("All of the log directories are already formatted.");
            return ExitCode.Success;
        }
        catch (Exception e) when (e is ConfigException or FormatterException)
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Usage;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Failure;
        }
    }

    private static InitialController Self(BrokerConfig config)
    {
        if (!config.IsController)
            throw new FormatterException("You can only use --standalone on a controller.");
        var listener = config.AdvertisedControllerListeners[0];
        return new InitialController(config.NodeId, listener.Host ?? "localhost", listener.Port, Uuid.NewRandom());
    }

    private static Dictionary<string, short> ParseFeatures(string[] assignments)
    {
        var features = new Dictionary<string, short>(StringComparer.Ordinal);
        foreach (var assignment in assignments)
        {
            if (assignment.Split('=') is not [var name, var text]
                || !short.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var level))
                throw new FormatterException($"Invalid value '{assignment}' for --feature: expected name=level.");
            features[name] = level;
        }

        return features;
    }

    private static List<InitialController> ParseControllers(string text) => [.. text.Split(',').Select(ParseController)];

    /// <summary><c>id@host:port:directoryId</c>; an IPv6 host stands in brackets.</summary>
    private static InitialController ParseController(string text)
    {
        var at = text.IndexOf('@', StringComparison.Ordinal);
        var directoryColon = text.LastIndexOf(':');
        var portColon = directoryColon > 0 ? text.LastIndexOf(':', directoryColon - 1) : -1;
        if (at > 0 && portColon > at
            && int.TryParse(text[..at], NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            && ushort.TryParse(text[(portColon + 1)..directoryColon], NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            && Uuid.TryParse(text[(directoryColon + 1)..], out var directoryId))
            return new InitialController(id, text[(at + 1)..portColon].Trim('[', ']'), port, directoryId);
        throw new FormatterException($"Invalid value '{text}' for --initial-controllers: expected id@host:port:directoryId.");
    }
}
