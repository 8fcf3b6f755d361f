using System.Collections.Frozen;
using System.Security.Cryptography;
using Ottla.Configuration;
using Ottla.Configuration.Security;
using Ottla.Protocol.Sasl;
using Ottla.StateMachines.Security;

namespace Ottla.Broker.Security;

/// <summary>The SASL mechanisms of a listener, as one configuration says. Immutable; thread-safe.</summary>
internal sealed class ServerMechanisms : ISaslMechanisms
{
    private const string UnsecuredClass =
        "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler";

    private const string ValidatorClass = "org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler";

    /// <summary>Bytes of this server's part of a nonce.</summary>
    private const int NonceBytes = 24;

    private readonly FrozenDictionary<string, Mechanism> _mechanisms;

    /// <param name="config">The configuration.</param>
    /// <param name="listener">The listener.</param>
    /// <param name="credentials">The users of SCRAM.</param>
    /// <param name="keysOf">The keys of an issuer of tokens.</param>
    /// <exception cref="ConfigException">The configuration lacks what a mechanism needs, or asks for what is not there.</exception>
    public ServerMechanisms(
        BrokerConfig config, string listener, IScramCredentials credentials, Func<OAuthBearerSettings, JwksSource> keysOf)
    {
        Names = [.. config.Get(listener, "sasl.enabled.mechanisms").AsList.Distinct(StringComparer.Ordinal)];
        if (Names.Count == 0)
            throw new ConfigException($"sasl.enabled.mechanisms of the listener {listener} is empty: nobody could log in.");
        _mechanisms = Names.ToFrozenDictionary(
            name => name, name =>
                Create(MechanismSettings.Of(config, listener, name), listener, credentials, keysOf), StringComparer.Ordinal);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Names { get; }

    /// <inheritdoc/>
    public SaslServer? Begin(string mechanism) => _mechanisms.GetValueOrDefault(mechanism)?.Begin();

    /// <inheritdoc/>
    public long SessionMsMax(string mechanism) => _mechanisms[mechanism].SessionMsMax;

    private static Mechanism Create(
        MechanismSettings settings, string listener, IScramCredentials credentials, Func<OAuthBearerSettings, JwksSource> keysOf)
    {
        if (settings.Mechanism == "OAUTHBEARER")
        {
            var tokens = CreateValidator(settings, listener, keysOf);
            return new Mechanism(() => new OAuthBearerServer(tokens), settings.SessionMsMax);
        }

        if (settings.ServerCallbackClass is { Length: > 0 } callback)
        {
            throw new ConfigException(
                $"sasl.server.callback.handler.class of {settings.Mechanism} on the listener {listener}: the class {callback} cannot be "
                    + $"loaded, "
                    + "because it is written in Java. Remove the config.");
        }

        if (ScramMechanism.Find(settings.Mechanism) is { } scram)
        {
            return new Mechanism(
                () => new ScramServer(scram, credentials, Convert.ToBase64String(RandomNumberGenerator.GetBytes(NonceBytes))),
                    settings.SessionMsMax);
        }

        if (settings.Login is null)
        {
            throw new ConfigException(
                $"{settings.LoginKey} is not set: the listener {listener} offers PLAIN, and has no users. Set it to "
                    + "'org.apache.kafka.common.security.plain.PlainLoginModule required user_NAME=\"PASSWORD\";'.");
        }

        var users = new PlainUsers(settings.Login.Users, RandomNumberGenerator.GetBytes(HMACSHA256.HashSizeInBytes));
        return new Mechanism(() => new PlainServer(users), settings.SessionMsMax);
    }

    private static ITokenValidator CreateValidator(
        MechanismSettings settings, string listener, Func<OAuthBearerSettings, JwksSource> keysOf)
    {
        if (settings.ServerCallbackClass == UnsecuredClass)
            return new UnsecuredTokenValidator(settings.Login);
        if (settings.ServerCallbackClass is { Length: > 0 } callback and not ValidatorClass)
        {
            throw new ConfigException(
                $"sasl.server.callback.handler.class of OAUTHBEARER on the listener {listener}: the class {callback} is unknown. Remove "
                    + $"the "
                    + $"config to check signatures, or name {UnsecuredClass} to take tokens that nobody has signed.");
        }

        // Without keys Kafka took any token (CVE-2026-110985).
        if (settings.Tokens!.JwksUrl is null)
        {
            throw new ConfigException(
                $"sasl.oauthbearer.jwks.endpoint.url of the listener {listener} is not set, so no signature of a token could be checked. "
                    + $"Set it "
                    + $"to the issuer's key set, or set sasl.server.callback.handler.class={UnsecuredClass} to take tokens that nobody "
                    + $"has signed.");
        }

        var source = keysOf(settings.Tokens);
        return new SignedTokenValidator(settings.Tokens, () => source.Keys, source.RefreshEarly);
    }

    private sealed record Mechanism(Func<SaslServer> Begin, long SessionMsMax);
}
