using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Ottla.Configuration;
using Ottla.Configuration.Security;
using Ottla.Protocol.Sasl;
using Ottla.Requests.Security;
using Ottla.Storage.Files;

namespace Ottla.Broker.Security;

/// <summary>The logins of a node on other nodes, and of a command on a cluster. Keeps nothing.</summary>
internal static class ClientLogins
{
    /// <summary>The config that names the mechanism between brokers.</summary>
    public const string BrokerMechanism = "sasl.mechanism.inter.broker.protocol";

    /// <summary>The config that names the mechanism towards controllers.</summary>
    public const string ControllerMechanism = "sasl.mechanism.controller.protocol";

    private const string TokenUrl = "sasl.oauthbearer.token.endpoint.url";
    private const int NonceBytes = 24;
    private const int TokenBytesMax = 64 * 1024;

    /// <summary>Begins a login with the credentials of the listener's <c>sasl.jaas.config</c>, as Kafka does.</summary>
    /// <exception cref="ConfigException">The credentials are not there.</exception>
    public static SaslClient Begin(BrokerConfig config, string listener, string mechanismConfig, IFileSystem files, TimeProvider time)
    {
        var settings = MechanismSettings.Of(config, listener, config.Get(listener, mechanismConfig).AsString!);
        return Begin(settings.Mechanism, settings.LoginKey, settings.Login, config.Get(listener, TokenUrl).AsString, files, time);
    }

    /// <summary>Begins a login.</summary>
    /// <param name="mechanism">The mechanism.</param>
    /// <param name="loginKey">The config that has the credentials, for messages.</param>
    /// <param name="login">The credentials; null when the config is not set.</param>
    /// <param name="tokenUrl"><c>sasl.oauthbearer.token.endpoint.url</c>; null for none.</param>
    /// <param name="files">The disks.</param>
    /// <param name="time">The clock.</param>
    /// <exception cref="ConfigException">The credentials are not there.</exception>
    public static SaslClient Begin(
        string mechanism, string loginKey, JaasLogin? login, string? tokenUrl, IFileSystem files, TimeProvider time)
    {
        if (mechanism == "OAUTHBEARER")
            return new OAuthBearerClient(ReadToken(login, tokenUrl, files, time));
        if (login is not { UserName: { } user, Password: { } password })
            throw new ConfigException($"{loginKey} has no username and password for this side's own login by {mechanism}: set both there.");
        return ScramMechanism.Find(mechanism) is { } scram
            ? new ScramClient(scram, user, password, login.IsToken, Convert.ToBase64String(RandomNumberGenerator.GetBytes(NonceBytes)))
            : new PlainClient(user, password);
    }

    private static string ReadToken(JaasLogin? login, string? tokenUrl, IFileSystem files, TimeProvider time)
    {
        if (login?.Option("unsecuredLoginStringClaim_sub") is { } subject)
            return UnsecuredToken(subject, login.Option("unsecuredLoginLifetimeSeconds"), time.GetUtcNow());
        if (!Uri.TryCreate(OAuthBearerSettings.Normalize(tokenUrl ?? ""), UriKind.Absolute, out var url) || !url.IsFile)
        {
            throw new ConfigException(
                $"{TokenUrl} must begin with file: for this side's own login by OAUTHBEARER: this version reads its token from a file, "
                    + $"which "
                    + "something else keeps up to date.");
        }

        try
        {
            var content = files.TryReadAllBytes(url.LocalPath, TokenBytesMax)
                ?? throw new ConfigException($"{TokenUrl}: there is no file {url.LocalPath}.");
            return Encoding.ASCII.GetString(content).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"{TokenUrl}: the file {url.LocalPath} cannot be read: {e.Message}");
        }
    }

    /// <summary>A token that nobody signs, for development: only listeners that ask for such tokens by name take it.</summary>
    private static string UnsecuredToken(string subject, string? lifetimeSeconds, DateTimeOffset now)
    {
        var issuedAt = now.ToUnixTimeSeconds();
        var seconds = int.TryParse(lifetimeSeconds, NumberStyles.None, CultureInfo.InvariantCulture, out var given) ? given : 3600;
        var claims = string.Create(
            CultureInfo.InvariantCulture,
            $"{{\"sub\":\"{JsonEncodedText.Encode(subject)}\",\"iat\":{issuedAt},\"exp\":{issuedAt + seconds}}}");
        return $"{Base64Url.EncodeToString("{\"alg\":\"none\"}"u8)}.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims))}.";
    }
}
