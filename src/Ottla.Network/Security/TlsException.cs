using System.Security.Authentication;

namespace Ottla.Network.Security;

/// <summary>A TLS handshake has failed: one side refuses the other's certificate, or they have nothing in common.</summary>
/// <param name="message">The reason.</param>
/// <param name="innerException">The cause.</param>
public sealed class TlsException(string message, Exception? innerException = null) : AuthenticationException(message, innerException);
