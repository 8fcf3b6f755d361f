using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Ottla.SystemTests.Harness;

/// <summary>Serves one document over HTTPS: the keys of an issuer of tokens. Owned by one test or fixture.</summary>
public sealed class KeyServer : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _closing = new();
    private readonly X509Certificate2 _certificate;
    private readonly byte[] _document;
    private readonly Task _serving;

    /// <summary>Begins to serve.</summary>
    /// <param name="certificateFile">The certificate and its key, in PEM.</param>
    /// <param name="document">What every request is answered with.</param>
    public KeyServer(string certificateFile, string document)
    {
        using var certificate = X509Certificate2.CreateFromPemFile(certificateFile);
        _certificate = X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
        _document = Encoding.UTF8.GetBytes(document);
        _listener.Start();
        _serving = ServeAsync();
    }

    /// <summary>Where the document is.</summary>
    public string Url =>
        string.Create(CultureInfo.InvariantCulture, $"https://localhost:{((IPEndPoint)_listener.LocalEndpoint).Port}/keys");

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        _listener.Stop();
        await _serving;
        _certificate.Dispose();
        _closing.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                using var client = await _listener.AcceptTcpClientAsync(_closing.Token);
                await AnswerAsync(client);
            }
        }
        catch (Exception e) when (_closing.IsCancellationRequested && e is OperationCanceledException or SocketException)
        {
            // The test is over.
        }
    }

    private async Task AnswerAsync(TcpClient client)
    {
        try
        {
            await using var stream = new SslStream(client.GetStream());
            await stream.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificate = _certificate }, _closing.Token);
            using var reader = new StreamReader(stream, Encoding.ASCII, leaveOpen: true);
            while (await reader.ReadLineAsync(_closing.Token) is { Length: > 0 })
            {
                // The request's lines say nothing that matters here.
            }

            var head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                + $"Content-Length: {_document.Length}\r\n\r\n";
            await stream.WriteAsync(Encoding.ASCII.GetBytes(head), _closing.Token);
            await stream.WriteAsync(_document, _closing.Token);
        }
        catch (Exception e) when (e is IOException or AuthenticationException)
        {
            // A broker that does not trust this server hangs up; its log says so.
        }
    }
}
