using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Win32.SafeHandles;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;

namespace Ottla.Network.Security;

/// <summary>A connection over TLS. The handshake comes first: nothing else may be called before it is complete.</summary>
/// <remarks>Owned like the connection that it runs over, which it disposes. <see cref="Abort"/> may come from any thread.</remarks>
public sealed class TlsConnection : ITransportConnection
{
    /// <summary>What a peer gets that does not speak TLS, as from Java: the alert internal_error.</summary>
    private static readonly byte[] s_notTlsAlert = [21, 3, 3, 0, 2, 2, 80];

    private readonly ITransportConnection _inner;
    private readonly TlsSettings _settings;
    private readonly TransportStream _stream;
    private SslStream? _tls;
    private bool _awaitsVerdict;
    private string? _refusal;

    /// <summary>Makes the TLS of a connection, before its handshake.</summary>
    /// <param name="inner">The connection.</param>
    /// <param name="settings">Certificates, versions and suites.</param>
    /// <param name="pool">Lends memory for records that leave together.</param>
    public TlsConnection(ITransportConnection inner, TlsSettings settings, BufferPool pool)
    {
        _inner = inner;
        _settings = settings;
        _stream = new TransportStream(inner, pool);
    }

    private SslStream Tls => _tls ?? throw new InvalidOperationException("The handshake has not begun.");

    /// <inheritdoc/>
    public IPEndPoint? RemoteEndPoint => _inner.RemoteEndPoint;

    /// <inheritdoc/>
    public IPEndPoint? LocalEndPoint => _inner.LocalEndPoint;

    /// <inheritdoc/>
    public bool CanSendFile => false;

    /// <inheritdoc/>
    public long SentBytes => _inner.SentBytes;

    /// <summary>The peer's certificate, which belongs to the connection; null when it has shown none.</summary>
    public X509Certificate2? PeerCertificate => _tls?.RemoteCertificate as X509Certificate2;

    /// <summary>The subject of the peer's certificate in RFC 2253's form; null when it has shown none.</summary>
    public string? PeerSubject { get; private set; }

    /// <summary>The server's side of the handshake.</summary>
    /// <param name="scheduler">Runs the arithmetic away from the network loop; null to stay there.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="TlsException">The client does not speak TLS, has nothing in common, or is refused.</exception>
    /// <exception cref="IOException">The connection failed.</exception>
    public async ValueTask AcceptAsync(Action<IThreadPoolWorkItem>? scheduler, CancellationToken cancellationToken)
    {
        _stream.Scheduler = scheduler;
        await _stream.ReceiveFirstRecordAsync(cancellationToken);
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = _settings.Context,
            EnabledSslProtocols = _settings.Protocols,
            CipherSuitesPolicy = _settings.CipherSuites,
            ClientCertificateRequired = _settings.AsksForCertificate,
            CertificateChainPolicy = OfflinePolicy(),
            RemoteCertificateValidationCallback = (_, certificate, chain, _) => IsClientGood(certificate, chain),
            AllowRenegotiation = false,
            // A resumed session would let a client in whose certificate is not trusted any more.
            AllowTlsResume = !_settings.AsksForCertificate,
        };
        _tls = new SslStream(_stream, leaveInnerStreamOpen: true);
        try
        {
            await _tls.AuthenticateAsServerAsync(options, cancellationToken);
        }
        catch (Exception e) when (e is AuthenticationException or IOException && _stream.IsNotTls)
        {
            await _inner.SendAsync(s_notTlsAlert, cancellationToken);
            throw new TlsException("the client does not speak TLS: its first bytes are no handshake", e);
        }
        catch (AuthenticationException e)
        {
            throw new TlsException(_refusal ?? Innermost(e), e);
        }
        finally
        {
            _stream.Scheduler = null;
        }

        PeerSubject = SubjectOfPeer();
    }

    /// <summary>The client's side of the handshake.</summary>
    /// <param name="host">The host that the server must be, as it was asked for.</param>
    /// <param name="cancellationToken">Ends the attempt.</param>
    /// <exception cref="TlsException">The server is refused, or refuses this side.</exception>
    /// <exception cref="IOException">The connection failed.</exception>
    public async ValueTask ConnectAsync(string host, CancellationToken cancellationToken)
    {
        var options = new SslClientAuthenticationOptions
        {
            TargetHost = host,
            ClientCertificateContext = _settings.Context,
            EnabledSslProtocols = _settings.Protocols,
            CipherSuitesPolicy = _settings.CipherSuites,
            CertificateChainPolicy = OfflinePolicy(),
            RemoteCertificateValidationCallback = (_, certificate, chain, errors) => IsServerGood(certificate, chain, errors, host),
            AllowRenegotiation = false,
        };
        _tls = new SslStream(_stream, leaveInnerStreamOpen: true);
        try
        {
            await _tls.AuthenticateAsClientAsync(options, cancellationToken);
        }
        catch (AuthenticationException e)
        {
            throw new TlsException(_refusal ?? Innermost(e), e);
        }

        PeerSubject = SubjectOfPeer();
        _awaitsVerdict = true;
    }

    /// <inheritdoc/>
    /// <exception cref="TlsException">
    /// The server refuses this side: with TLS 1.3 a client has ended its handshake before the server looks at its certificate.
    /// </exception>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        _awaitsVerdict ? ReceiveFirstAsync(buffer, cancellationToken) : Tls.ReadAsync(buffer, cancellationToken);

    /// <inheritdoc/>
    /// <exception cref="TlsException">As <see cref="ReceiveAsync"/>.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            _stream.BeginCollecting();
            await Tls.WriteAsync(bytes, cancellationToken);
            await _stream.SendCollectedAsync(cancellationToken);
        }
        catch (Exception e)
        {
            try
            {
                if (_awaitsVerdict && e is (IOException or SocketException))
                    await ReceiveFirstAsync(new byte[1], cancellationToken); // the reason may have arrived before the end
            }
            catch (Exception later) when (later is IOException or SocketException or NotSupportedException)
            {
                // There is none, or another task reads: it gets it.
            }
            finally
            {
                Abort();
            }

            throw;
        }
    }

    /// <inheritdoc/>
    public ValueTask SendFileAsync(
        ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
        throw new NotSupportedException("TLS encrypts what it sends, so it cannot send a range of a file.");

    /// <inheritdoc/>
    public void Admit() => _inner.Admit();

    /// <inheritdoc/>
    public ValueTask YieldAsync() => _inner.YieldAsync();

    /// <inheritdoc/>
    public void Abort() => _inner.Abort();

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        try
        {
            // The end of the stream, so that the peer knows that nothing is cut off. Nobody waits for a peer that does not read.
            if (_tls is { IsAuthenticated: true } && !_tls.ShutdownAsync().IsCompleted)
                _inner.Abort();
        }
        catch (Exception e) when (
            e is IOException or SocketException or ObjectDisposedException or InvalidOperationException or NotSupportedException
            or CryptographicException) // OpenSSL says no more after an alert
        {
            // The connection is broken already.
        }

        await _inner.DisposeAsync();
        if (_tls is not null)
            await _tls.DisposeAsync();
        await _stream.DisposeAsync();
    }

    private async ValueTask<int> ReceiveFirstAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        try
        {
            var received = await Tls.ReadAsync(buffer, cancellationToken);
            _awaitsVerdict &= received == 0;
            return received;
        }
        catch (IOException e) when (e.InnerException is not (null or IOException or SocketException))
        {
            throw new TlsException($"the server refuses this side's certificate, or that it has none: {Innermost(e)}", e);
        }
    }

    private bool IsClientGood(X509Certificate? certificate, X509Chain? chain)
    {
        if (certificate is null)
        {
            if (_settings.RequiresCertificate)
                _refusal = "the client has shown no certificate, and ssl.client.auth is required";
            return !_settings.RequiresCertificate;
        }

        return IsGood(certificate, chain, isClient: true);
    }

    private bool IsServerGood(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors, string host)
    {
        if (certificate is null)
        {
            _refusal = "the server has shown no certificate";
            return false;
        }

        if (_settings.ChecksHostName && errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
        {
            _refusal = $"the server's certificate is not for {host}: a certificate of the server must name this host";
            return false;
        }

        return IsGood(certificate, chain, isClient: false);
    }

    private bool IsGood(X509Certificate certificate, X509Chain? chain, bool isClient)
    {
        var peer = (X509Certificate2)certificate;
        if (_settings.Refusal(peer, chain?.ChainPolicy.ExtraStore ?? [], isClient) is not { } reason)
            return true;
        _refusal = $"the certificate of the {(isClient ? "client" : "server")} ({peer.Subject}) is refused: {reason}";
        return false;
    }

    /// <summary>.NET builds a chain before this class does: a peer must not make it fetch what it names.</summary>
    private static X509ChainPolicy OfflinePolicy() => new()
    {
        RevocationMode = X509RevocationMode.NoCheck,
        DisableCertificateDownloads = true,
        TrustMode = X509ChainTrustMode.CustomRootTrust,
    };

    private string? SubjectOfPeer() => PeerCertificate is { } peer ? DistinguishedName.Format(peer.SubjectName) : null;

    private static string Innermost(Exception e) => e.InnerException is { } inner ? Innermost(inner) : e.Message;
}
