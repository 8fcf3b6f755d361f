using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools.Configs;

/// <summary>What a command of kafka-configs is about: one entity, or a user and a client id. Read from the options; immutable.</summary>
/// <param name="Types">The types: <c>topics</c>, <c>users</c>.</param>
/// <param name="Names">The names that were given; empty for the defaults of the type.</param>
internal sealed record ConfigEntities(IReadOnlyList<string> Types, IReadOnlyList<string> Names)
{
    private static readonly string[] Known =
        ["broker-loggers", "topics", "clients", "users", "brokers", "ips", "client-metrics", "groups"];

    private static readonly (string Option, string Type)[] Flags =
    [
        ("topic", "topics"), ("client", "clients"), ("user", "users"), ("broker", "brokers"), ("broker-logger", "broker-loggers"),
        ("ip", "ips"), ("client-metrics", "client-metrics"), ("group", "groups"),
    ];

    private static readonly (string Option, string Type)[] DefaultFlags =
        [("client-defaults", "clients"), ("user-defaults", "users"), ("broker-defaults", "brokers"), ("ip-defaults", "ips")];

    /// <summary>The first type.</summary>
    public string Type => Types[0];

    /// <summary>The first type for one entity: <c>topic</c>.</summary>
    public string Singular => Type[..^1];

    /// <summary>The first name; null when none is given.</summary>
    public string? Name => Names.Count > 0 ? Names[0] : null;

    /// <summary>Reads and checks the options.</summary>
    /// <param name="options">The options.</param>
    /// <param name="arguments">The arguments, whose order says which name belongs to which type.</param>
    /// <exception cref="JavaException">They do not make sense together.</exception>
    public static ConfigEntities Read(ParsedOptions options, IReadOnlyList<string> arguments)
    {
        var types = options.Values("entity-type").Concat(
            Flags.Concat(DefaultFlags).Where(flag => options.Has(flag.Option)).Select(flag => flag.Type)).ToList();
        var twice = types.GroupBy(type => type).Where(group => group.Count() > 1).Select(group => group.Key).ToList();
        Demand(twice.Count == 0, $"Duplicate entity type(s) specified: {string.Join(',', twice)}");
        Demand(
            options.Has("bootstrap-server") || options.Has("bootstrap-controller"),
            "Either --bootstrap-server or --bootstrap-controller must be specified.");
        foreach (var type in types)
        {
            Demand(
                Known.Contains(type),
                $"Invalid entity type {type}, the entity type must be one of {string.Join(", ", Known)} with a --bootstrap-server or "
                    + "--bootstrap-controller argument");
        }

        Demand(types.Count > 0, "At least one entity type must be specified");
        Demand(
            types.Count == 1 || types.Order().SequenceEqual(["clients", "users"]),
            "Only 'users' and 'clients' entity types may be specified together");
        Demand(
            !(options.Has("entity-name") || options.Has("entity-type") || options.Has("entity-default"))
                || !Flags.Concat(DefaultFlags).Any(flag => options.Has(flag.Option)),
            "--entity-{type,name,default} should not be used in conjunction with specific entity flags");
        var entities = new ConfigEntities(types, NamesOf(options, arguments));
        Demand(
            !(options.Has("bootstrap-server") && options.Has("bootstrap-controller")),
            "Only one of --bootstrap-server or --bootstrap-controller can be specified");
        entities.CheckNames();
        return entities;
    }

    /// <summary>Refuses what is no broker's id, or no address.</summary>
    private void CheckNames()
    {
        foreach (var name in Names.Where(name => name.Length > 0))
        {
            if (Type is "brokers" or "broker-loggers")
            {
                Demand(
                    int.TryParse(name, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _),
                    $"The entity name for {Type} must be a valid integer broker id, but it is: {name}");
            }

            if (Type == "ips")
                Demand(IsAddress(name), $"The entity name for {Type} must be a valid IP or resolvable host, but it is: {name}");
        }
    }

    private static bool IsAddress(string name)
    {
        if (IPAddress.TryParse(name, out _))
            return true;
        try
        {
            return Dns.GetHostAddresses(name).Length > 0;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static List<string> NamesOf(ParsedOptions options, IReadOnlyList<string> arguments)
    {
        var given = new Queue<string>(options.Values("entity-name"));
        var names = new List<string>();
        foreach (var argument in arguments)
        {
            if (argument.Split('=')[0] == "--entity-name" && given.TryDequeue(out var name))
                names.Add(name);
            else if (argument == "--entity-default")
                names.Add("");
        }

        names.AddRange(Flags.Where(flag => options.Has(flag.Option)).Select(flag => options.Value(flag.Option)!));
        names.AddRange(DefaultFlags.Where(flag => options.Has(flag.Option)).Select(_ => ""));
        return names;
    }

    private static void Demand(bool isTrue, string otherwise)
    {
        if (!isTrue)
            throw JavaException.IllegalArgument(otherwise);
    }
}
