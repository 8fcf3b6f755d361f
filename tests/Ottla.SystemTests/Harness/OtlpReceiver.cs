using System.Collections.Concurrent;
using System.IO.Compression;
using System.Net;
using System.Text;

namespace Ottla.SystemTests.Harness;

/// <summary>A collector for OTLP over HTTP, as far as a test needs one: it keeps the bodies. Owned by one test.</summary>
public sealed class OtlpReceiver : IAsyncDisposable
{
    private readonly HttpListener _listener = new();
    private readonly Task _serving;

    public OtlpReceiver()
    {
        Url = $"http://127.0.0.1:{BrokerProcess.FindFreePort()}/";
        _listener.Prefixes.Add(Url);
        _listener.Start();
        _serving = ServeAsync();
    }

    /// <summary>Where it listens.</summary>
    public string Url { get; }

    /// <summary>The bodies, decompressed: messages of protobuf, in which texts stand as they are.</summary>
    public ConcurrentQueue<byte[]> Bodies { get; } = new();

    /// <summary>Whether a body has all of these texts.</summary>
    public bool Has(params string[] texts) =>
        Bodies.Any(body => texts.All(text => body.AsSpan().IndexOf(Encoding.UTF8.GetBytes(text)) >= 0));

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _listener.Abort();
        await _serving;
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            try
            {
                var context = await _listener.GetContextAsync();
                using var body = new MemoryStream();
                await using (var gzip = new GZipStream(context.Request.InputStream, CompressionMode.Decompress))
                    await gzip.CopyToAsync(body);
                Bodies.Enqueue(body.ToArray());
                context.Response.Close();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }
        }
    }
}
