using System.Collections.Frozen;
using System.Net;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Quotas;

/// <summary>What a client quota bounds.</summary>
public enum QuotaKind
{
    /// <summary>Bytes of produce requests per second (<c>producer_byte_rate</c>).</summary>
    Produce,

    /// <summary>Bytes of fetch responses per second (<c>consumer_byte_rate</c>).</summary>
    Fetch,

    /// <summary>Time of threads in percent of one (<c>request_percentage</c>).</summary>
    Request,

    /// <summary>Partitions that are created and deleted per second (<c>controller_mutation_rate</c>).</summary>
    ControllerMutation,
}

/// <summary>Those who share a quota: what they use is added up.</summary>
/// <param name="User">The user; empty when the quota is of a client id, whoever uses it.</param>
/// <param name="ClientId">The client id; empty when the quota is of a user, with whatever client id.</param>
public readonly record struct QuotaShare(string User, string ClientId);

/// <summary>The quota of a client.</summary>
/// <param name="Share">With whom it is shared.</param>
/// <param name="Limit">The bound.</param>
public readonly record struct QuotaBound(QuotaShare Share, double Limit);

/// <summary>The client quotas of one moment, found by user and client id as Kafka does. Immutable.</summary>
public sealed class QuotaTables
{
    /// <summary>The entity type of users.</summary>
    public const string User = "user";

    /// <summary>The entity type of client ids.</summary>
    public const string ClientId = "client-id";

    /// <summary>The entity type of addresses.</summary>
    public const string Ip = "ip";

    /// <summary>The only quota of addresses: new connections per second.</summary>
    public const string ConnectionCreationRate = "connection_creation_rate";

    // Before Empty, whose making reads it.
    private static readonly string[] s_keys =
        ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];

    private readonly FrozenDictionary<Target, double>?[] _byKind;
    private readonly FrozenDictionary<string, double>? _byAddress;
    private readonly double? _defaultOfAddresses;

    /// <summary>Makes the tables of quotas.</summary>
    public QuotaTables(ClientQuotasImage image)
    {
        ArgumentNullException.ThrowIfNull(image);
        Image = image;
        _byKind = [.. s_keys.Select(key => TableOf(image, key))];
        AreOnRequests = Has(QuotaKind.Produce) || Has(QuotaKind.Fetch) || Has(QuotaKind.Request);
        var addresses = image.ByEntity
            .Where(entry => entry.Key.Parts.ContainsKey(Ip) && entry.Value.ContainsKey(ConnectionCreationRate)).ToList();
        foreach (var (entity, quotas) in addresses.Where(entry => entry.Key.Parts[Ip] is null))
            _defaultOfAddresses = quotas[ConnectionCreationRate];
        var named = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var (entity, quotas) in addresses)
        {
            if (entity.Parts[Ip] is { } address)
                named[Canonical(address)] = quotas[ConnectionCreationRate];
        }

        _byAddress = named.Count == 0 ? null : named.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>No quotas.</summary>
    public static QuotaTables Empty { get; } = new(ClientQuotasImage.Empty);

    /// <summary>The quotas.</summary>
    public ClientQuotasImage Image { get; }

    /// <summary>Whether any client has a quota of a kind.</summary>
    public bool Has(QuotaKind kind) => _byKind[(int)kind] is not null;

    /// <summary>Whether any client has a quota on what it sends, receives or makes the node work.</summary>
    public bool AreOnRequests { get; }

    /// <summary>Whether any address has a quota.</summary>
    public bool HasOfAddresses => _byAddress is not null || _defaultOfAddresses is not null;

    /// <summary>The name of a kind in records and requests.</summary>
    public static string KeyOf(QuotaKind kind) => s_keys[(int)kind];

    /// <summary>
    /// The quota of a client, by the first of: user and client id, user and default client id, user, default user and client id, default
    /// user and default client id, default user, client id, default client id. Null when there is none.
    /// </summary>
    public QuotaBound? Find(QuotaKind kind, string user, string clientId)
    {
        if (_byKind[(int)kind] is not { } table)
            return null;
        var hasClient = clientId.Length > 0; // a client without an id has no quota of client ids, not even the default
        double limit;
        if (hasClient && (table.TryGetValue(new Target(user, clientId), out limit)
            || table.TryGetValue(new Target(user, Target.Default), out limit)))
            return new QuotaBound(new QuotaShare(user, clientId), limit);
        if (table.TryGetValue(new Target(user, null), out limit))
            return new QuotaBound(new QuotaShare(user, ""), limit);
        if (hasClient && (table.TryGetValue(new Target(Target.Default, clientId), out limit)
            || table.TryGetValue(new Target(Target.Default, Target.Default), out limit)))
            return new QuotaBound(new QuotaShare(user, clientId), limit);
        if (table.TryGetValue(new Target(Target.Default, null), out limit))
            return new QuotaBound(new QuotaShare(user, ""), limit);
        if (hasClient && (table.TryGetValue(new Target(null, clientId), out limit)
            || table.TryGetValue(new Target(null, Target.Default), out limit)))
            return new QuotaBound(new QuotaShare("", clientId), limit);
        return null;
    }

    /// <summary>How many connections an address may make per second; null for any number.</summary>
    public double? FindOfAddress(string address) =>
        _byAddress is not null && _byAddress.TryGetValue(address, out var limit) ? limit : _defaultOfAddresses;

    private static FrozenDictionary<Target, double>? TableOf(ClientQuotasImage image, string key)
    {
        var table = new Dictionary<Target, double>();
        foreach (var (entity, quotas) in image.ByEntity)
        {
            if (quotas.TryGetValue(key, out var limit) && !entity.Parts.ContainsKey(Ip))
                table[new Target(PartOf(entity, User), PartOf(entity, ClientId))] = limit;
        }

        return table.Count == 0 ? null : table.ToFrozenDictionary();
    }

    /// <summary>An address as those of clients are written: there are several ways to write one.</summary>
    private static string Canonical(string address)
    {
        if (!IPAddress.TryParse(address, out var parsed))
            return address;
        return (parsed.IsIPv4MappedToIPv6 ? parsed.MapToIPv4() : parsed).ToString();
    }

    private static string? PartOf(ClientQuotaEntity entity, string type) =>
        entity.Parts.TryGetValue(type, out var name) ? name ?? Target.Default : null;

    /// <summary>Whom a quota is set for; null where it does not say.</summary>
    private readonly record struct Target(string? User, string? ClientId)
    {
        /// <summary>Stands for the default: no name is empty.</summary>
        public const string Default = "";
    }
}
