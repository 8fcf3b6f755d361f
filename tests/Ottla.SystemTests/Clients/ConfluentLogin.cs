using Confluent.Kafka;

namespace Ottla.SystemTests.Clients;

/// <summary>The login of Confluent.Kafka's clients in this process.</summary>
internal static class ConfluentLogin
{
    private static readonly TimeSpan TokenLifetime = TimeSpan.FromMinutes(10);

    /// <summary>Adds the login to the configuration of a client.</summary>
    public static void AddTo(ClientConfig config)
    {
        if (ClientLogin.OfThisProcess is not { } login)
            return;
        config.Set("security.protocol", login.Protocol);
        config.Set("sasl.mechanism", login.Mechanism);
        config.SslCaLocation = login.CaFile;
        config.SocketTimeoutMs = 5_000;
        if (login.Token is not null)
            return;
        config.SaslUsername = login.UserName;
        config.SaslPassword = login.Password;
    }

    /// <summary>Gives a client its token.</summary>
    public static void SetToken(IClient client)
    {
        if (ClientLogin.OfThisProcess is { Token: { } token } login)
            client.OAuthBearerSetToken(token, DateTimeOffset.UtcNow.Add(TokenLifetime).ToUnixTimeMilliseconds(), login.UserName);
        else
            client.OAuthBearerSetTokenFailure("no token was given");
    }
}
