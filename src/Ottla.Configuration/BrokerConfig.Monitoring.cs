namespace Ottla.Configuration;

/// <content>What a node tells of itself, and of its clients.</content>
public sealed partial class BrokerConfig
{
    /// <summary>The name of <c>ottla.otlp.endpoint</c>.</summary>
    public const string OtlpEndpointName = "ottla.otlp.endpoint";

    private const string OtlpHeadersName = "ottla.otlp.headers";
    private const string OtlpMetricsPath = "/v1/metrics";

    /// <summary><c>ottla.otlp.endpoint</c>: Where metrics are pushed to, with the path; null for nowhere.</summary>
    public Uri? OtlpEndpoint { get; private set; }

    /// <summary><c>ottla.otlp.headers</c>: Headers of these requests, such as one that proves who sends them.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> OtlpHeaders { get; private set; } = [];

    /// <summary><c>ottla.otlp.interval.ms</c>: The time between two pushes of the node's own metrics.</summary>
    public int OtlpIntervalMs { get; private set; }

    private void ReadMonitoring()
    {
        OtlpEndpoint = ReadOtlpEndpoint();
        OtlpHeaders = ReadOtlpHeaders();
        OtlpIntervalMs = Int("ottla.otlp.interval.ms");
    }

    private Uri? ReadOtlpEndpoint()
    {
        var text = Text(OtlpEndpointName);
        if (string.IsNullOrEmpty(text))
            return null;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            throw new ConfigException(OtlpEndpointName, text, "it should be a URL such as http://collector:4318, or nothing");
        return url.AbsolutePath == "/" ? new Uri(url, OtlpMetricsPath) : url;
    }

    /// <summary>Reads <c>name=value,name=value</c>. The values are secrets: they are in no message.</summary>
    private List<KeyValuePair<string, string>> ReadOtlpHeaders()
    {
        var headers = new List<KeyValuePair<string, string>>();
        foreach (var entry in (_values[OtlpHeadersName].Secret ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            var equals = entry.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                throw new ConfigException($"{OtlpHeadersName} should be name=value, or several of them with commas between");
            headers.Add(KeyValuePair.Create(entry[..equals].Trim(), entry[(equals + 1)..].Trim()));
        }

        return headers;
    }
}
