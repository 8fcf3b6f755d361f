using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Ottla.Configuration.Security;
using Ottla.Kernel;

namespace Ottla.StateMachines.Security;

/// <summary>The claims of a token, without a word about its signature. Bounded before anything is read.</summary>
internal static class JsonWebToken
{
    /// <summary>No token is longer.</summary>
    private const int CharactersMax = 64 * 1024;

    private static readonly JsonDocumentOptions s_options = new() { MaxDepth = 16, AllowDuplicateProperties = false };

    /// <summary>Splits a token into its three parts.</summary>
    /// <returns>False when it is malformed.</returns>
    public static bool TrySplit(string token, out JsonElement header, out JsonElement claims, out byte[] signature, out string signed)
    {
        (header, claims, signature, signed) = (default, default, [], "");
        var parts = token.Length > CharactersMax ? [] : token.Split('.');
        if (parts.Length != 3 || !Array.TrueForAll(parts, part => Base64Url.IsValid(part)))
            return false;
        signature = Base64Url.DecodeFromChars(parts[2]);
        signed = $"{parts[0]}.{parts[1]}";
        return TryParse(parts[0], out header) && TryParse(parts[1], out claims);
    }

    /// <summary>A claim that is a text; null when it is absent or something else.</summary>
    public static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A claim that is a time in seconds, fractions included; null when it is absent or no time.</summary>
    public static Instant? Time(JsonElement json, string name)
    {
        const double secondsMax = 253_402_300_800; // the year 10,000
        return json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var seconds)
            && Math.Abs(seconds) < secondsMax ? new Instant((long)(seconds * 1000)) : null;
    }

    /// <summary>Whether the claim of scopes is well-formed: absent, one text, or several without repetition.</summary>
    public static bool AreScopesGood(JsonElement json, string name, out HashSet<string> scopes)
    {
        scopes = new HashSet<string>(StringComparer.Ordinal);
        if (!json.TryGetProperty(name, out var value))
            return true;
        if (value.ValueKind == JsonValueKind.String)
            scopes.UnionWith(value.GetString()!.Split(' ', StringSplitOptions.RemoveEmptyEntries));
        if (value.ValueKind != JsonValueKind.Array)
            return true;
        foreach (var scope in value.EnumerateArray())
        {
            if (scope.ValueKind != JsonValueKind.String || scope.GetString()!.Trim() is not { Length: > 0 } text || !scopes.Add(text))
                return false;
        }

        return true;
    }

    private static bool TryParse(string part, out JsonElement json)
    {
        try
        {
            using var document = JsonDocument.Parse(Base64Url.DecodeFromChars(part), s_options);
            json = document.RootElement.Clone();
            return json.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            json = default;
            return false;
        }
    }
}

/// <summary>Judges signed tokens by the keys of their issuer (KIP-768). Immutable but for the keys, which the caller reads anew.</summary>
/// <param name="settings">What a token must say.</param>
/// <param name="keys">The keys as they are now.</param>
/// <param name="onUnknownKey">A token names a key that is not there: the keys may have changed.</param>
public sealed class SignedTokenValidator(OAuthBearerSettings settings, Func<JsonWebKeys> keys, Action onUnknownKey) : ITokenValidator
{
    private const int KeyIdLengthMax = 1000;

    /// <inheritdoc/>
    public TokenVerdict Validate(string token, Instant now)
    {
        if (!JsonWebToken.TrySplit(token, out var header, out var claims, out var signature, out var signed))
            return TokenVerdict.Refuse("it is malformed");
        if (SignatureRefusal(header, signature, signed) is { } refusal)
            return TokenVerdict.Refuse(refusal);
        return ClaimsRefusal(claims, now) is { } reason
            ? TokenVerdict.Refuse(reason)
            : TokenVerdict.Accept(JsonWebToken.Text(claims, settings.SubjectClaim)!, JsonWebToken.Time(claims, "exp")!.Value);
    }

    private string? SignatureRefusal(JsonElement header, byte[] signature, string signed)
    {
        // Only public keys: "none", and shared secrets for which anybody could take the public key, are no signatures (CVE-2026-33557).
        if (JsonWebToken.Text(header, "alg") is not { } algorithm || !JsonWebKeys.IsAllowed(algorithm))
            return "it is not signed with one of RS256, PS256, ES256 and their longer kin";
        if (header.TryGetProperty("crit", out _))
            return "its header demands an extension";
        var keyId = JsonWebToken.Text(header, "kid");
        if (keyId is null && header.TryGetProperty("kid", out _))
            return "the id of its key is malformed";
        var known = keys();
        if (known.Count == 0)
            return "the issuer's keys are not known yet";
        if (keyId is not null && (keyId.Length > KeyIdLengthMax || !known.Contains(keyId)))
        {
            if (keyId.Length <= KeyIdLengthMax)
                onUnknownKey();
            return "its key is not among the issuer's keys";
        }

        return known.Verify(algorithm, keyId, Encoding.ASCII.GetBytes(signed), signature) ? null : "its signature is wrong";
    }

    private string? ClaimsRefusal(JsonElement claims, Instant now)
    {
        var skewMs = settings.ClockSkewSeconds * 1000L;
        if (JsonWebToken.Time(claims, "exp") is not { } expiresAt || JsonWebToken.Time(claims, "iat") is not { } issuedAt)
            return "it lacks exp or iat";
        if (expiresAt.AddMilliseconds(skewMs) <= now)
            return "it has expired";
        if (expiresAt < issuedAt)
            return "it ends before it was issued";
        if (claims.TryGetProperty("nbf", out _)
            && (JsonWebToken.Time(claims, "nbf") is not { } notBefore || notBefore > now.AddMilliseconds(skewMs)))
            return "it is not valid yet";
        if (settings.Issuer is { } issuer && JsonWebToken.Text(claims, "iss") != issuer)
            return "it is not of the expected issuer";
        if (settings.Audiences.Count > 0 && !IsForUs(claims))
            return "it is not for the expected audience";
        if (JsonWebToken.Text(claims, settings.SubjectClaim) is not { } subject || string.IsNullOrWhiteSpace(subject))
            return $"it names nobody in {settings.SubjectClaim}";
        return JsonWebToken.AreScopesGood(claims, settings.ScopeClaim, out _) ? null : $"{settings.ScopeClaim} is malformed";
    }

    private bool IsForUs(JsonElement claims)
    {
        if (!claims.TryGetProperty("aud", out var audience))
            return false;
        return audience.ValueKind switch
        {
            JsonValueKind.String => settings.Audiences.Contains(audience.GetString()!),
            JsonValueKind.Array => audience.EnumerateArray().Any(
                each => each.ValueKind == JsonValueKind.String && settings.Audiences.Contains(each.GetString()!)),
            _ => false,
        };
    }
}

/// <summary>
/// Takes tokens without a signature: anybody can be anybody. For development, and only where the configuration asks for it by the name of
/// Kafka's class.
/// </summary>
/// <param name="login">The <c>sasl.jaas.config</c>, whose options are those of Kafka; null for the defaults.</param>
public sealed class UnsecuredTokenValidator(JaasLogin? login) : ITokenValidator
{
    private readonly string _subjectClaim = login?.Option("unsecuredValidatorPrincipalClaimName") ?? "sub";
    private readonly string _scopeClaim = login?.Option("unsecuredValidatorScopeClaimName") ?? "scope";
    private readonly string[] _requiredScopes = login?.Option("unsecuredValidatorRequiredScope")?.Split(
        ' ', StringSplitOptions.RemoveEmptyEntries) ?? [];
    private readonly long _skewMs = long.TryParse(
        login?.Option("unsecuredValidatorAllowableClockSkewMs"), NumberStyles.None, CultureInfo.InvariantCulture, out var skew) ? skew : 0;

    /// <inheritdoc/>
    public TokenVerdict Validate(string token, Instant now)
    {
        if (!JsonWebToken.TrySplit(token, out var header, out var claims, out var signature, out _))
            return TokenVerdict.Refuse("it is malformed");
        if (JsonWebToken.Text(header, "alg") != "none" || signature.Length > 0)
            return TokenVerdict.Refuse("it is signed, and this listener takes unsecured tokens only");
        if (JsonWebToken.Time(claims, "exp") is not { } expiresAt || expiresAt.AddMilliseconds(_skewMs) <= now)
            return TokenVerdict.Refuse("it has expired, or lacks exp");
        if (JsonWebToken.Time(claims, "iat") is { } issuedAt && (issuedAt > now.AddMilliseconds(_skewMs) || issuedAt >= expiresAt))
            return TokenVerdict.Refuse("it was issued in the future, or after its end");
        if (JsonWebToken.Text(claims, _subjectClaim) is not { } subject || string.IsNullOrWhiteSpace(subject))
            return TokenVerdict.Refuse($"it names nobody in {_subjectClaim}");
        return JsonWebToken.AreScopesGood(claims, _scopeClaim, out var scopes) && _requiredScopes.All(scopes.Contains)
            ? TokenVerdict.Accept(subject, expiresAt)
            : TokenVerdict.Refuse($"{_scopeClaim} is malformed, or lacks a scope that is required");
    }
}
