using System.CommandLine;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools.Security;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Protocol;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla acl</c>: who may do what.</summary>
internal static class AclNoun
{
    private const string Cluster = "kafka-cluster";

    private static readonly Argument<string> Who = new("principal")
    {
        Description = "Whom it is about: alice, User:alice, or '*' for everybody.",
        HelpName = "PRINCIPAL",
    };

    private static readonly Option<string[]> Operations = CommonOptions.Texts(
        "--operation", "What it is about: read, write, create, delete, alter, describe, all and others; may be repeated.", "OPERATION",
            "-O");

    private static readonly (ResourceType Type, Option<string[]> Option)[] Resources =
    [
        (ResourceType.Topic, CommonOptions.Texts("--topic", "A topic; 'logs-*' for all that begin so, '*' for all.", "TOPIC")),
        (ResourceType.Group, CommonOptions.Texts("--group", "A group, likewise.", "GROUP")),
        (ResourceType.TransactionalId, CommonOptions.Texts("--transactional-id", "A transactional id, likewise.", "ID")),
        (ResourceType.DelegationToken, CommonOptions.Texts("--delegation-token", "A delegation token, likewise.", "ID")),
        (ResourceType.User, CommonOptions.Texts("--user", "A user whose tokens are meant, as User:alice.", "PRINCIPAL")),
    ];

    private static readonly Option<bool> OnCluster = CommonOptions.Flag("--cluster", "The cluster itself.");

    private static readonly Option<string?> Host = CommonOptions.Text("--host", "From where; anywhere without it.", "ADDRESS");

    public static Command Create() => ClusterCommand.Noun(
        "acl", "See and change who may do what.", CreateList(), CreateAdd("allow", AclPermission.Allow),
            CreateAdd("deny", AclPermission.Deny),
        CreateRemove());

    private static ClusterCommand CreateAdd(string name, AclPermission permission)
    {
        var producer = CommonOptions.Flag("--producer", "What a producer needs on the topics: write, describe, create.");
        var consumer = CommonOptions.Flag("--consumer", "What a consumer needs on the topics (read, describe) and groups (read).");
        var isAllow = permission == AclPermission.Allow;
        return new ClusterCommand(
            name, isAllow ? "Allow somebody to do something." : "Deny somebody something, whatever else allows it.",
            isAllow ? "acl allow alice --consumer --topic orders --group billing" : "acl deny mallory --operation all --topic orders",
            async context =>
            {
                var patterns = Patterns(context).ToList();
                if (patterns.Count == 0)
                    throw new ConfigException("On what? Name a --topic, a --group, the --cluster or another resource.");
                var wanted = Bindings(context, patterns, permission, context.Value(producer), context.Value(consumer)).Distinct().ToList();
                if (wanted.Count == 0)
                    throw new ConfigException("What? Say an --operation, --producer or --consumer.");
                var isDryRun = context.Value(CommonOptions.DryRun);
                var results = isDryRun ? null : await context.Admin.CreateAclsAsync(wanted);
                Print(context, wanted.Where(acl => results is null || !context.Failed($"{AclText.ResourceOf(acl)}", results[acl])));
                if (isDryRun)
                    context.Note("Nothing was changed: this is what would be added.");
            }, [Who, Operations, producer, consumer, .. Resources.Select(each => each.Option), OnCluster, Host, CommonOptions.DryRun]);
    }

    private static IEnumerable<AclBinding> Bindings(
        CommandContext context, IReadOnlyList<(ResourceType Type, string Name, AclPatternType Pattern)> patterns, AclPermission permission,
        bool isProducer, bool isConsumer)
    {
        foreach (var (type, name, pattern) in patterns)
        {
            var operations = (context.Value(Operations) ?? []).Select(OperationOf).ToList();
            if (isProducer && type == ResourceType.Topic)
                operations.AddRange([AclOperation.Write, AclOperation.Describe, AclOperation.Create]);
            if (isProducer && type == ResourceType.TransactionalId)
                operations.AddRange([AclOperation.Write, AclOperation.Describe]);
            if (isConsumer && type == ResourceType.Topic)
                operations.AddRange([AclOperation.Read, AclOperation.Describe]);
            if (isConsumer && type == ResourceType.Group)
                operations.Add(AclOperation.Read);
            foreach (var operation in operations)
            {
                if (!AclText.OperationsOf(type).Contains(operation))
                    throw new ConfigException($"{AclText.NameOf(operation)} means nothing on {AclText.NameOf(type)}. "
                        + $"There are {string.Join(", ", AclText.OperationsOf(type).Select(AclText.NameOf)).ToLowerInvariant()}.");
                yield return new AclBinding(type, name, PrincipalOf(context.Value(Who)!), operation, permission, pattern,
                    context.Value(Host) ?? "*");
            }
        }
    }

    private static ClusterCommand CreateList()
    {
        var (who, filters) = Filter();
        return new ClusterCommand("list", "List entries, all or those that match.", "acl list --principal alice --topic orders",
            async context =>
        {
            var found = new List<AclBinding>();
            foreach (var filter in filters(context))
                found.AddRange(await context.Admin.DescribeAclsAsync(filter));
            Print(context, found.Distinct());
        }, [who, Operations, .. Resources.Select(each => each.Option), OnCluster, Host]);
    }

    private static ClusterCommand CreateRemove()
    {
        var (who, filters) = Filter();
        return new ClusterCommand(
            "remove", "Remove the entries that match. Without --principal or resources nothing is removed.",
            "acl remove --principal alice --topic orders --yes", async context =>
            {
                var wanted = filters(context);
                if (context.Value(who) is null && !Patterns(context).Any())
                    throw new ConfigException("Which entries? Name a --principal, or a resource as --topic.");
                var found = new List<AclBinding>();
                foreach (var filter in wanted)
                    found.AddRange(await context.Admin.DescribeAclsAsync(filter));
                found = [.. found.Distinct()];
                if (found.Count == 0)
                {
                    context.Fail("No entry matches.");
                    return;
                }

                if (context.Value(CommonOptions.DryRun) || !context.Confirm($"Remove {found.Count} entries?"))
                {
                    Print(context, found);
                    return;
                }

                var removed = new List<AclBinding>();
                foreach (var (_, result) in await context.Admin.DeleteAclsAsync(wanted))
                {
                    foreach (var (acl, each) in result.Value)
                    {
                        if (!context.Failed(AclText.ResourceOf(acl), each))
                            removed.Add(acl);
                    }
                }

                Print(context, removed.Distinct());
            }, [who, Operations, .. Resources.Select(each => each.Option), OnCluster, Host, CommonOptions.Yes, CommonOptions.DryRun]);
    }

    private static (Option<string?> Who, Func<CommandContext, IReadOnlyList<AclFilter>> Filters) Filter()
    {
        var who = CommonOptions.Text("--principal", "Only entries about this user.", "PRINCIPAL");
        return (who, context =>
        {
            var operations = (context.Value(Operations) ?? []).Select(text => (AclOperation?)OperationOf(text)).ToList();
            if (operations.Count == 0)
                operations.Add(null);
            var patterns = Patterns(context).Select(each => ((ResourceType?)each.Type, (string?)each.Name, each.Pattern)).ToList();
            if (patterns.Count == 0)
                patterns.Add((null, null, AclPatternType.Any));
            return
            [
                .. from pattern in patterns
                   from operation in operations
                   select new AclFilter
                   {
                       ResourceType = pattern.Item1,
                       ResourceName = pattern.Item2,
                       PatternType = pattern.Item3,
                       Principal = context.Value(who) is { } name ? PrincipalOf(name) : null,
                       Host = context.Value(Host),
                       Operation = operation,
                   },
            ];
        }
        );
    }

    private static IEnumerable<(ResourceType Type, string Name, AclPatternType Pattern)> Patterns(CommandContext context)
    {
        foreach (var (type, option) in Resources)
        {
            foreach (var name in context.Value(option) ?? [])
            {
                var isPrefix = name.Length > 1 && name.EndsWith('*');
                yield return (type, isPrefix ? name[..^1] : name, isPrefix ? AclPatternType.Prefixed : AclPatternType.Literal);
            }
        }

        if (context.Value(OnCluster))
            yield return (ResourceType.Cluster, Cluster, AclPatternType.Literal);
    }

    private static string PrincipalOf(string text) => text.Contains(':') ? text : $"User:{text}";

    private static AclOperation OperationOf(string text) =>
        AclText.OperationOf(text.Replace("-", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal))
        ?? throw new ConfigException($"There is no operation '{text}'. There are "
            + $"{string.Join(", ", Enum.GetValues<AclOperation>().Select(AclText.NameOf).Append("ALL")).ToLowerInvariant()}.");

    private static void Print(CommandContext context, IEnumerable<AclBinding> acls)
    {
        var rows = context.Rows("principal", "permission", "operation", "resourceType", "resource", "pattern", "host");
        foreach (var acl in acls.OrderBy(acl => acl.Principal, StringComparer.Ordinal).ThenBy(acl => acl.ResourceType)
            .ThenBy(acl => acl.ResourceName, StringComparer.Ordinal).ThenBy(acl => acl.Operation))
        {
            rows.Add(
                acl.Principal, acl.Permission.ToString().ToLowerInvariant(), AclText.NameOf(acl.Operation).ToLowerInvariant(),
                AclText.NameOf(acl.ResourceType).ToLowerInvariant(), acl.ResourceName, acl.PatternType.ToString().ToLowerInvariant(),
                    acl.Host);
        }

        rows.End("There are no entries.");
    }
}
