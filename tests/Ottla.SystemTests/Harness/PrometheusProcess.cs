using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Ottla.SystemTests.Harness;

/// <summary>A Prometheus that scrapes nodes every second. Owned by one test; disposing it kills it.</summary>
public sealed class PrometheusProcess : IAsyncDisposable
{
    /// <summary>The server.</summary>
    public const string Program = "/usr/bin/prometheus";

    /// <summary>The tool that checks its files.</summary>
    public const string Tool = "/usr/bin/promtool";

    private readonly Process _process;
    private readonly OutputTail _output = new(64 * 1024);
    private readonly Task _outputEnd;
    private readonly HttpClient _http;
    private readonly string _folder;

    private PrometheusProcess(Process process, string folder, int port)
    {
        _process = process;
        _folder = folder;
        _http = new HttpClient { BaseAddress = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{port}")) };
        _outputEnd = Task.WhenAll(
            _output.ReadToEndAsync(process.StandardOutput.BaseStream), _output.ReadToEndAsync(process.StandardError.BaseStream));
    }

    /// <summary>What it wrote, the last of it.</summary>
    public string Output => _output.ToString();

    /// <summary>Starts it.</summary>
    /// <param name="job">The name of the job.</param>
    /// <param name="targets">What it scrapes: host and port.</param>
    /// <param name="rules">Its rules.</param>
    public static PrometheusProcess Start(string job, IEnumerable<string> targets, string rules)
    {
        var folder = Directory.CreateTempSubdirectory("ottla-prometheus-").FullName;
        var rulesFile = Path.Combine(folder, "rules.yml");
        File.WriteAllText(rulesFile, rules);
        var config = Path.Combine(folder, "prometheus.yml");
        File.WriteAllText(config, $$"""
            global: {scrape_interval: 1s, evaluation_interval: 1s}
            rule_files: ["{{rulesFile}}"]
            scrape_configs:
              - job_name: {{job}}
                static_configs: [{targets: [{{string.Join(", ", targets.Select(target => $"\"{target}\""))}}]}]
            """);
        var port = BrokerProcess.FindFreePort();
        var process = Process.Start(new ProcessStartInfo(
            Program,
            [
                $"--config.file={config}", $"--storage.tsdb.path={Path.Combine(folder, "data")}",
                string.Create(CultureInfo.InvariantCulture, $"--web.listen-address=127.0.0.1:{port}"),
            ])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        return new PrometheusProcess(process, folder, port);
    }

    /// <summary>The values of an expression, by the text of their labels. Null while it does not answer.</summary>
    /// <exception cref="InvalidOperationException">The expression is wrong.</exception>
    public async Task<IReadOnlyList<string>?> QueryAsync(string expression)
    {
        try
        {
            using var answer = await _http.GetAsync(
                new Uri($"/api/v1/query?query={Uri.EscapeDataString(expression)}", UriKind.Relative));
            using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
            if (json.RootElement.GetProperty("status").GetString() != "success")
                throw new InvalidOperationException($"{expression}: {json.RootElement}");
            return [.. json.RootElement.GetProperty("data").GetProperty("result").EnumerateArray().Select(each => each.ToString())];
        }
        catch (Exception e) when (e is HttpRequestException or JsonException)
        {
            return null;
        }
    }

    /// <summary>The names of the alerts that wait for their time, or fire.</summary>
    public async Task<IReadOnlyList<string>> AlertsAsync()
    {
        using var json = JsonDocument.Parse(await _http.GetStringAsync(new Uri("/api/v1/alerts", UriKind.Relative)));
        return
        [
            .. json.RootElement.GetProperty("data").GetProperty("alerts").EnumerateArray()
                .Select(alert => alert.GetProperty("labels").GetProperty("alertname").GetString()!),
        ];
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        await _outputEnd;
        _process.Dispose();
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
