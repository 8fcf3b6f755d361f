using System.Text.Json;
using System.Text.Json.Serialization;

namespace Ottla.SystemTests.Clients;

/// <summary>How a driver logs in. Drivers get it as JSON in <see cref="Variable"/>.</summary>
/// <param name="Protocol"><c>SASL_PLAINTEXT</c> or <c>SASL_SSL</c>.</param>
/// <param name="Mechanism">The mechanism.</param>
/// <param name="UserName">The user.</param>
/// <param name="Password">The password; null with a token.</param>
/// <param name="Token">The token of OAUTHBEARER; null without one.</param>
/// <param name="CaFile">The certificate of the authority that is trusted, in a PEM file.</param>
public sealed record ClientLogin(
    [property: JsonPropertyName("protocol")] string Protocol,
    [property: JsonPropertyName("mechanism")] string Mechanism,
    [property: JsonPropertyName("username")] string UserName,
    [property: JsonPropertyName("password")] string? Password,
    [property: JsonPropertyName("token")] string? Token,
    [property: JsonPropertyName("ca")] string CaFile)
{
    /// <summary>The variable of a driver's environment.</summary>
    public const string Variable = "CLIENT_LOGIN";

    /// <summary>The login that this process was given; null for none.</summary>
    public static ClientLogin? OfThisProcess { get; } =
        Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } text ? JsonSerializer.Deserialize<ClientLogin>(text) : null;

    /// <summary>The variable's value.</summary>
    public string ToJson() => JsonSerializer.Serialize(this);
}
