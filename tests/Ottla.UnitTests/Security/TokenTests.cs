using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Ottla.Configuration.Security;
using Ottla.Kernel;
using Ottla.Protocol.Sasl;
using Ottla.StateMachines.Security;

namespace Ottla.UnitTests.Security;

/// <summary>Which tokens are good: the recorded cases of Apache Kafka, with keys of our own.</summary>
public sealed class TokenTests : IDisposable
{
    private const long Now = 1_800_000_000;
    private static readonly string s_common = $"\"iss\":\"https://issuer.test\",\"aud\":\"kafka\",\"iat\":{Now}";
    private static readonly string s_good = $"{{\"sub\":\"alice\",{s_common},\"exp\":{Now + 3600}}}";

    private readonly RSA _rsa = RSA.Create(2048);
    private readonly ECDsa _ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private int _unknownKeys;

    public void Dispose()
    {
        _rsa.Dispose();
        _ec.Dispose();
    }

    [Theory]
    [InlineData("RS256", "rs1")]
    [InlineData("RS512", "rs1")]
    [InlineData("PS256", "rs1")]
    [InlineData("ES256", "es1")]
    [InlineData("RS256", null)] // all keys are tried
    public void A_good_token_names_its_user_and_its_end(string algorithm, string? key)
    {
        var verdict = Validate(Sign(algorithm, key, s_good));
        Assert.Equal(("alice", Now + 3600, null), (verdict.PrincipalName, verdict.ExpiresAt.UnixMilliseconds / 1000, verdict.Refusal));
    }

    [Theory]
    [InlineData("exp", -10, true)] // within the skew of 30 s
    [InlineData("exp", -40, false)]
    [InlineData("nbf", 20, true)]
    [InlineData("nbf", 3600, false)]
    public void Times_are_judged_with_a_skew(string claim, int seconds, bool isGood)
    {
        var claims = claim == "exp"
            ? $"{{\"sub\":\"alice\",\"iss\":\"https://issuer.test\",\"aud\":\"kafka\",\"iat\":{Now - 7200},\"exp\":{Now + seconds}}}"
            : $"{{\"sub\":\"alice\",{s_common},\"exp\":{Now + 7200},\"nbf\":{Now + seconds}}}";
        Assert.Equal(isGood, Validate(Sign("RS256", "rs1", claims)).Refusal is null);
    }

    [Theory]
    [InlineData("\"sub\":\"alice\",COMMON,EXP,\"scope\":\"a b\"")]
    [InlineData("\"sub\":\"alice\",COMMON,EXP,\"scope\":[\"a\",\"b\"]")]
    [InlineData("\"sub\":\"alice\",COMMON,EXP,\"scope\":7")]
    [InlineData("\"sub\":\"alice\",COMMON,\"exp\":1800003600.5")]
    [InlineData("\"sub\":\"alice\",\"iss\":\"https://issuer.test\",\"aud\":[\"x\",\"kafka\"],\"iat\":1800003600,EXP")]
    public void Kafka_takes_these_claims_too(string claims) => Assert.Null(Validate(Sign("RS256", "rs1", Fill(claims))).Refusal);

    [Theory]
    [InlineData("\"sub\":\"alice\",COMMON", "lacks exp")]
    [InlineData("\"sub\":\"alice\",\"iss\":\"https://issuer.test\",\"aud\":\"kafka\",EXP", "lacks exp or iat")]
    [InlineData("\"sub\":\"alice\",COMMON,\"exp\":\"1800003600\"", "lacks exp")]
    [InlineData("\"sub\":\"alice\",COMMON,\"exp\":1000000000000000", "lacks exp")]
    [InlineData("\"sub\":\"alice\",\"iss\":\"https://issuer.test\",\"aud\":\"kafka\",\"iat\":1800007200,EXP", "before it was issued")]
    [InlineData("\"sub\":\"alice\",\"iss\":\"https://evil.test\",\"aud\":\"kafka\",\"iat\":1800000000,EXP", "issuer")]
    [InlineData("\"sub\":\"alice\",\"aud\":\"kafka\",\"iat\":1800000000,EXP", "issuer")]
    [InlineData("\"sub\":\"alice\",\"iss\":\"https://issuer.test\",\"aud\":\"other\",\"iat\":1800000000,EXP", "audience")]
    [InlineData("\"sub\":\"alice\",\"iss\":\"https://issuer.test\",\"iat\":1800000000,EXP", "audience")]
    [InlineData("COMMON,EXP", "names nobody")]
    [InlineData("\"sub\":\"\",COMMON,EXP", "names nobody")]
    [InlineData("\"sub\":\" \",COMMON,EXP", "names nobody")]
    [InlineData("\"sub\":7,COMMON,EXP", "names nobody")]
    [InlineData("\"sub\":\"alice\",\"sub\":\"bob\",COMMON,EXP", "malformed")]
    [InlineData("\"sub\":\"alice\",COMMON,EXP,\"scope\":[\"a\",\"a\"]", "scope")]
    public void Bad_claims_are_refused(string claims, string reason) =>
        Assert.Contains(reason, Validate(Sign("RS256", "rs1", Fill(claims))).Refusal, StringComparison.Ordinal);

    [Fact]
    public void CVE_2026_33557_a_token_without_a_signature_is_refused()
    {
        var claims = Encode(s_good);
        foreach (var header in new[] { "{\"alg\":\"none\"}", "{\"alg\":\"None\",\"kid\":\"rs1\"}", "{}", "{\"alg\":\"\"}" })
            Assert.NotNull(Validate($"{Encode(header)}.{claims}.").Refusal);
        // The public key as a shared secret
        var signed = $"{Encode("{\"alg\":\"HS256\",\"kid\":\"rs1\"}")}.{claims}";
        var signature = HMACSHA256.HashData(_rsa.ExportSubjectPublicKeyInfo(), Encoding.ASCII.GetBytes(signed));
        Assert.NotNull(Validate($"{signed}.{Base64Url.EncodeToString(signature)}").Refusal);
    }

    [Fact]
    public void Forged_tokens_are_refused()
    {
        using var stranger = RSA.Create(2048);
        var good = Sign("RS256", "rs1", s_good);
        var parts = good.Split('.');
        var mallory = Encode(s_good.Replace("alice", "mallory", StringComparison.Ordinal));
        foreach (var forged in new[]
        {
            Sign("RS256", "rs1", s_good, stranger), Sign("RS256", "es1", s_good), $"{parts[0]}.{mallory}.{parts[2]}",
            $"{parts[0]}.{parts[1]}.", $"{parts[0]}.{parts[1]}", good[..^8], "a.b.c", "", new string('a', 1_000_000),
            Sign("RS256", "rs1", s_good, extraHeader: ",\"crit\":[\"x\"],\"x\":1"),
            Sign("RS256", null, s_good, stranger, extraHeader: $",\"jwk\":{Jwk(stranger, "x")}"),
        })
            Assert.NotNull(Validate(forged).Refusal);
    }

    [Fact]
    public void An_unknown_key_has_the_keys_read_again_and_a_monstrous_one_has_not()
    {
        Assert.NotNull(Validate(Sign("RS256", "another", s_good)).Refusal);
        Assert.Equal(1, _unknownKeys);
        Assert.NotNull(Validate(Sign("RS256", new string('k', 1001), s_good)).Refusal);
        Assert.Equal(1, _unknownKeys);
    }

    [Fact]
    public void A_refused_token_is_told_as_Kafka_tells_it()
    {
        var server = new OAuthBearerServer(Validator());
        var first = server.Evaluate(new OAuthBearerClientFirst("", "a.b.c").ToBytes(), new Instant(Now * 1000));
        Assert.Equal("{\"status\":\"invalid_token\"}", Encoding.ASCII.GetString(first.Response));
        Assert.Null(first.Failure);
        var last = server.Evaluate([1], new Instant(Now * 1000));
        Assert.Equal("{\"status\":\"invalid_token\"}", last.Failure!.ClientMessage);
    }

    [Fact]
    public void Why_a_token_is_refused_is_logged_once_and_also_when_the_client_says_no_more()
    {
        var server = new OAuthBearerServer(Validator());
        var first = server.Evaluate(new OAuthBearerClientFirst("", "a.b.c").ToBytes(), new Instant(Now * 1000));
        Assert.Equal("the token is refused: it is malformed", first.ComingFailure);
        Assert.Null(server.Evaluate([1], new Instant(Now * 1000)).Failure!.LogReason);
    }

    [Theory]
    [InlineData("n,,\u0001auth=Bearer \u0001\u0001")]
    [InlineData("n,,\u0001\u0001")]
    [InlineData("n,,\u0001auth=Basic x\u0001\u0001")]
    [InlineData("y,,\u0001auth=Bearer x\u0001\u0001")]
    [InlineData("p=x,,\u0001auth=Bearer x\u0001\u0001")]
    [InlineData("n,,\u0001auth=Bearer x\u0001")]
    [InlineData("n,,\u0001auth=Bearer x\u0001auth=Bearer y\u0001\u0001")]
    [InlineData("hello")]
    public void Malformed_messages_are_refused_at_once(string message) =>
        Assert.NotNull(new OAuthBearerServer(Validator()).Evaluate(Encoding.ASCII.GetBytes(message), new Instant(Now * 1000)).Failure);

    [Fact]
    public void Key_sets_without_a_key_for_signatures_are_refused()
    {
        foreach (var text in new[] { "{}", "[]", "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}", "nonsense" })
            Assert.Throws<FormatException>(() => JsonWebKeys.Parse(Encoding.ASCII.GetBytes(text)));
    }

    private static string Fill(string claims) => "{" + claims.Replace("COMMON", s_common, StringComparison.Ordinal)
        .Replace("EXP", string.Create(CultureInfo.InvariantCulture, $"\"exp\":{Now + 3600}"), StringComparison.Ordinal) + "}";

    private TokenVerdict Validate(string token) => Validator().Validate(token, new Instant(Now * 1000));

    private SignedTokenValidator Validator()
    {
        var ec = _ec.ExportParameters(includePrivateParameters: false);
        var point = $"\"x\":\"{Base64Url.EncodeToString(ec.Q.X!)}\",\"y\":\"{Base64Url.EncodeToString(ec.Q.Y!)}\"";
        var curve = $"{{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"es1\",{point}}}";
        var keys = JsonWebKeys.Parse(Encoding.ASCII.GetBytes($"{{\"keys\":[{Jwk(_rsa, "rs1")},{curve}]}}"));
        return new SignedTokenValidator(
            new OAuthBearerSettings(new Uri("file:///keys"), ["kafka"], "https://issuer.test", "scope", "sub", 30), () => keys, () =>
                _unknownKeys++);
    }

    private static string Jwk(RSA rsa, string id)
    {
        var parameters = rsa.ExportParameters(includePrivateParameters: false);
        var modulus = Base64Url.EncodeToString(parameters.Modulus!);
        return $"{{\"kty\":\"RSA\",\"alg\":\"RS256\",\"kid\":\"{id}\",\"n\":\"{modulus}\",\"e\":\"AQAB\"}}";
    }

    private string Sign(string algorithm, string? key, string claims, RSA? rsa = null, string extraHeader = "")
    {
        var kid = key is null ? "" : $",\"kid\":\"{key}\"";
        var signed = $"{Encode($"{{\"alg\":\"{algorithm}\"{kid}{extraHeader}}}")}.{Encode(claims)}";
        var bytes = Encoding.ASCII.GetBytes(signed);
        var hash = algorithm.EndsWith("512", StringComparison.Ordinal) ? HashAlgorithmName.SHA512 : HashAlgorithmName.SHA256;
        var signature = algorithm[0] == 'E'
            ? _ec.SignData(bytes, hash)
            : (rsa ?? _rsa).SignData(bytes, hash, algorithm[0] == 'P' ? RSASignaturePadding.Pss : RSASignaturePadding.Pkcs1);
        return $"{signed}.{Base64Url.EncodeToString(signature)}";
    }

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
}
