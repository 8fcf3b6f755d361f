using Microsoft.Extensions.Logging;
using Ottla.Configuration;
using Ottla.Configuration.Security;
using Ottla.Kernel;
using Ottla.Requests;
using Ottla.StateMachines.Security;
using Ottla.Storage.Files;

namespace Ottla.Broker.Security;

/// <summary>
/// The public keys of an issuer of tokens, from a file or over HTTPS. It reads them again from time to time, and early when a token names a
/// key that is not there.
/// </summary>
/// <remarks>Any thread may ask for the keys, which never waits. Lives as long as the node.</remarks>
internal sealed partial class JwksSource : IAsyncDisposable
{
    /// <summary>How often tokens with unknown keys may make the keys be read early.</summary>
    private static readonly TimeSpan EarlyInterval = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan HttpTimeout = TimeSpan.FromSeconds(10);

    private readonly OAuthBearerSettings _settings;
    private readonly IFileSystem _files;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly HttpClient? _http;
    private readonly CancellationTokenSource _closing = new();
    private readonly ExponentialBackoff _backoff;
    private readonly Lock _lock = new();
    private readonly ITimer _timer;
    private volatile JsonWebKeys _keys = JsonWebKeys.None;
    private Task _reading = Task.CompletedTask;
    private long? _readAt;
    private int _failures;

    /// <summary>Begins to read the keys.</summary>
    /// <param name="settings">Where they are.</param>
    /// <param name="files">The disks.</param>
    /// <param name="random">The random part of waits.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">The log.</param>
    /// <exception cref="ConfigException">The file does not exist, or is no key set.</exception>
    public JwksSource(OAuthBearerSettings settings, IFileSystem files, Prng random, TimeProvider time, ILogger logger)
    {
        _settings = settings;
        _files = files;
        _time = time;
        _logger = logger;
        _backoff = new ExponentialBackoff(
            TimeSpan.FromMilliseconds(Math.Max(1, settings.RetryBackoffMs)),
                TimeSpan.FromMilliseconds(Math.Max(1, settings.RetryBackoffMsMax)),
            jitter: 0.2, random);
        _timer = time.CreateTimer(_ => Refresh(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        if (settings.JwksUrl!.IsFile)
        {
            _keys = ReadFile();
            Schedule(TimeSpan.FromMilliseconds(settings.RefreshMs));
            return;
        }

        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
        {
            Timeout = HttpTimeout,
            MaxResponseContentBufferSize = JsonWebKeys.BytesMax,
        };
        Refresh();
    }

    /// <summary>The keys as they are now.</summary>
    public JsonWebKeys Keys => _keys;

    /// <summary>Reads the keys early: a token names one that is not there.</summary>
    public void RefreshEarly()
    {
        lock (_lock)
        {
            if (_readAt is { } readAt && _time.GetElapsedTime(readAt) < EarlyInterval)
                return;
        }

        Refresh();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _closing.Cancel();
        await _timer.DisposeAsync();
        Task reading;
        lock (_lock)
            reading = _reading;
        await reading;
        _http?.Dispose();
        _closing.Dispose();
    }

    private void Refresh()
    {
        lock (_lock)
        {
            if (_closing.IsCancellationRequested || !_reading.IsCompleted)
                return;
            _readAt = _time.GetTimestamp();
            _reading = RefreshAsync();
        }
    }

    private async Task RefreshAsync()
    {
        try
        {
            _keys = _http is null ? ReadFile() : JsonWebKeys.Parse(await _http.GetByteArrayAsync(_settings.JwksUrl, _closing.Token));
            _failures = 0;
            LogRead(_logger, _settings.JwksUrl!, _keys.Count);
            Schedule(TimeSpan.FromMilliseconds(_settings.RefreshMs));
        }
        catch (Exception e) when (
            e is HttpRequestException or IOException or FormatException or ConfigException or OperationCanceledException)
        {
            if (_closing.IsCancellationRequested)
                return;
            var wait = _backoff.DelayAfter(++_failures);
            LogNotRead(_logger, _settings.JwksUrl!, e.Message, _keys.Count, (long)wait.TotalMilliseconds);
            Schedule(wait);
        }
    }

    private void Schedule(TimeSpan wait)
    {
        if (!_closing.IsCancellationRequested)
            _timer.Change(wait, Timeout.InfiniteTimeSpan);
    }

    private JsonWebKeys ReadFile()
    {
        var path = _settings.JwksUrl!.LocalPath;
        try
        {
            return JsonWebKeys.Parse(_files.TryReadAllBytes(path, JsonWebKeys.BytesMax)
                ?? throw new ConfigException($"sasl.oauthbearer.jwks.endpoint.url: there is no file {path}."));
        }
        catch (Exception e) when (e is FormatException or IOException)
        {
            throw new ConfigException($"sasl.oauthbearer.jwks.endpoint.url: the key set {path} cannot be used: {e.Message}.");
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Read {Count} keys for tokens from {Url}")]
    private static partial void LogRead(ILogger logger, Uri url, int count);

    [LoggerMessage(Level = LogLevel.Error, Message =
        "Cannot read the keys for tokens from {Url}: {Reason}. The {Count} keys read before stay in use; the next attempt is due in "
            + "{RetryMs} ms")]
    private static partial void LogNotRead(ILogger logger, Uri url, string reason, int count, long retryMs);
}
