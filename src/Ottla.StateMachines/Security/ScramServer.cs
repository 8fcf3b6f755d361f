using System.Security.Cryptography;
using System.Text;
using Ottla.Kernel;
using Ottla.Protocol.Sasl;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Security;

/// <summary>What a server needs for a login by SCRAM.</summary>
/// <param name="Credential">The keys, the salt and the iterations.</param>
/// <param name="Identity">Who it is; null when there is no such user, and the credential is made up.</param>
public sealed record ScramEntry(ScramCredential Credential, SaslIdentity? Identity);

/// <summary>Where the credentials for SCRAM come from.</summary>
public interface IScramCredentials
{
    /// <summary>
    /// The credential of a user or of a delegation token. For a name that does not exist it makes one up, always the same for a name: a
    /// client must not learn which names exist.
    /// </summary>
    ScramEntry Find(ScramMechanism mechanism, string name, bool isToken, Instant now);
}

/// <summary>SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), also for delegation tokens (KIP-48).</summary>
/// <param name="mechanism">The mechanism.</param>
/// <param name="credentials">The users.</param>
/// <param name="serverNonce">This server's part of the nonce: random, and new for each login.</param>
public sealed class ScramServer(ScramMechanism mechanism, IScramCredentials credentials, string serverNonce) : SaslServer
{
    private ScramClientFirst? _first;
    private ScramServerFirst? _challenge;
    private ScramEntry? _entry;

    /// <inheritdoc/>
    public override SaslStep Evaluate(ReadOnlySpan<byte> message, Instant now)
    {
        try
        {
            return _first is null ? Challenge(ScramClientFirst.Parse(message), now) : Verify(ScramClientFinal.Parse(message));
        }
        catch (SaslFormatException e)
        {
            return SaslStep.Refuse(e.Message);
        }
    }

    private SaslStep Challenge(ScramClientFirst first, Instant now)
    {
        // The authorization id of another user would let a client act as that user (CVE-2017-12610).
        if (first.AuthorizationId.Length > 0 && first.AuthorizationId != first.UserName)
            return SaslStep.Refuse(ForeignAuthorizationId, $"user {LogName.Of(first.UserName)} wants to act as another user");
        var entry = credentials.Find(mechanism, first.UserName, first.IsToken, now);
        if (entry.Credential.Iterations < ScramMechanism.IterationsMin)
            return SaslStep.Refuse(
                $"the credential of {LogName.Of(first.UserName)} has {entry.Credential.Iterations} iterations, and at least "
                    + $"{ScramMechanism.IterationsMin} are needed: set the password anew");
        _first = first;
        _entry = entry;
        _challenge = ScramServerFirst.Create(first.Nonce + serverNonce, [.. entry.Credential.Salt], entry.Credential.Iterations);
        return SaslStep.Continue(Encoding.ASCII.GetBytes(_challenge.Text));
    }

    private SaslStep Verify(ScramClientFinal final)
    {
        var (first, challenge, entry) = (_first!, _challenge!, _entry!);
        // Kafka's server did not compare the nonce (CVE-2024-56128). librdkafka before 2.6.1 says its own part twice: that is the whole
        // nonce all the same, and the proof covers it.
        if (final.Nonce != challenge.Nonce && final.Nonce != first.Nonce + challenge.Nonce)
            return SaslStep.Refuse($"user {LogName.Of(first.UserName)}: the nonce of the last message is not that of this login");
        var signed = Encoding.ASCII.GetBytes($"{first.Bare},{challenge.Text},{final.WithoutProof}");
        var storedKey = entry.Credential.StoredKey.AsSpan();
        var isProven = final.Proof.Length == mechanism.HashBytes && CryptographicOperations.FixedTimeEquals(
            mechanism.Hash(mechanism.Combine(final.Proof, mechanism.Hmac(storedKey, signed))), storedKey);
        if (entry.Identity is not { } identity || !isProven)
            return SaslStep.Refuse(entry.Identity is null
                ? $"{(first.IsToken ? "delegation token" : "user")} {LogName.Of(first.UserName)} is unknown"
                : $"user {LogName.Of(first.UserName)}: wrong password");
        var signature = mechanism.Hmac(entry.Credential.ServerKey.AsSpan(), signed);
        return SaslStep.Success(new ScramServerFinal(signature).ToBytes(), identity);
    }
}
