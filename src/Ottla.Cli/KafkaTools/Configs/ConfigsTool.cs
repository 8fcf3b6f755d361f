using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools.Configs;

/// <summary>kafka-configs: shows and changes configs, quotas and SCRAM credentials.</summary>
internal static class ConfigsTool
{
    private const string InvalidConfiguration = "org.apache.kafka.common.errors.InvalidConfigurationException";

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(
            context,
            "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, client-metrics or group");
        if (options.Has("describe") == options.Has("alter"))
            throw new UsageException("Command must include exactly one action: --describe, --alter");
        options.Refuse("describe", "add-config", "delete-config");
        var entities = ConfigEntities.Read(options, context.Arguments);
        Check(options, entities);
        try
        {
            await using var client = ToolClient.Open(
                options.Value("bootstrap-server"), options.Value("bootstrap-controller"), options.Value("command-config"));
            if (options.Has("alter"))
                await new ConfigAlterer(context.Output, client, entities).RunAsync(ConfigChanges.Read(options));
            else
                await new ConfigDescriber(context.Output, client, entities, options.Has("all")).RunAsync();
            return 0;
        }
        catch (JavaException e) when (e.Class is not ("java.lang.IllegalArgumentException" or InvalidConfiguration))
        {
            await context.Output.FlushAsync();
            context.Error.WriteLine($"Error while executing config command with args '{string.Join(' ', context.Arguments)}'");
            context.Error.WriteLine(e.Text);
            return 1;
        }
    }

    private static void Check(ParsedOptions options, ConfigEntities entities)
    {
        var hasName = entities.Names.Any(name => name.Length > 0);
        var hasDefault = entities.Names.Contains("");
        var types = string.Join(',', entities.Types);
        var takesDefault = entities.Type is "users" or "clients" or "brokers" or "ips";
        if (options.Has("describe"))
        {
            if (!takesDefault && options.Has("entity-default"))
                throw JavaException.IllegalArgument($"--entity-default must not be specified with --describe of {types}");
            if (entities.Type == "broker-loggers" && !hasName)
                throw JavaException.IllegalArgument($"An entity name must be specified with --describe of {types}");
            return;
        }

        if (takesDefault && !hasName && !hasDefault)
        {
            throw JavaException.IllegalArgument(
                "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips");
        }

        if (!takesDefault && !hasName)
            throw JavaException.IllegalArgument($"An entity name must be specified with --alter of {types}");
        if (options.Has("add-config") && options.Has("add-config-file"))
            throw JavaException.IllegalArgument("Only one of --add-config or --add-config-file must be specified");
        if (!options.Has("add-config") && !options.Has("add-config-file") && !options.Has("delete-config"))
        {
            throw JavaException.IllegalArgument(
                "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter");
        }

        if (entities.Types.Count != entities.Names.Count)
            throw JavaException.IllegalArgument("An entity name must be specified for every entity type");
    }
}
