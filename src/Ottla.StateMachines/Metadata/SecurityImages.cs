using System.Collections.Immutable;
using Ottla.Kernel;

namespace Ottla.StateMachines.Metadata;

/// <summary>An access control entry. The numbers are those of the protocol.</summary>
public sealed record AclEntry(
    Uuid Id, sbyte ResourceType, string ResourceName, sbyte PatternType, string Principal, string Host, sbyte Operation,
        sbyte PermissionType);

/// <summary>The access control entries. Immutable.</summary>
public sealed record AclsImage(ImmutableDictionary<Uuid, AclEntry> ById)
{
    public static readonly AclsImage Empty = new(ImmutableDictionary<Uuid, AclEntry>.Empty);

    /// <inheritdoc/>
    public bool Equals(AclsImage? other) =>
        ReferenceEquals(this, other) || (other is not null && ContentEquality.Entries(ById, other.ById));

    /// <inheritdoc/>
    public override int GetHashCode() => ById.Count;
}

/// <summary>Identifies a SCRAM credential.</summary>
/// <param name="User">The user.</param>
/// <param name="Mechanism">1 SCRAM-SHA-256, 2 SCRAM-SHA-512.</param>
public readonly record struct ScramKey(string User, sbyte Mechanism);

/// <summary>A SCRAM credential (KIP-554). Immutable.</summary>
public sealed record ScramCredential(
    ImmutableArray<byte> Salt, ImmutableArray<byte> StoredKey, ImmutableArray<byte> ServerKey, int Iterations)
{
    /// <inheritdoc/>
    public bool Equals(ScramCredential? other) =>
        ReferenceEquals(this, other) || (other is not null
            && Iterations == other.Iterations
            && ContentEquality.Items(Salt, other.Salt)
            && ContentEquality.Items(StoredKey, other.StoredKey)
            && ContentEquality.Items(ServerKey, other.ServerKey));

    /// <inheritdoc/>
    public override int GetHashCode() => Iterations;
}

/// <summary>The SCRAM credentials. Immutable.</summary>
public sealed record ScramImage(ImmutableDictionary<ScramKey, ScramCredential> ByUser)
{
    public static readonly ScramImage Empty = new(ImmutableDictionary<ScramKey, ScramCredential>.Empty);

    /// <inheritdoc/>
    public bool Equals(ScramImage? other) =>
        ReferenceEquals(this, other) || (other is not null && ContentEquality.Entries(ByUser, other.ByUser));

    /// <inheritdoc/>
    public override int GetHashCode() => ByUser.Count;
}

/// <summary>A delegation token (KIP-48). Immutable.</summary>
public sealed record DelegationToken(
    string TokenId, string Owner, string Requester,
        ImmutableArray<string> Renewers, long IssueTimestampMs, long MaxTimestampMs, long ExpirationTimestampMs)
{
    /// <inheritdoc/>
    public bool Equals(DelegationToken? other) =>
        ReferenceEquals(this, other) || (other is not null
            && TokenId == other.TokenId
            && Owner == other.Owner
            && Requester == other.Requester
            && IssueTimestampMs == other.IssueTimestampMs
            && MaxTimestampMs == other.MaxTimestampMs
            && ExpirationTimestampMs == other.ExpirationTimestampMs
            && ContentEquality.Items(Renewers, other.Renewers));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(TokenId, ExpirationTimestampMs);
}

/// <summary>The delegation tokens by id. Immutable.</summary>
public sealed record DelegationTokensImage(ImmutableDictionary<string, DelegationToken> ById)
{
    public static readonly DelegationTokensImage Empty = new(ImmutableDictionary.Create<string, DelegationToken>(StringComparer.Ordinal));

    /// <inheritdoc/>
    public bool Equals(DelegationTokensImage? other) =>
        ReferenceEquals(this, other) || (other is not null && ContentEquality.Entries(ById, other.ById));

    /// <inheritdoc/>
    public override int GetHashCode() => ById.Count;
}
