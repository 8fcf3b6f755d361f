using System.Collections.Concurrent;
using System.IO.Compression;
using System.Net;
using System.Text;
using Ottla.UnitTests.Client.Push;

namespace Ottla.UnitTests.Monitoring;

/// <summary>A request that a collector got.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Headers">Its headers.</param>
/// <param name="Body">Its body, decompressed.</param>
internal sealed record CollectedRequest(string Path, WebHeaderCollection Headers, byte[] Body);

/// <summary>A series that a collector got.</summary>
/// <param name="Kind"><c>gauge</c>, <c>sum</c> or <c>summary</c>.</param>
/// <param name="Value">The value; of a summary the count.</param>
/// <param name="Quantiles">The quantiles of a summary.</param>
internal sealed record CollectedSeries(string Kind, double Value, IReadOnlyList<double> Quantiles);

/// <summary>An OpenTelemetry collector on a port of this machine, as far as a test needs one. Made and disposed by one test.</summary>
internal sealed class OtlpCollector : IAsyncDisposable
{
    private const int PortTries = 20;

    private readonly HttpListener _listener;
    private readonly Task _serving;

    public OtlpCollector()
    {
        (_listener, Url) = Listen();
        _serving = ServeAsync();
    }

    /// <summary>Where it listens.</summary>
    public string Url { get; }

    public ConcurrentQueue<CollectedRequest> Requests { get; } = new();

    /// <summary>What it answers to a body; 0 for nothing at all.</summary>
    public Func<byte[], int> Status { get; set; } = _ => 200;

    /// <summary>The series of an <c>ExportMetricsServiceRequest</c>, by name and the values of their labels.</summary>
    public static Dictionary<string, CollectedSeries> Read(byte[] body)
    {
        var series = new Dictionary<string, CollectedSeries>();
        foreach (var scope in Inside(Inside(body, 1), 2))
        {
            foreach (var metric in Inside(scope, 2))
            {
                var name = Text(Inside(metric, 1).Single());
                var (number, data) = OtlpMetricsReader.Fields(metric).Single(field => field.Number is 5 or 7 or 11);
                foreach (var point in Inside(data.Bytes, 1))
                {
                    var labels = Inside(point, 7).Select(label => Text(Inside(Inside(label, 2).Single(), 1).Single()));
                    series.Add($"{name}({string.Join(',', labels)})", ReadPoint(number, OtlpMetricsReader.Fields(point)));
                }
            }
        }

        return series;
    }

    /// <summary>The attributes of the first resource.</summary>
    public static Dictionary<string, string> ReadResource(byte[] body) =>
        Inside(Inside(Inside(body, 1), 1), 1).ToDictionary(
            label => Text(Inside(label, 1).Single()), label => Text(Inside(Inside(label, 2).Single(), 1).Single()));

    public async ValueTask DisposeAsync()
    {
        _listener.Abort();
        await _serving;
    }

    private static CollectedSeries ReadPoint(int kind, List<(int Number, OtlpMetricsReader.Field Field)> fields)
    {
        if (kind != 11)
            return new CollectedSeries(kind == 5 ? "gauge" : "sum", Double(fields, 4), []);
        var quantiles = fields.Where(field => field.Number == 6).Select(field => Double(OtlpMetricsReader.Fields(field.Field.Bytes), 1));
        return new CollectedSeries("summary", fields.Single(field => field.Number == 4).Field.Value, [.. quantiles]);
    }

    private static double Double(List<(int Number, OtlpMetricsReader.Field Field)> fields, int number) =>
        BitConverter.UInt64BitsToDouble(fields.Single(field => field.Number == number).Field.Value);

    private static IEnumerable<byte[]> Inside(IEnumerable<byte[]> messages, int number) =>
        messages.SelectMany(each => Inside(each, number));

    private static IEnumerable<byte[]> Inside(byte[] message, int number) =>
        OtlpMetricsReader.Fields(message).Where(field => field.Number == number).Select(field => field.Field.Bytes);

    private static string Text(byte[] bytes) => Encoding.UTF8.GetString(bytes);

    /// <summary>HttpListener takes no port 0, so a port that is free is looked for, and another one when it is taken meanwhile.</summary>
    private static (HttpListener Listener, string Url) Listen()
    {
        for (var i = 0; ; i++)
        {
            using var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
            probe.Start();
            var url = $"http://127.0.0.1:{((IPEndPoint)probe.LocalEndpoint).Port}/";
            probe.Stop();
            var listener = new HttpListener();
            listener.Prefixes.Add(url);
            try
            {
                listener.Start();
                return (listener, url);
            }
            catch (HttpListenerException) when (i < PortTries)
            {
                listener.Close();
            }
        }
    }

    private async Task ServeAsync()
    {
        while (true)
        {
            HttpListenerContext context;
            try
            {
                context = await _listener.GetContextAsync();
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
            {
                return;
            }

            var request = context.Request;
            var body = new MemoryStream();
            await using (var gzip = new GZipStream(request.InputStream, CompressionMode.Decompress))
                await gzip.CopyToAsync(body);
            var status = Status(body.ToArray());
            Requests.Enqueue(new CollectedRequest(request.Url!.AbsolutePath, (WebHeaderCollection)request.Headers, body.ToArray()));
            if (status == 0)
                continue;
            context.Response.StatusCode = status;
            context.Response.Close();
        }
    }
}
