using System.Buffers.Binary;
using System.Security.Authentication;
using Ottla.Network.Buffers;
using Ottla.Network.Security;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Requests.Security;

/// <summary>TLS and SASL of connections that this side opens. Thread-safe.</summary>
/// <param name="tls">The TLS as it is now; asked for each connection, since certificates change. Null for clear text.</param>
/// <param name="login">Begins a login with the credentials as they are now; null when there is no login.</param>
/// <param name="clientId">The client id in the requests of the login.</param>
/// <param name="buffers">Where the memory of TLS comes from.</param>
public sealed class ClientSecurity(Func<TlsSettings>? tls, Func<SaslClient>? login, string? clientId, BufferPool buffers)
    : IConnectionSecurity
{
    /// <summary>No answer of a login is longer.</summary>
    private const int AnswerBytesMax = 512 * 1024;

    private const short HandshakeVersion = 1;
    private const short AuthenticateVersion = 1;

    /// <inheritdoc/>
    public async ValueTask<SecuredConnection> SecureAsync(
        ITransportConnection connection, NodeAddress address, CancellationToken cancellation)
    {
        if (tls is not null)
        {
            var secured = new TlsConnection(connection, tls(), buffers);
            connection = secured;
            try
            {
                await secured.ConnectAsync(address.Host, cancellation);
            }
            catch
            {
                await secured.DisposeAsync();
                throw;
            }
        }

        try
        {
            var lifetimeMs = login is null ? 0 : await new Exchange(connection, clientId, cancellation).LogInAsync(login());
            return new SecuredConnection(connection, lifetimeMs > 0 ? TimeSpan.FromMilliseconds(lifetimeMs) : null);
        }
        catch (ProtocolException e)
        {
            await connection.DisposeAsync();
            throw new IOException($"the peer's answer to a login is malformed: {e.Message}", e);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    /// <summary>The requests of one login, one at a time. Nothing else is on the connection meanwhile.</summary>
    private sealed class Exchange(ITransportConnection connection, string? clientId, CancellationToken cancellation)
    {
        private int _correlationId;

        /// <returns>How long the session lasts, in milliseconds; 0 when it has no end.</returns>
        public async Task<long> LogInAsync(SaslClient client)
        {
            var lifetimeMs = 0L;
            var handshake = await AskAsync<SaslHandshakeRequest, SaslHandshakeResponse>(
                new SaslHandshakeRequest { Mechanism = client.Mechanism }, HandshakeVersion);
            if (handshake.ErrorCode != (short)ErrorCode.None)
            {
                throw new AuthenticationException(
                    $"the peer refuses a login by {client.Mechanism} ({(ErrorCode)handshake.ErrorCode}); it offers "
                        + (handshake.Mechanisms.Length == 0 ? "none here" : string.Join(", ", handshake.Mechanisms)));
            }

            for (var message = client.Begin(); message is not null;)
            {
                var answer = await AskAsync<SaslAuthenticateRequest, SaslAuthenticateResponse>(
                    new SaslAuthenticateRequest { AuthBytes = message }, AuthenticateVersion);
                if (answer.ErrorCode != (short)ErrorCode.None)
                    throw new AuthenticationException(
                        $"the login by {client.Mechanism} failed: {answer.ErrorMessage ?? ((ErrorCode)answer.ErrorCode).ToString()}");
                message = client.Respond(answer.AuthBytes);
                lifetimeMs = answer.SessionLifetimeMs;
            }

            if (!client.IsComplete)
                throw new AuthenticationException($"the peer ended the login by {client.Mechanism} too early");
            return lifetimeMs;
        }

        private async Task<TResponse> AskAsync<TRequest, TResponse>(TRequest request, short version)
            where TRequest : IRequestMessage<TRequest>
            where TResponse : IResponseMessage<TResponse>
        {
            var correlationId = _correlationId++;
            await connection.SendAsync(Encode(request, version, correlationId), cancellation);
            var prefix = await ReceiveAsync(sizeof(int));
            var length = BinaryPrimitives.ReadInt32BigEndian(prefix);
            if (length is < sizeof(int) or > AnswerBytesMax)
                throw new IOException(
                    $"the peer announced an answer of {length} bytes to a login: it may not speak this protocol, or expect TLS");
            var frame = await ReceiveAsync(length);
            var reader = new WireReader(frame);
            var answered = reader.ReadInt32();
            if (answered != correlationId)
                throw new MalformedMessageException($"It answers request {answered}, and {correlationId} is under way.");
            return TResponse.Read(ref reader, version);
        }

        private byte[] Encode<TRequest>(TRequest request, short version, int correlationId)
            where TRequest : IRequestMessage<TRequest>
        {
            var header = new RequestHeader
            {
                RequestApiKey = (short)TRequest.ApiKey,
                RequestApiVersion = version,
                CorrelationId = correlationId,
                ClientId = clientId,
            };
            var buffer = new WireBuffer();
            var writer = new WireWriter(buffer);
            header.Write(ref writer, version: 1);
            request.Write(ref writer, version);
            writer.Flush();
            var frame = new byte[sizeof(int) + buffer.Written.Length];
            BinaryPrimitives.WriteInt32BigEndian(frame, buffer.Written.Length);
            buffer.Written.CopyTo(frame.AsSpan(sizeof(int)));
            return frame;
        }

        private async Task<byte[]> ReceiveAsync(int count)
        {
            var bytes = new byte[count];
            for (var received = 0; received < count;)
            {
                var more = await connection.ReceiveAsync(bytes.AsMemory(received), cancellation);
                if (more == 0)
                    throw new IOException("the peer closed the connection during the login");
                received += more;
            }

            return bytes;
        }
    }
}
