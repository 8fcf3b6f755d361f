using System.CommandLine;
using Microsoft.Extensions.Logging;
using Ottla.Cli.Admin;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Transport;

namespace Ottla.Cli.Commands;

/// <summary>The command line options for the connection to a cluster. One instance per command.</summary>
/// <param name="brokersOnly">Whether only brokers can answer the command.</param>
internal sealed class AdminOptions(bool brokersOnly = false)
{
    private const string Server = "--bootstrap-server";
    private const string Controller = "--bootstrap-controller";

    private readonly Option<string?> _server = new(Server, "-B")
    {
        Description = "Ask one of these brokers, which forward requests for the controller.",
        HelpName = "HOST:PORT,...",
    };

    private readonly Option<string?> _controller = new(Controller)
    {
        Description = "Ask one of these controllers at its controller listener; no broker needs to run.",
        HelpName = "HOST:PORT,...",
    };

    private readonly Option<FileInfo?> _commandConfig = new("--command-config")
    {
        Description =
            "Read configs of the connection from this file, as for Kafka's clients: security.protocol, sasl.mechanism, sasl.jaas.config, "
            + "ssl.truststore.location and the other ssl configs; client.id, request.timeout.ms, default.api.timeout.ms, retry.backoff.ms.",
        HelpName = "FILE",
    };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Options.Add(_server);
        _server.Required = brokersOnly;
        if (!brokersOnly)
            command.Options.Add(_controller);
        command.Options.Add(_commandConfig);
        if (brokersOnly)
            return;
        command.Validators.Add(arguments =>
        {
            if (arguments.GetValue(_server) is null == arguments.GetValue(_controller) is null)
                arguments.AddError($"exactly one of {Server} and {Controller} is required");
        });
    }

    /// <summary>The file of <c>--command-config</c>; null when there is none.</summary>
    public FileInfo? CommandConfig(ParseResult arguments) => arguments.GetValue(_commandConfig);

    /// <summary>Runs a command's work on a connection, and turns failures into a message and an exit code.</summary>
    public Task<int> RunAsync(ParseResult arguments, Func<AdminConnection, Task> work) => TryRunAsync(arguments, async connection =>
    {
        await work(connection);
        return true;
    });

    /// <summary>Runs work that may fail in part: it returns false when it has printed the failures itself.</summary>
    public async Task<int> TryRunAsync(ParseResult arguments, Func<AdminConnection, Task<bool>> work)
    {
        using var log = new StandardErrorLog(LogLevel.Warning, TimeProvider.System);
        try
        {
            var logger = log.CreateLogger("Ottla");
            var settings = Settings(arguments, logger);
            var random = new Prng(unchecked((ulong)TimeProvider.System.GetTimestamp()));
            await using var connection = new AdminConnection(
                settings, Transports.ForThisMachine(1, TimeProvider.System, logger), random, TimeProvider.System, logger);
            return await work(connection) ? ExitCode.Success : ExitCode.Failure;
        }
        catch (ConfigException e)
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Usage;
        }
        catch (AdminException e)
        {
            Console.Error.WriteLine(e.Message);
            return ExitCode.Failure;
        }
    }

    private AdminSettings Settings(ParseResult arguments, ILogger logger)
    {
        var settings = arguments.GetValue(_server) is { } servers
            ? AdminSettings.Of(Server, servers, areControllers: false)
            : AdminSettings.Of(Controller, arguments.GetValue(_controller)!, areControllers: true);
        return CommandConfig(arguments) is { } file ? settings.With(ConfigurationOptions.ReadFile(file), logger) : settings;
    }
}
