using System.Net;
using Microsoft.Win32.SafeHandles;
using Ottla.Network.Buffers;
using Ottla.Network.Security;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Security;

/// <summary>
/// A server of TLS that refuses what a client sends last in its handshake, with an alert, as other servers refuse its certificate: with
/// TLS 1.3 the client has finished its handshake by then. .NET sends no alert when it refuses a certificate on Linux, so this server has
/// OpenSSL refuse bytes that were changed on their way. Owned by one test.
/// </summary>
internal sealed class AlertingServer : IAsyncDisposable
{
    private readonly ITransportListener _listener;
    private readonly TlsSettings _settings;
    private readonly BufferPool _pool = new();
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _serving;

    public AlertingServer(ITransport network, IPEndPoint endPoint, TlsSettings settings)
    {
        _listener = network.Listen(endPoint, 10, SocketBufferSizes.OperatingSystemDefaults);
        _settings = settings;
        _serving = ServeAsync();
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint => _listener.LocalEndPoint;

    /// <summary>How many clients it has refused.</summary>
    public int Refused { get; private set; }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _serving;
        await _listener.DisposeAsync();
        _closing.Dispose();
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                await using var tls = new TlsConnection(
                    new Changing(await _listener.AcceptAsync(_closing.Token)), _settings, _pool);
                await Assert.ThrowsAsync<TlsException>(() => tls.AcceptAsync(null, _closing.Token).AsTask());
                Refused++;
            }
        }
        catch (OperationCanceledException)
        {
            // The test is over.
        }
    }

    /// <summary>
    /// Changes what comes after the first record, which is the client's hello: the first encrypted record of TLS 1.3, behind which the
    /// client's first request may stand already, or the last byte.
    /// </summary>
    private sealed class Changing(ITransportConnection inner) : ITransportConnection
    {
        private const int RecordHeaderBytes = 5;

        private static readonly byte[] s_encrypted = [23, 3, 3];

        private readonly List<byte> _begin = [];

        public IPEndPoint? RemoteEndPoint => inner.RemoteEndPoint;

        public IPEndPoint? LocalEndPoint => inner.LocalEndPoint;

        public bool CanSendFile => false;

        public long SentBytes => inner.SentBytes;

        public async ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var count = await inner.ReceiveAsync(buffer, cancellationToken);
            if (_begin.Count >= RecordHeaderBytes && _begin.Count >= RecordHeaderBytes + ((_begin[3] << 8) | _begin[4]))
            {
                var record = buffer.Span[..count].IndexOf(s_encrypted);
                if (count > 0)
                    buffer.Span[record >= 0 && record + RecordHeaderBytes < count ? record + RecordHeaderBytes : count - 1] ^= 1;
            }
            else
            {
                _begin.AddRange(buffer.Span[..count]);
            }

            return count;
        }

        public ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) =>
            inner.SendAsync(bytes, cancellationToken);

        public ValueTask SendFileAsync(
            ReadOnlyMemory<byte> header, SafeFileHandle source, long position, int length, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public void Admit() => inner.Admit();

        public void Abort() => inner.Abort();

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
