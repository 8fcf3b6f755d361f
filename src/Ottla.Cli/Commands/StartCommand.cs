using System.CommandLine;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Ottla.Broker;
using Ottla.Broker.Hosts;
using Ottla.Broker.Monitoring;
using Ottla.Broker.Server;
using Ottla.Cli.Monitoring;
using Ottla.Cli.Monitoring.Otlp;
using Ottla.Configuration;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Files;
using Ottla.Storage.Upkeep;

namespace Ottla.Cli.Commands;

/// <summary><c>ottla start</c>: runs a node in the foreground until SIGTERM, SIGINT or SIGHUP.</summary>
internal static partial class StartCommand
{
    public static Command Create()
    {
        var configuration = new ConfigurationOptions();
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Also log debug messages." };
        var format = new Option<string>("--log-format")
        {
            Description = "What the lines of the log are: text, as Kafka's, or json, an object on each.",
            DefaultValueFactory = _ => "text",
            HelpName = "text|json",
        };
        format.AcceptOnlyFromAmong("text", "json");
        var command = new Command(
            "start",
            "Run a broker in the foreground. It logs to standard error; SIGTERM, SIGINT or SIGHUP stops it in order."
            + " Without a configuration file it formats ./data if needed and listens on 127.0.0.1:9092.");
        configuration.AddWithFileTo(command);
        command.Options.Add(verbose);
        command.Options.Add(format);
        command.SetAction(arguments => RunAsync(
            arguments, configuration, arguments.GetValue(verbose),
            arguments.GetValue(format) == "json" ? LogFormat.Json : LogFormat.Text));
        return command;
    }

    private static async Task<int> RunAsync(ParseResult arguments, ConfigurationOptions configuration, bool verbose, LogFormat format)
    {
        using var log = new StandardErrorLog(LogLevel.Trace, TimeProvider.System, format);
        using var loggers = new LeveledLoggers(log, verbose ? LogLevel.Debug : LogLevel.Information);
        var logger = loggers.CreateLogger("Ottla");
        using var stop = new StopSignals();
        try
        {
            var config = configuration.Load(arguments);
            foreach (var warning in config.Warnings)
                LogWarning(logger, warning);
            DescriptorLimit.Raise();
            using var counters = RuntimeCounters.StartFromEnvironment(TimeProvider.System, warning => LogWarning(logger, warning));
            await using var monitoring =
                MonitoringServer.Start(config, TimeProvider.System, loggers.CreateLogger(nameof(MonitoringServer)));
            await using var otlp = OtlpExporter.Start(
                config, VersionCommand.Version, TimeProvider.System, loggers.CreateLogger(nameof(OtlpExporter)));
            var platform = new NodePlatform(new RealFileSystem(),
                Transports.ForThisMachine(config.NumNetworkThreads, TimeProvider.System, logger), TimeProvider.System, loggers, NewSeed())
            {
                ClientMetrics = otlp,
            };
            await using var node = await BrokerNode.StartAsync(config, mayFormat: configuration.IsDevMode(arguments), platform, stop.Token);
            node.Metrics.Add(new ProcessMetrics(TimeProvider.System, () => log.DroppedLines));
            otlp?.Serve(node);
            monitoring?.Serve(node);
            using var meter = new MeterBridge(node.Metrics, TimeProvider.System);
            using var heapTrimmer = HeapTrimmer.Start(node, TimeProvider.System);
            LogStarted(logger, VersionCommand.Version, config.NodeId);
            await Task.WhenAny(stop.Requested, node.Failure);
            if (node.Failure.IsCompleted)
            {
                LogFatal(logger, (await node.Failure).Message);
                return ExitCode.Failure;
            }

            LogStopping(logger);
            await node.StopAsync();
            LogStopped(logger);
            return ExitCode.Success;
        }
        catch (OperationCanceledException) when (stop.Token.IsCancellationRequested)
        {
            LogStoppedEarly(logger);
            return ExitCode.Success;
        }
        catch (ConfigException e)
        {
            LogFatal(logger, e.Message);
            return ExitCode.Usage;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or ProtocolException or MetadataException or MetadataLogException
            or SocketException or LogDirectoryInUseException or UnauthorizedAccessException or NodeStartException)
        {
            LogFatal(logger, e.Message);
            return ExitCode.Failure;
        }
    }

    private static ulong NewSeed() => unchecked((ulong)TimeProvider.System.GetTimestamp() ^ ((ulong)Environment.ProcessId << 32));

    [LoggerMessage(Level = LogLevel.Information, Message = "Ottla {Version} started as node {NodeId}")]
    private static partial void LogStarted(ILogger logger, string version, int nodeId);

    [LoggerMessage(Level = LogLevel.Information, Message = "Stopping")]
    private static partial void LogStopping(ILogger logger);

    [LoggerMessage(Level = LogLevel.Information, Message = "Stopped")]
    private static partial void LogStopped(ILogger logger);

    [LoggerMessage(Level = LogLevel.Information, Message = "Stopped during the start: the next start recovers the logs from the beginning")]
    private static partial void LogStoppedEarly(ILogger logger);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);

    [LoggerMessage(Level = LogLevel.Critical, Message = "{Reason}")]
    private static partial void LogFatal(ILogger logger, string reason);
}
