using Ottla.Cli.KafkaTools.Options;
using Ottla.Client;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Security;

/// <summary>A resource that the options of kafka-acls name.</summary>
/// <param name="Type">The kind.</param>
/// <param name="Name">The name.</param>
/// <param name="Pattern">How it is meant.</param>
internal readonly record struct AclResource(ResourceType Type, string Name, AclPatternType Pattern);

/// <summary>Reads the options of kafka-acls.</summary>
internal static class AclArguments
{
    private const string ClusterName = "kafka-cluster";

    private static readonly string[] Actions = ["add", "remove", "list"];

    /// <summary>Reads and checks the options.</summary>
    /// <exception cref="UsageException">They do not make sense together.</exception>
    public static ParsedOptions Parse(ToolContext context)
    {
        ParsedOptions options;
        try
        {
            options = JoptTool.Parse(context, "This tool helps to manage acls on kafka.");
        }
        catch (OptionException e)
        {
            throw new UsageException(e.Message);
        }

        if (options.Has("bootstrap-server") && options.Has("bootstrap-controller"))
            throw new UsageException("Only one of --bootstrap-server or --bootstrap-controller must be specified");
        if (!options.Has("bootstrap-server") && !options.Has("bootstrap-controller"))
            throw new UsageException("One of --bootstrap-server or --bootstrap-controller must be specified");
        if (Actions.Count(options.Has) != 1)
            throw new UsageException("Command must include exactly one action: --list, --add, --remove. ");
        options.Refuse("list", "producer", "consumer", "allow-host", "allow-principal", "deny-host", "deny-principal");
        options.Refuse("producer", "operation", "deny-principal", "deny-host");
        options.Refuse("consumer", "operation", "deny-principal", "deny-host");
        if (options.Has("principal") && !options.Has("list"))
            throw new UsageException("The --principal option is only available if --list is set");
        if (options.Has("producer") && !options.Has("topic"))
            throw new UsageException("With --producer you must specify a --topic");
        if (options.Has("idempotent") && !options.Has("producer"))
            throw new UsageException("The --idempotent option is only available if --producer is set");
        if (options.Has("consumer") && (!options.Has("topic") || !options.Has("group")
            || (!options.Has("producer") && (options.Has("cluster") || options.Has("transactional-id")))))
        {
            throw new UsageException(
                "With --consumer you must specify a --topic and a --group and no --cluster or --transactional-id option should be "
                    + "specified.");
        }

        return options;
    }

    /// <summary>How names are meant.</summary>
    /// <exception cref="UsageException">The option has another value.</exception>
    public static AclPatternType PatternOf(ParsedOptions options)
    {
        var text = options.Value("resource-pattern-type") ?? "literal";
        return text.ToLowerInvariant() switch
        {
            "literal" => AclPatternType.Literal,
            "prefixed" => AclPatternType.Prefixed,
            "any" => AclPatternType.Any,
            "match" => AclPatternType.Match,
            _ => throw new UsageException($"Cannot parse argument '{text}' of option resource-pattern-type"),
        };
    }

    /// <summary>The resources that the options name.</summary>
    public static IReadOnlyList<AclResource> ResourcesOf(ParsedOptions options)
    {
        var pattern = PatternOf(options);
        var resources = new List<AclResource>();
        Add("topic", ResourceType.Topic);
        if (pattern == AclPatternType.Literal && (options.Has("cluster") || options.Has("idempotent")))
            resources.Add(new AclResource(ResourceType.Cluster, ClusterName, AclPatternType.Literal));
        Add("group", ResourceType.Group);
        Add("transactional-id", ResourceType.TransactionalId);
        Add("delegation-token", ResourceType.DelegationToken);
        Add("user-principal", ResourceType.User);
        return resources;

        void Add(string option, ResourceType type) =>
            resources.AddRange(options.Values(option).Select(name => new AclResource(type, name.Trim(), pattern)).Distinct());
    }

    /// <summary>The entries that the options mean, by resource; no entries where nobody is named.</summary>
    /// <exception cref="UsageException">There is no resource, or an operation is none of its kind's.</exception>
    public static IReadOnlyList<(AclResource Resource, IReadOnlyList<AclBinding> Entries)> EntriesOf(ParsedOptions options)
    {
        var resources = ResourcesOf(options);
        if (resources.Count == 0)
        {
            throw new UsageException(
                "You must provide at least one resource: --topic <topic> or --cluster or --group <group> or --delegation-token "
                    + "<Delegation Token ID>");
        }

        var wanted = new Dictionary<AclResource, List<AclOperation>>();
        foreach (var resource in resources)
        {
            var operations = OperationsOf(options, resource);
            if (operations.Count > 0)
                wanted[resource] = operations;
        }

        return
        [
            .. wanted.Select(each => (each.Key, (IReadOnlyList<AclBinding>)
            [
                .. Entries(options, each.Key, each.Value, "allow-principal", "allow-host", AclPermission.Allow),
                .. Entries(options, each.Key, each.Value, "deny-principal", "deny-host", AclPermission.Deny),
            ])),
        ];
    }

    private static List<AclOperation> OperationsOf(ParsedOptions options, AclResource resource)
    {
        var operations = new List<AclOperation>();
        if (options.Has("producer"))
        {
            operations.AddRange(resource.Type switch
            {
                ResourceType.Topic => [AclOperation.Write, AclOperation.Create, AclOperation.Describe],
                ResourceType.TransactionalId => [AclOperation.Write, AclOperation.Describe],
                ResourceType.Cluster when options.Has("idempotent") => [AclOperation.IdempotentWrite],
                _ => [],
            });
        }

        if (options.Has("consumer"))
        {
            operations.AddRange(resource.Type switch
            {
                ResourceType.Topic => [AclOperation.Read, AclOperation.Describe],
                ResourceType.Group => [AclOperation.Read],
                _ => (AclOperation[])[],
            });
        }

        if (options.Has("producer") || options.Has("consumer"))
            return [.. operations.Distinct()];
        var names = options.Values("operation");
        foreach (var name in names.Count == 0 ? ["All"] : names)
        {
            var operation = AclText.OperationOf(name.Trim());
            var allowed = AclText.OperationsOf(resource.Type);
            if (operation is null || !allowed.Contains(operation.Value))
            {
                throw new UsageException(
                    $"ResourceType {AclText.NameOf(resource.Type)} only supports operations "
                        + $"[{string.Join(", ", allowed.Select(AclText.NameOf))}]");
            }

            operations.Add(operation.Value);
        }

        return [.. operations.Distinct()];
    }

    private static IEnumerable<AclBinding> Entries(
        ParsedOptions options, AclResource resource, List<AclOperation> operations, string principalOption, string hostOption,
        AclPermission permission)
    {
        var hosts = options.Has(hostOption) ? options.Values(hostOption).Select(host => host.Trim()).Distinct().ToList() : ["*"];
        return options.Values(principalOption).Select(PrincipalText.Parse).Distinct().SelectMany(principal => operations.SelectMany(
            operation => hosts.Select(host => new AclBinding(
                resource.Type, resource.Name, principal.ToString(), operation, permission, resource.Pattern, host))));
    }
}
