using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.StateMachines.Security;

/// <summary>The mechanisms of a listener.</summary>
public interface ISaslMechanisms
{
    /// <summary>The names that a client may choose from, in the order of the configuration.</summary>
    IReadOnlyList<string> Names { get; }

    /// <summary>Begins a login; null when the listener has no such mechanism.</summary>
    SaslServer? Begin(string mechanism);

    /// <summary><c>connections.max.reauth.ms</c> of a mechanism; 0 for sessions that last as long as the connection.</summary>
    long SessionMsMax(string mechanism);
}

/// <summary>What to do with a request on a connection that logs in, as its key alone decides.</summary>
public enum LoginMove
{
    /// <summary>Serve it: the client is logged in.</summary>
    Serve,

    /// <summary>Serve it: it is an ApiVersions request before the login.</summary>
    ServeApiVersions,

    /// <summary>It is a handshake: <see cref="LoginMachine.OnHandshake"/>.</summary>
    Handshake,

    /// <summary>It is a SaslAuthenticate request: <see cref="LoginMachine.OnMessage"/>.</summary>
    Authenticate,

    /// <summary>The frame is a message of the mechanism without a header: <see cref="LoginMachine.OnMessage"/>.</summary>
    RawMessage,

    /// <summary>Answer it with ILLEGAL_SASL_STATE; the connection lives on.</summary>
    AnswerIllegalState,

    /// <summary>Answer it with ILLEGAL_SASL_STATE after the delay for failed logins, and close the connection.</summary>
    RefuseIllegalState,

    /// <summary>Close the connection without an answer.</summary>
    Close,
}

/// <summary>The answer to a message of a mechanism.</summary>
/// <param name="Error">The error; NONE also while the login goes on.</param>
/// <param name="ErrorMessage">What the client is told of it.</param>
/// <param name="Response">The mechanism's answer.</param>
/// <param name="SessionLifetimeMs">How long the session lasts; 0 when it has no end, or the login goes on.</param>
/// <param name="Identity">Who logged in with this message; null otherwise.</param>
/// <param name="LogReason">Why the login failed, or is going to, for the log; null when there is nothing to log.</param>
public readonly record struct LoginAnswer(
    ErrorCode Error, string? ErrorMessage, byte[] Response, long SessionLifetimeMs, SaslIdentity? Identity, string? LogReason)
{
    /// <summary>Whether the login failed: the connection is closed after the answer.</summary>
    public bool HasFailed => Error != ErrorCode.None;
}

/// <summary>
/// The login of one connection, from its first request to its end: which requests are served when, and what they are answered (KIP-43,
/// KIP-152, KIP-368).
/// </summary>
/// <remarks>
/// Pure: no socket, no clock. The connection calls <see cref="OnRequest"/> for every frame, with nothing but the key and whether the
/// version
/// is known: nothing else of an unknown client's request is looked at.
/// </remarks>
public sealed class LoginMachine(ISaslMechanisms mechanisms)
{
    /// <summary>A session must have lasted as long before it may begin anew, except for the first time, as in Kafka.</summary>
    private const long ReauthenticationIntervalMs = 1000;

    private Phase _phase = Phase.New;
    private SaslServer? _server;
    private string _mechanism = "";
    private SaslIdentity? _identity;
    private Instant? _sessionEnd;
    private Instant? _lastReauthentication;
    private string _closeReason = "";

    private enum Phase
    {
        /// <summary>Nothing was asked yet.</summary>
        New,

        /// <summary>ApiVersions was answered: only a handshake may follow.</summary>
        HandshakeExpected,

        /// <summary>The mechanism's messages come in SaslAuthenticate requests.</summary>
        Messages,

        /// <summary>The mechanism's messages come as frames without a header: the handshake was of version 0.</summary>
        RawMessages,

        /// <summary>The client is logged in.</summary>
        LoggedIn,

        /// <summary>The next request closes the connection.</summary>
        Ended,
    }

    /// <summary>Who logged in; null before the first login is complete.</summary>
    public SaslIdentity? Identity => _identity;

    /// <summary>The mechanism of the login.</summary>
    public string Mechanism => _mechanism;

    /// <summary>Why the last move was to close.</summary>
    public string CloseReason => _closeReason;

    private bool IsReauthentication => _identity is not null;

    /// <summary>
    /// Whether a request can be served without <see cref="OnRequest"/>: the client is logged in, its session lasts, and the request is none
    /// of
    /// a login.
    /// </summary>
    public bool MayServe(short key, Instant now) =>
        _phase == Phase.LoggedIn && key is not ((short)ApiKey.SaslHandshake or (short)ApiKey.SaslAuthenticate)
            && (_sessionEnd is not { } end || now < end);

    /// <summary>Decides about the next request.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="isServed">Whether the listener serves the key in the request's version.</param>
    /// <param name="now">The time.</param>
    public LoginMove OnRequest(short key, bool isServed, Instant now) => _phase switch
    {
        Phase.RawMessages => LoginMove.RawMessage,
        Phase.New when key == (short)ApiKey.ApiVersions => LoginMove.ServeApiVersions, // an unknown version has its own answer
        Phase.New or Phase.HandshakeExpected => key == (short)ApiKey.SaslHandshake && isServed
            ? LoginMove.Handshake
            : Close($"a request with key {key} came before the login"),
        Phase.Messages when !isServed => Close($"a request with key {key} came within the login"),
        Phase.Messages => key == (short)ApiKey.SaslAuthenticate ? LoginMove.Authenticate : LoginMove.RefuseIllegalState,
        Phase.LoggedIn => OnRequestInSession(key, isServed, now),
        _ => Close("a request came after the login had failed"),
    };

    /// <summary>An ApiVersions request before the login was answered with what it asked for: another one closes the connection.</summary>
    public void OnApiVersionsAnswered() => _phase = Phase.HandshakeExpected;

    /// <summary>Answers a handshake.</summary>
    /// <returns>NONE, or UNSUPPORTED_SASL_MECHANISM: then the connection is closed.</returns>
    public ErrorCode OnHandshake(short version, string mechanism)
    {
        if (mechanisms.Begin(mechanism) is not { } server)
        {
            _phase = Phase.Ended;
            return ErrorCode.UnsupportedSaslMechanism;
        }

        _server = IsReauthentication && mechanism != _mechanism ? null : server;
        if (!IsReauthentication)
            _mechanism = mechanism;
        _phase = _server is null ? Phase.Ended : version == 0 ? Phase.RawMessages : Phase.Messages;
        return ErrorCode.None;
    }

    /// <summary>Answers a message of the mechanism.</summary>
    public LoginAnswer OnMessage(ReadOnlySpan<byte> message, Instant now)
    {
        var step = _server!.Evaluate(message, now);
        if (step.Failure is { } failure)
            return Fail(failure.ClientMessage ?? NeutralMessage, failure.LogReason);
        if (step.Identity is not { } identity)
            return new LoginAnswer(ErrorCode.None, null, step.Response, 0, null, step.ComingFailure);
        if (_identity is { } before && before.Name != identity.Name)
        {
            return Fail(
                $"Cannot change principals during re-authentication from User.{before.Name}: User.{identity.Name}",
                $"user {LogName.Of(before.Name)} logged in again as {LogName.Of(identity.Name)}");
        }

        _server = null;
        _phase = Phase.LoggedIn;
        _identity = identity;
        return new LoginAnswer(ErrorCode.None, null, step.Response, BeginSession(identity, now), identity, null);
    }

    private string NeutralMessage =>
        $"Authentication failed during "
            + $"{(IsReauthentication ? "re-authentication" : "authentication")} due to invalid credentials with SASL "
            + $"mechanism {_mechanism}";

    private LoginMove OnRequestInSession(short key, bool isServed, Instant now)
    {
        var isOver = _sessionEnd is { } end && now >= end;
        switch ((ApiKey)key)
        {
            case ApiKey.SaslHandshake when isServed && MayAuthenticateAgain(now):
                _lastReauthentication = now;
                return LoginMove.Handshake;
            case var _ when isOver:
                return Close("its session is over, and it did not log in again");
            case ApiKey.SaslHandshake or ApiKey.SaslAuthenticate when isServed:
                return LoginMove.AnswerIllegalState;
            default:
                return LoginMove.Serve;
        }
    }

    private bool MayAuthenticateAgain(Instant now) => _sessionEnd is not null
        && (_lastReauthentication is not { } last || now.MillisecondsSince(last) >= ReauthenticationIntervalMs);

    /// <summary>The session ends with the credentials, and when it has lasted as long as it may.</summary>
    private long BeginSession(SaslIdentity identity, Instant now)
    {
        var lifetimeMs = mechanisms.SessionMsMax(_mechanism) is > 0 and var max ? max : (long?)null;
        if (identity.ExpiresAt is { } expiresAt)
            lifetimeMs = Math.Min(lifetimeMs ?? long.MaxValue, Math.Max(0, expiresAt.MillisecondsSince(now)));
        _sessionEnd = lifetimeMs is { } ms ? now.AddMilliseconds(ms) : null;
        return lifetimeMs ?? 0;
    }

    private LoginAnswer Fail(string clientMessage, string? logReason)
    {
        _phase = Phase.Ended;
        _server = null;
        return new LoginAnswer(ErrorCode.SaslAuthenticationFailed, clientMessage, [], 0, null, logReason);
    }

    private LoginMove Close(string reason)
    {
        _phase = Phase.Ended;
        _closeReason = reason;
        return LoginMove.Close;
    }
}
