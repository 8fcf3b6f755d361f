using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json;

namespace Ottla.StateMachines.Security;

/// <summary>The public keys of an issuer of tokens (RFC 7517). Immutable.</summary>
public sealed class JsonWebKeys
{
    private const int KeysMax = 1000;
    private const int RsaBitsMin = 2048;
    private const int RsaBitsMax = 16384;

    private readonly List<Key> _keys;

    private JsonWebKeys(List<Key> keys) => _keys = keys;

    /// <summary>No keys: every token is refused.</summary>
    public static JsonWebKeys None { get; } = new([]);

    /// <summary>The largest key set that is read, in bytes.</summary>
    public static int BytesMax => 1024 * 1024;

    /// <summary>How many keys there are.</summary>
    public int Count => _keys.Count;

    /// <summary>Reads a key set. Leaves out keys that are of no use for signatures here, such as those of shared secrets.</summary>
    /// <exception cref="FormatException">It is no key set, or has no key that can be used.</exception>
    public static JsonWebKeys Parse(ReadOnlyMemory<byte> json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 16 });
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("keys", out var keys)
                || keys.ValueKind != JsonValueKind.Array || keys.GetArrayLength() > KeysMax)
                throw new FormatException($"it is not a JSON object with an array of at most {KeysMax} keys");
            var parsed = keys.EnumerateArray().Select(ParseKey).OfType<Key>().ToList();
            return parsed.Count > 0 ? new JsonWebKeys(parsed) : throw new FormatException("it has no RSA key and no EC key for signatures");
        }
        catch (JsonException e)
        {
            throw new FormatException($"it is not JSON: {e.Message}", e);
        }
    }

    /// <summary>Whether there is a key of this id.</summary>
    internal bool Contains(string keyId) => _keys.Exists(key => key.Id == keyId);

    /// <summary>Whether a key signed these bytes.</summary>
    /// <param name="algorithm">The algorithm of the token, such as <c>RS256</c>.</param>
    /// <param name="keyId">The key; null to try all.</param>
    /// <param name="signed">The bytes.</param>
    /// <param name="signature">The signature.</param>
    internal bool Verify(string algorithm, string? keyId, ReadOnlySpan<byte> signed, ReadOnlySpan<byte> signature)
    {
        foreach (var key in _keys)
        {
            if ((keyId is null || key.Id == keyId) && key.Verify(algorithm, signed, signature))
                return true;
        }

        return false;
    }

    /// <summary>Whether tokens may be signed so: with a public key, which rules out "none" and shared secrets.</summary>
    internal static bool IsAllowed(string algorithm) => HashOf(algorithm) is not null;

    private static HashAlgorithmName? HashOf(string algorithm) => algorithm switch
    {
        "RS256" or "PS256" or "ES256" => HashAlgorithmName.SHA256,
        "RS384" or "PS384" or "ES384" => HashAlgorithmName.SHA384,
        "RS512" or "PS512" or "ES512" => HashAlgorithmName.SHA512,
        _ => null,
    };

    private static Key? ParseKey(JsonElement json)
    {
        if (json.ValueKind != JsonValueKind.Object || Text(json, "use") is not (null or "sig"))
            return null;
        var id = Text(json, "kid");
        return Text(json, "kty") switch
        {
            "RSA" when Bytes(json, "n") is { } modulus && Bytes(json, "e") is { } exponent
                && modulus.Length * 8 is >= RsaBitsMin and <= RsaBitsMax => new Key(
                    id, new RSAParameters { Modulus = modulus, Exponent = exponent }, null),
            "EC" when Curve(Text(json, "crv")) is { } curve && Bytes(json, "x") is { } x && Bytes(json, "y") is { } y => new Key(
                id, null, new ECParameters { Curve = curve, Q = new ECPoint { X = x, Y = y } }),
            _ => null,
        };
    }

    private static ECCurve? Curve(string? name) => name switch
    {
        "P-256" => ECCurve.NamedCurves.nistP256,
        "P-384" => ECCurve.NamedCurves.nistP384,
        "P-521" => ECCurve.NamedCurves.nistP521,
        _ => null,
    };

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static byte[]? Bytes(JsonElement json, string name)
    {
        if (Text(json, name) is not { Length: > 0 } text || !Base64Url.IsValid(text))
            return null;
        var bytes = Base64Url.DecodeFromChars(text);
        return name is "n" or "e" ? bytes.AsSpan().TrimStart((byte)0).ToArray() : bytes; // the coordinates of a curve have a fixed length
    }

    private sealed record Key(string? Id, RSAParameters? Rsa, ECParameters? Curve)
    {
        public bool Verify(string algorithm, ReadOnlySpan<byte> signed, ReadOnlySpan<byte> signature)
        {
            if (HashOf(algorithm) is not { } hash)
                return false;
            try
            {
                if (algorithm[0] == 'E')
                    return Curve is { } curve && IsCurveOf(algorithm, curve) && VerifyCurve(curve, signed, signature, hash);
                return Rsa is { } rsa && VerifyRsa(
                    rsa, signed, signature, hash, algorithm[0] == 'P' ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1);
            }
            catch (CryptographicException)
            {
                return false; // the key is malformed
            }
        }

        /// <summary>The curve goes with the hash: ES256 with P-256, and so on.</summary>
        private static bool IsCurveOf(string algorithm, ECParameters parameters) => parameters.Q.X!.Length == algorithm switch
        {
            "ES256" => 32,
            "ES384" => 48,
            _ => 66,
        };

        private static bool VerifyRsa(
            RSAParameters parameters, ReadOnlySpan<byte> signed, ReadOnlySpan<byte> signature, HashAlgorithmName hash,
                RSASignaturePadding padding)
        {
            using var rsa = RSA.Create(parameters);
            return rsa.VerifyData(signed, signature, hash, padding);
        }

        private static bool VerifyCurve(
            ECParameters parameters, ReadOnlySpan<byte> signed, ReadOnlySpan<byte> signature, HashAlgorithmName hash)
        {
            using var ecdsa = ECDsa.Create(parameters);
            return ecdsa.VerifyData(signed, signature, hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }
    }
}
