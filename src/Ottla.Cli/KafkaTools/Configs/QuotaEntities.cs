using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Configs;

/// <summary>Quotas of users, client ids and addresses, as kafka-configs names them.</summary>
internal static class QuotaEntities
{
    /// <summary>The quotas of users and client ids.</summary>
    public static readonly string[] OfClients =
        ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];

    /// <summary>The quota of addresses.</summary>
    public const string OfAddresses = "connection_creation_rate";

    private static readonly KeyValuePair<string, string>[] Parts =
        [new(ClientQuotaEntity.User, "user-principal"), new(ClientQuotaEntity.ClientId, "client-id"), new(ClientQuotaEntity.Ip, "ip")];

    /// <summary>The entity that is named.</summary>
    public static ClientQuotaEntity EntityOf(ConfigEntities entities) => new(
        entities.Types.Zip(entities.Names, (type, name) => KeyValuePair.Create(PartOf(type), name.Length == 0 ? null : name)));

    /// <summary>What matches the entities that are named, or all of their types.</summary>
    public static IEnumerable<ClientQuotaFilter> FilterOf(ConfigEntities entities) => entities.Types.Select((type, i) =>
        i >= entities.Names.Count ? ClientQuotaFilter.Any(PartOf(type))
        : entities.Names[i].Length == 0 ? ClientQuotaFilter.Default(PartOf(type))
            : ClientQuotaFilter.Named(PartOf(type), entities.Names[i]));

    /// <summary>An entity for people: <c>user-principal 'alice', client-id 'app1'</c>.</summary>
    public static string TextOf(ClientQuotaEntity entity) =>
        string.Join(", ", Parts.Where(part => entity.Parts.ContainsKey(part.Key)).Select(
        part => entity.Parts[part.Key] is { Length: > 0 } name ? $"{part.Value} '{name}'" : $"the default {part.Value}"));

    /// <summary>Java's hash code of an entity, which orders the entities in Kafka's client.</summary>
    public static int HashOf(ClientQuotaEntity entity)
    {
        var hash = 0;
        foreach (var (type, name) in entity.Parts)
            hash = unchecked(hash + (JavaHashCode.Of(type) ^ (name is null ? 0 : JavaHashCode.Of(name))));
        return JavaHashCode.Combine(1, hash);
    }

    private static string PartOf(string type) => type switch
    {
        "users" => ClientQuotaEntity.User,
        "clients" => ClientQuotaEntity.ClientId,
        _ => ClientQuotaEntity.Ip,
    };
}
