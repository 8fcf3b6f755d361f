using System.Buffers.Binary;
using Microsoft.Extensions.Logging;
using Ottla.Broker.Api;
using Ottla.Broker.Security;
using Ottla.Kernel;
using Ottla.Network.Security;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Security;

namespace Ottla.Broker.Server;

/// <summary>What becomes of a frame that a login looked at.</summary>
internal enum LoginOutcome
{
    /// <summary>It is a request to serve.</summary>
    Serve,

    /// <summary>It was part of the login, and is answered.</summary>
    Answered,

    /// <summary>The connection ends, once what was answered is sent.</summary>
    End,
}

/// <summary>The TLS handshake and the login of one connection. Owned by it, and used by its task only.</summary>
internal sealed class ConnectionLogin(
    ListenerSecurity security, Action<IThreadPoolWorkItem>? handshakes, TlsConnection? tls, ConnectionInfo info, ApiTable apis,
    ResponseQueue responses, TimeProvider time, ILogger logger)
{
    private readonly LoginMachine? _machine = security.BeginLogin();
    private readonly RequestHeader _header = new();

    /// <summary>Whether the client has proved all that it must.</summary>
    public bool IsComplete { get; private set; }

    /// <summary><inheritdoc cref="ListenerSecurity.LoginBytesMax" path="/summary"/></summary>
    public int BytesMax => security.LoginBytesMax;

    /// <summary><inheritdoc cref="ListenerSecurity.LoginTimeout" path="/summary"/></summary>
    public TimeSpan Timeout => security.LoginTimeout;

    /// <summary><inheritdoc cref="ListenerSecurity.LoginsPerAddressMax" path="/summary"/></summary>
    public int PerAddressMax => security.LoginsPerAddressMax;

    /// <summary>Secures the connection. On a listener without SASL, the certificate says who the client is.</summary>
    /// <exception cref="System.Security.Authentication.AuthenticationException">The client is refused.</exception>
    public async ValueTask HandshakeAsync()
    {
        if (tls is null)
            return;
        await tls.AcceptAsync(handshakes, info.Closing);
        if (_machine is not null)
            return;
        if (tls.PeerSubject is { } subject)
        {
            var name = security.NameOf(subject) ?? throw new System.Security.Authentication.AuthenticationException(
                $"no rule of ssl.principal.mapping.rules applies to {LogName.Of(subject)}");
            info.Principal = new ClientPrincipal(ClientPrincipal.UserType, name, IsTokenAuthenticated: false);
        }

        IsComplete = true;
    }

    /// <summary>Whether a frame is to be shown to <see cref="TakeAsync"/> before it is served.</summary>
    public bool Intercepts(ReadOnlySpan<byte> frame) => _machine is not null
        && !(BinaryPrimitives.TryReadInt16BigEndian(frame, out var key) && _machine.MayServe(key, Instant.Now(time)));

    /// <summary>Takes the next frame.</summary>
    /// <exception cref="ProtocolException">The frame is malformed.</exception>
    public async ValueTask<LoginOutcome> TakeAsync(Memory<byte> frame)
    {
        var machine = _machine!;
        var hasKey = BinaryPrimitives.TryReadInt16BigEndian(frame.Span, out var key);
        var hasVersion = frame.Length >= 2 * sizeof(short);
        var version = hasVersion ? BinaryPrimitives.ReadInt16BigEndian(frame.Span[sizeof(short)..]) : (short)-1;
        var api = hasKey ? apis.Find(key) : null;
        var isServed = hasVersion && api?.Supports(version) == true;
        var now = Instant.Now(time);
        switch (machine.OnRequest(hasKey ? key : (short)-1, isServed, now))
        {
            case LoginMove.Serve:
                return LoginOutcome.Serve;
            case LoginMove.ServeApiVersions:
                if (isServed && AsksForVersions(frame, version))
                    machine.OnApiVersionsAnswered();
                return LoginOutcome.Serve;
            case LoginMove.Handshake:
                return await HandshakeAsync(api!, frame, version);
            case LoginMove.Authenticate:
                return await AuthenticateAsync(api!, frame, version, now);
            case LoginMove.RawMessage:
                return await TakeRawAsync(frame, now);
            case LoginMove.AnswerIllegalState:
                Refuse(api!, frame, version);
                return LoginOutcome.Answered;
            case LoginMove.RefuseIllegalState:
                ServerLog.LoginFailed(
                    logger, info.ClientAddress, info.ListenerName, machine.Mechanism, $"{api!.Key} came within the login");
                await DelayAsync();
                Refuse(api!, frame, version);
                return LoginOutcome.End;
            default:
                ServerLog.LoginBroken(logger, info.ClientAddress, info.ListenerName, machine.CloseReason);
                return LoginOutcome.End;
        }
    }

    /// <summary>Waits as long as a client waits that was refused: guessing takes time.</summary>
    public async ValueTask DelayAsync()
    {
        if (security.FailureDelay > TimeSpan.Zero)
            await Task.Delay(security.FailureDelay, time, info.Closing);
    }

    private async ValueTask<LoginOutcome> HandshakeAsync(ApiEntry api, Memory<byte> frame, short version)
    {
        var (context, body) = Open(api, frame, version);
        var reader = new WireReader(body);
        var mechanism = SaslHandshakeRequest.Read(ref reader, version).Mechanism;
        var error = _machine!.OnHandshake(version, mechanism);
        if (error != ErrorCode.None)
        {
            ServerLog.LoginFailed(
                logger, info.ClientAddress, info.ListenerName, LogName.Of(mechanism), "the listener does not offer this mechanism");
            await DelayAsync();
        }

        Answer(api, context, new SaslHandshakeResponse { ErrorCode = (short)error, Mechanisms = [.. security.MechanismNames] });
        return error == ErrorCode.None ? LoginOutcome.Answered : LoginOutcome.End;
    }

    private async ValueTask<LoginOutcome> AuthenticateAsync(ApiEntry api, Memory<byte> frame, short version, Instant now)
    {
        var (context, body) = Open(api, frame, version);
        var answer = OnMessage(ReadMessage(body, version).Span, now);
        if (answer.HasFailed)
            await DelayAsync();
        Answer(api, context, new SaslAuthenticateResponse
        {
            ErrorCode = (short)answer.Error,
            ErrorMessage = answer.ErrorMessage ?? "",
            AuthBytes = answer.Response,
            SessionLifetimeMs = answer.SessionLifetimeMs,
        });
        return answer.HasFailed ? LoginOutcome.End : LoginOutcome.Answered;
    }

    /// <summary>A message as clients before KIP-152 send it: the frame is the message, and so is the answer.</summary>
    private async ValueTask<LoginOutcome> TakeRawAsync(Memory<byte> frame, Instant now)
    {
        var answer = OnMessage(frame.Span, now);
        if (answer.HasFailed)
        {
            await DelayAsync();
            return LoginOutcome.End;
        }

        var slot = responses.Open(overlaps: false);
        slot.Frame.Write(answer.Response);
        slot.Complete();
        return LoginOutcome.Answered;
    }

    private LoginAnswer OnMessage(ReadOnlySpan<byte> message, Instant now)
    {
        var answer = _machine!.OnMessage(message, now);
        if (answer.LogReason is { } reason)
            ServerLog.LoginFailed(logger, info.ClientAddress, info.ListenerName, _machine.Mechanism, reason);
        if (answer.Identity is { } identity)
        {
            info.Principal = new ClientPrincipal(ClientPrincipal.UserType, identity.Name, identity.IsTokenAuthenticated);
            IsComplete = true;
        }

        return answer;
    }

    /// <summary>
    /// The mechanism's message in a SaslAuthenticate request, as a window of the frame: a stranger's long message costs no memory of its
    /// own.
    /// </summary>
    private static ReadOnlyMemory<byte> ReadMessage(Memory<byte> body, short version)
    {
        var isFlexible = version >= SaslAuthenticateRequest.LowestFlexibleVersion;
        var reader = new WireReader(body);
        var message = reader.ReadRecords(isFlexible, nameof(SaslAuthenticateRequest.AuthBytes)).Memory; // bytes, which records are too
        if (isFlexible)
            reader.SkipTaggedFields();
        return message;
    }

    /// <summary>Whether an ApiVersions request gets what it asks for: one that is refused may be followed by a better one.</summary>
    private bool AsksForVersions(Memory<byte> frame, short version)
    {
        var (_, body) = Open(apis.Find((short)ApiKey.ApiVersions)!, frame, version);
        var reader = new WireReader(body);
        return ApiVersionsHandler.NamesSoftware(version, ApiVersionsRequest.Read(ref reader, version));
    }

    private void Refuse(ApiEntry api, Memory<byte> frame, short version)
    {
        var (context, body) = Open(api, frame, version);
        var message = api.Key == ApiKey.SaslAuthenticate ? "SaslAuthenticate request received after successful authentication" : null;
        api.Refuse(context, body, responses, ErrorCode.IllegalSaslState, message);
    }

    private (RequestContext Context, Memory<byte> Body) Open(ApiEntry api, Memory<byte> frame, short version)
    {
        var reader = new WireReader(frame);
        _header.ReadAgain(ref reader, api.RequestHeaderVersion(version));
        var context = new RequestContext(
            api.Key, version, _header.CorrelationId, _header.ClientId, info)
        { ArrivedAt = time.GetTimestamp() };
        return (context, frame[reader.Position..]);
    }

    private void Answer<TResponse>(ApiEntry api, in RequestContext context, TResponse response)
        where TResponse : class, IResponseMessage<TResponse>
    {
        var slot = responses.Open(overlaps: false);
        api.Encode(context, response, context.ApiVersion, slot.Frame);
        api.Metrics.Count(response, context.ApiVersion, responses.TimeSince(context));
        slot.Complete();
    }

    /// <summary>Puts TLS around a new connection of a listener that has it.</summary>
    public static (ITransportConnection Connection, TlsConnection? Tls) Wrap(
        ITransportConnection accepted, ListenerSecurity? security, Network.Buffers.BufferPool pool)
    {
        if (security?.Tls() is not { } settings)
            return (accepted, null);
        var tls = new TlsConnection(accepted, settings, pool);
        return (tls, tls);
    }
}
