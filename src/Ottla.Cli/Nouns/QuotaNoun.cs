using System.CommandLine;
using System.Globalization;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Configuration;

namespace Ottla.Cli.Nouns;

/// <summary><c>ottla quota</c>: how much clients may do.</summary>
internal static class QuotaNoun
{
    private const string Default = "default";

    private static readonly Option<string?> User = CommonOptions.Text("--user", "A user; 'default' for those without their own.", "USER");

    private static readonly Option<string?> ClientId =
        CommonOptions.Text("--client-id", "A client id; 'default' for those without their own.", "ID");

    private static readonly Option<string?> Ip =
        CommonOptions.Text("--ip", "An address; 'default' for those without their own.", "ADDRESS");

    public static Command Create() => ClusterCommand.Noun(
        "quota", "See and set how much clients may do.", CreateGet(), CreateSet(), CreateUnset(), CreateResolve());

    private static ClusterCommand CreateGet() => new(
        "get", "List quotas, all or those of a user, a client id or an address.", "quota get --user alice", async context =>
        {
            var filters = Parts(context).Select(part => part.Value is null
                ? ClientQuotaFilter.Default(part.Key) : ClientQuotaFilter.Named(part.Key, part.Value));
            Print(context, await context.Admin.DescribeClientQuotasAsync(filters));
        }, User, ClientId, Ip);

    private static ClusterCommand CreateSet()
    {
        var quotas = new Argument<string[]>("quota")
        {
            Description =
                "producer_byte_rate, consumer_byte_rate, request_percentage, controller_mutation_rate or connection_creation_rate.",
            HelpName = "NAME=VALUE",
            Arity = ArgumentArity.OneOrMore,
        };
        return new ClusterCommand(
            "set", "Set quotas.", "quota set producer_byte_rate=1048576 --user alice", context => AlterAsync(
                context, ConnectionOptions.Assignments(context.Value(quotas), "quota").ToDictionary(
                    each => each.Key,
                    each => double.TryParse(each.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
                        ? (double?)value : throw new ConfigException($"{each.Key}: '{each.Value}' is no number."))),
            quotas, User, ClientId, Ip, CommonOptions.DryRun);
    }

    private static ClusterCommand CreateUnset()
    {
        var quotas = new Argument<string[]>("quota") { Description = "The quotas.", HelpName = "QUOTA", Arity = ArgumentArity.OneOrMore };
        return new ClusterCommand(
            "unset", "Remove quotas.", "quota unset producer_byte_rate --user alice",
            context => AlterAsync(context, context.Value(quotas)!.Distinct().ToDictionary(name => name, _ => (double?)null)), quotas, User,
            ClientId, Ip, CommonOptions.DryRun);
    }

    private static ClusterCommand CreateResolve() => new(
        "resolve", "Tell which quotas hold for a client of a user, and which level they come from.",
        "quota resolve --user alice --client-id billing", async context =>
        {
            var all = await context.Admin.DescribeClientQuotasAsync();
            var levels = Levels(context.Value(User), context.Value(ClientId)).ToList();
            var rows = context.Rows("quota", "value", "from");
            foreach (var name in all.Values.SelectMany(quotas => quotas.Keys).Distinct().Order(StringComparer.Ordinal))
            {
                if (levels.Find(level => all.TryGetValue(level, out var quotas) && quotas.ContainsKey(name)) is { } found)
                    rows.Add(name, all[found][name], found.ToString());
            }

            rows.End("No quota holds.");
        }, User, ClientId);

    /// <summary>The levels at which the quota of a client is looked for, the one that wins first (KIP-55).</summary>
    public static IEnumerable<ClientQuotaEntity> Levels(string? user, string? clientId)
    {
        string?[] users = user is null or Default ? [null] : [user, null];
        string?[] clients = clientId is null or Default ? [null] : [clientId, null];
        foreach (var name in users)
        {
            foreach (var id in clients)
                yield return ClientQuotaEntity.ForUserAndClientId(name, id);
            yield return ClientQuotaEntity.ForUser(name);
        }

        foreach (var id in clients)
            yield return ClientQuotaEntity.ForClientId(id);
    }

    private static async Task AlterAsync(CommandContext context, IReadOnlyDictionary<string, double?> changes)
    {
        var parts = Parts(context).ToList();
        if (parts.Count == 0)
            throw new ConfigException("Whose? Say --user, --client-id or --ip; 'default' means those without their own.");
        var entity = new ClientQuotaEntity(parts);
        var isDryRun = context.Value(CommonOptions.DryRun);
        var results = await context.Admin.AlterClientQuotasAsync(
            new Dictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double?>> { [entity] = changes }, isDryRun);
        results[entity].ThrowIfFailed();
        context.Done(
            $"{(isDryRun ? "Would be changed" : "Changed")}: {string.Join(", ", changes.Keys)} of {entity}.", ("entity", entity.ToString()),
            ("quotas", changes.Keys.ToList()), ("changed", !isDryRun));
    }

    private static IEnumerable<KeyValuePair<string, string?>> Parts(CommandContext context)
    {
        foreach (var (option, type) in new[]
        {
            (User, ClientQuotaEntity.User), (ClientId, ClientQuotaEntity.ClientId), (Ip, ClientQuotaEntity.Ip),
        })
        {
            if (context.Value(option) is { } name)
                yield return KeyValuePair.Create(type, name == Default ? null : name);
        }
    }

    private static void Print(
        CommandContext context, IReadOnlyDictionary<ClientQuotaEntity, IReadOnlyDictionary<string, double>> quotas)
    {
        var rows = context.Rows("entity", "quota", "value");
        foreach (var (entity, values) in quotas.OrderBy(each => each.Key.ToString(), StringComparer.Ordinal))
        {
            foreach (var (name, value) in values.OrderBy(each => each.Key, StringComparer.Ordinal))
                rows.Add(entity.ToString(), name, value);
        }

        rows.End("There are no quotas.");
    }
}
