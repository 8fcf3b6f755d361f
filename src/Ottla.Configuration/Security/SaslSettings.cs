namespace Ottla.Configuration.Security;

/// <summary>The configs <c>sasl.*</c> of one mechanism on a listener. Immutable; shows no secret.</summary>
/// <param name="Mechanism">The mechanism's name, such as <c>SCRAM-SHA-256</c>.</param>
/// <param name="Login">Its <c>sasl.jaas.config</c>; null when there is none.</param>
/// <param name="SessionMsMax"><c>connections.max.reauth.ms</c>.</param>
public sealed record MechanismSettings(string Mechanism, JaasLogin? Login, long SessionMsMax)
{
    /// <summary>The mechanism that a clear word refuses.</summary>
    public const string Kerberos = "GSSAPI";

    /// <summary>The key of <c>sasl.jaas.config</c> for this mechanism of the listener.</summary>
    public required string LoginKey { get; init; }

    /// <summary><c>sasl.server.callback.handler.class</c>; null for none.</summary>
    public string? ServerCallbackClass { get; private init; }

    /// <summary>How tokens are judged: of OAUTHBEARER only.</summary>
    public OAuthBearerSettings? Tokens { get; private init; }

    /// <summary>The settings of a mechanism.</summary>
    /// <exception cref="ConfigException">A value is malformed, or this version has not what it asks for.</exception>
    public static MechanismSettings Of(BrokerConfig config, string listener, string mechanism)
    {
        if (mechanism == Kerberos)
        {
            throw new ConfigException(
                $"The listener {listener} offers GSSAPI (Kerberos), which this version does not have. Set sasl.enabled.mechanisms, "
                    + "sasl.mechanism.inter.broker.protocol and sasl.mechanism.controller.protocol to PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 "
                    + "or "
                    + "OAUTHBEARER: all of them are GSSAPI when they are not set.");
        }

        if (mechanism is not ("PLAIN" or "SCRAM-SHA-256" or "SCRAM-SHA-512" or "OAUTHBEARER"))
        {
            throw new ConfigException(
                $"sasl.enabled.mechanisms of the listener {listener}: {mechanism} is unknown. Use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or "
                    + $"OAUTHBEARER.");
        }

        var key = $"{ListenerOverride.Key(listener, mechanism.ToLowerInvariant())}.sasl.jaas.config";
        var login = config.Original(key) ?? config.Original($"{mechanism.ToLowerInvariant()}.sasl.jaas.config");
        var get = (string name) => Value(config, listener, mechanism, name);
        return new MechanismSettings(
            mechanism, login is null ? null : JaasLogin.Parse(key, login, mechanism), get("connections.max.reauth.ms").AsLong)
        {
            LoginKey = key,
            ServerCallbackClass = get("sasl.server.callback.handler.class").AsString,
            Tokens = mechanism == "OAUTHBEARER" ? OAuthBearerSettings.Of(get, listener) : null,
        };
    }

    /// <inheritdoc/>
    public override string ToString() => Mechanism;

    /// <summary>A config of the mechanism, else of the listener, else of the node.</summary>
    private static ConfigValue Value(BrokerConfig config, string listener, string mechanism, string name)
    {
        var own = $"{ListenerOverride.Key(listener, mechanism.ToLowerInvariant())}.{name}";
        return config.Original(own) is { } text ? ConfigRegistry.Broker[name].Parse(text) : config.Get(listener, name);
    }
}

/// <summary>How the tokens of OAUTHBEARER are judged (KIP-768). Immutable.</summary>
/// <param name="JwksUrl"><c>sasl.oauthbearer.jwks.endpoint.url</c>; null for none.</param>
/// <param name="Audiences"><c>sasl.oauthbearer.expected.audience</c>; empty for any.</param>
/// <param name="Issuer"><c>sasl.oauthbearer.expected.issuer</c>; null for any.</param>
/// <param name="ScopeClaim"><c>sasl.oauthbearer.scope.claim.name</c>.</param>
/// <param name="SubjectClaim"><c>sasl.oauthbearer.sub.claim.name</c>.</param>
/// <param name="ClockSkewSeconds"><c>sasl.oauthbearer.clock.skew.seconds</c>.</param>
public sealed record OAuthBearerSettings(
    Uri? JwksUrl, IReadOnlyList<string> Audiences, string? Issuer, string ScopeClaim, string SubjectClaim, int ClockSkewSeconds)
{
    /// <summary><c>sasl.oauthbearer.jwks.endpoint.refresh.ms</c>.</summary>
    public long RefreshMs { get; internal init; }

    /// <summary><c>sasl.oauthbearer.jwks.endpoint.retry.backoff.ms</c>.</summary>
    public long RetryBackoffMs { get; private init; }

    /// <summary><c>sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms</c>.</summary>
    public long RetryBackoffMsMax { get; private init; }

    /// <summary>Writes <c>file:/path</c>, which Java takes, with the slashes that .NET wants.</summary>
    public static string Normalize(string url) =>
        url.StartsWith("file:/", StringComparison.Ordinal) && !url.StartsWith("file://", StringComparison.Ordinal)
            ? $"file://{url["file:".Length..]}"
            : url;

    /// <exception cref="ConfigException">A value is malformed, or a check would be left out that nobody asked to leave out.</exception>
    internal static OAuthBearerSettings Of(Func<string, ConfigValue> get, string listener)
    {
        const string urlName = "sasl.oauthbearer.jwks.endpoint.url";
        Uri? url = null;
        if (get(urlName).AsString is { Length: > 0 } text)
        {
            // A key set that somebody on the way can change lets anybody in, so only this machine may be asked without TLS.
            if (!Uri.TryCreate(Normalize(text), UriKind.Absolute, out url)
                || !(url.Scheme is "https" or "file" || url is { Scheme: "http", IsLoopback: true }))
                throw new ConfigException($"{urlName} of the listener {listener}: {text} is not a URL that begins with https: or file:.");
        }

        var audiences = get("sasl.oauthbearer.expected.audience").AsList;
        var issuer = get("sasl.oauthbearer.expected.issuer").AsString;
        if (url is not null && audiences.Count == 0 && !get("sasl.oauthbearer.allow.unverified.audience").AsBoolean)
        {
            throw new ConfigException(
                $"sasl.oauthbearer.expected.audience of the listener {listener} is not set. Set it, or set "
                    + "sasl.oauthbearer.allow.unverified.audience=true to accept tokens that were made for other services.");
        }

        if (url is not null && issuer is null && !get("sasl.oauthbearer.allow.unverified.issuer").AsBoolean)
        {
            throw new ConfigException(
                $"sasl.oauthbearer.expected.issuer of the listener {listener} is not set. Set it, or set "
                    + "sasl.oauthbearer.allow.unverified.issuer=true to accept tokens of every issuer whose keys are in the key set.");
        }

        return new OAuthBearerSettings(
            url, audiences, issuer, get("sasl.oauthbearer.scope.claim.name").AsString ?? "scope",
            get("sasl.oauthbearer.sub.claim.name").AsString ?? "sub", get("sasl.oauthbearer.clock.skew.seconds").AsInt)
        {
            RefreshMs = get("sasl.oauthbearer.jwks.endpoint.refresh.ms").AsLong,
            RetryBackoffMs = get("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms").AsLong,
            RetryBackoffMsMax = get("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms").AsLong,
        };
    }
}
