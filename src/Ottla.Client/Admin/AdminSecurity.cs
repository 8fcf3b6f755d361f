using System.Collections.Immutable;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>How the resource name of an access control entry is meant (KIP-290).</summary>
public enum AclPatternType : sbyte
{
    /// <summary>Filters alone: of any kind.</summary>
    Any = 1,

    /// <summary>Filters alone: all that apply to a resource of this name, by name, prefix or <c>*</c>.</summary>
    Match = 2,

    /// <summary>The name itself, or <c>*</c> for all.</summary>
    Literal = 3,

    /// <summary>All names that begin with it.</summary>
    Prefixed = 4,
}

/// <summary>Whether an access control entry allows or denies.</summary>
public enum AclPermission : sbyte
{
    /// <summary>It denies, whatever others allow.</summary>
    Deny = 2,

    /// <summary>It allows.</summary>
    Allow = 3,
}

/// <summary>An access control entry of a resource.</summary>
/// <param name="ResourceType">The kind of resource.</param>
/// <param name="ResourceName">Its name; of the cluster <c>kafka-cluster</c>.</param>
/// <param name="Principal">Whom it is about: <c>User:alice</c>, or <c>User:*</c>.</param>
/// <param name="Operation">What it is about; <see cref="AllOperations"/> for everything.</param>
/// <param name="Permission">Whether it allows or denies.</param>
/// <param name="PatternType">How the name is meant.</param>
/// <param name="Host">From where; <c>*</c> from anywhere.</param>
public sealed record AclBinding(
    ResourceType ResourceType, string ResourceName, string Principal, AclOperation Operation,
    AclPermission Permission = AclPermission.Allow, AclPatternType PatternType = AclPatternType.Literal, string Host = "*")
{
    /// <summary>Every operation.</summary>
    public const AclOperation AllOperations = (AclOperation)2;
}

/// <summary>Which access control entries are meant. What is null matches everything.</summary>
public sealed record AclFilter
{
    /// <summary>The kind of resource.</summary>
    public ResourceType? ResourceType { get; init; }

    /// <summary>Its name.</summary>
    public string? ResourceName { get; init; }

    /// <summary>How the name is meant.</summary>
    public AclPatternType PatternType { get; init; } = AclPatternType.Any;

    /// <summary>Whom the entry is about.</summary>
    public string? Principal { get; init; }

    /// <summary>From where.</summary>
    public string? Host { get; init; }

    /// <summary>What it is about; <see cref="AclBinding.AllOperations"/> matches entries that are about everything.</summary>
    public AclOperation? Operation { get; init; }

    /// <summary>Whether it allows or denies.</summary>
    public AclPermission? Permission { get; init; }
}

/// <summary>A mechanism of SCRAM (RFC 5802).</summary>
public enum ScramType : sbyte
{
    /// <summary>SCRAM-SHA-256.</summary>
    Sha256 = 1,

    /// <summary>SCRAM-SHA-512.</summary>
    Sha512 = 2,
}

/// <summary>A credential of a user, without its secret.</summary>
/// <param name="Mechanism">The mechanism.</param>
/// <param name="Iterations">How often the password is hashed.</param>
public readonly record struct ScramCredentialInfo(ScramType Mechanism, int Iterations);

/// <summary>A change of a user's credentials: <see cref="ScramUpsertion"/> or <see cref="ScramDeletion"/>.</summary>
/// <param name="User">The user's name.</param>
/// <param name="Mechanism">The mechanism.</param>
public abstract record ScramAlteration(string User, ScramType Mechanism);

/// <summary>Gives a user a password. It is hashed here; the cluster never sees it.</summary>
/// <param name="User">The user's name.</param>
/// <param name="Mechanism">The mechanism.</param>
/// <param name="Password">The password, in UTF-8 as in Kafka: without SASLprep.</param>
public sealed record ScramUpsertion(string User, ScramType Mechanism, string Password) : ScramAlteration(User, Mechanism)
{
    /// <summary>How often it is hashed; from 4,096 to 16,384.</summary>
    public int Iterations { get; init; } = 4096;

    /// <summary>The salt; null for a random one.</summary>
    public ReadOnlyMemory<byte>? Salt { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"{User}: {Mechanism}, {Iterations} iterations"; // no password in logs
}

/// <summary>Takes a credential away from a user.</summary>
/// <param name="User">The user's name.</param>
/// <param name="Mechanism">The mechanism.</param>
public sealed record ScramDeletion(string User, ScramType Mechanism) : ScramAlteration(User, Mechanism);

/// <summary>Whom a quota is about: a user, a client id, both, or an address (KIP-546). Immutable; equal by its parts.</summary>
public sealed class ClientQuotaEntity : IEquatable<ClientQuotaEntity>
{
    /// <summary>The part that names a user.</summary>
    public const string User = "user";

    /// <summary>The part that names a client id.</summary>
    public const string ClientId = "client-id";

    /// <summary>The part that names an address.</summary>
    public const string Ip = "ip";

    /// <summary>Makes an entity.</summary>
    /// <param name="parts">The names by type; null names the default of the type.</param>
    public ClientQuotaEntity(IEnumerable<KeyValuePair<string, string?>> parts) =>
        Parts = parts.ToImmutableSortedDictionary(StringComparer.Ordinal);

    /// <summary>The names by type; null names the default of the type.</summary>
    public ImmutableSortedDictionary<string, string?> Parts { get; }

    /// <summary>A user; null for the default of all users.</summary>
    public static ClientQuotaEntity ForUser(string? name) => new([new(User, name)]);

    /// <summary>A client id; null for the default of all client ids.</summary>
    public static ClientQuotaEntity ForClientId(string? id) => new([new(ClientId, id)]);

    /// <summary>A client id of a user; null for the defaults.</summary>
    public static ClientQuotaEntity ForUserAndClientId(string? name, string? id) => new([new(User, name), new(ClientId, id)]);

    /// <summary>An address; null for the default of all addresses (KIP-612).</summary>
    public static ClientQuotaEntity ForIp(string? address) => new([new(Ip, address)]);

    /// <inheritdoc/>
    public bool Equals(ClientQuotaEntity? other) => other is not null && Parts.SequenceEqual(other.Parts);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ClientQuotaEntity);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = new HashCode();
        foreach (var (type, name) in Parts)
        {
            hash.Add(type);
            hash.Add(name);
        }

        return hash.ToHashCode();
    }

    /// <inheritdoc/>
    public override string ToString() => string.Join(", ", Parts.Select(part => $"{part.Key}={part.Value ?? "<default>"}"));
}

/// <summary>Which entities are looked for by one of their parts.</summary>
public sealed record ClientQuotaFilter
{
    private ClientQuotaFilter(string entityType, sbyte matchType, string? match) =>
        (EntityType, MatchType, Match) = (entityType, matchType, match);

    /// <summary>The type of the part.</summary>
    public string EntityType { get; }

    /// <summary>The name that is looked for; null for the default, or any.</summary>
    public string? Match { get; }

    /// <summary>How the name is meant, on the wire.</summary>
    internal sbyte MatchType { get; }

    /// <summary>Those with this name.</summary>
    public static ClientQuotaFilter Named(string entityType, string name) => new(entityType, 0, name);

    /// <summary>The default of the type.</summary>
    public static ClientQuotaFilter Default(string entityType) => new(entityType, 1, null);

    /// <summary>All with such a part.</summary>
    public static ClientQuotaFilter Any(string entityType) => new(entityType, 2, null);
}

/// <summary>Somebody who is authenticated.</summary>
/// <param name="Name">The name.</param>
/// <param name="Type">The type.</param>
public sealed record Principal(string Name, string Type = "User")
{
    /// <inheritdoc/>
    public override string ToString() => $"{Type}:{Name}";
}

/// <summary>A delegation token (KIP-48).</summary>
/// <param name="TokenId">Its id: the user name to log in with.</param>
/// <param name="Hmac">Its secret: in Base64 the password to log in with.</param>
/// <param name="Owner">Whose rights it gives.</param>
/// <param name="Requester">Who asked for it (KIP-373); the owner when the cluster is too old to say.</param>
/// <param name="IssuedAt">When it was made.</param>
/// <param name="ExpiresAt">When it ends, unless it is renewed.</param>
/// <param name="MaximumAt">When it ends at the latest.</param>
/// <param name="Renewers">Who may renew it besides the owner.</param>
public sealed record DelegationToken(
    string TokenId, ReadOnlyMemory<byte> Hmac, Principal Owner, Principal Requester, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt,
    DateTimeOffset MaximumAt, IReadOnlyList<Principal> Renewers)
{
    /// <inheritdoc/>
    public override string ToString() => $"{TokenId} of {Owner}"; // no secret in logs
}
