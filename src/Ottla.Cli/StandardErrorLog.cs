using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Ottla.Cli;

/// <summary>Logs to standard error, a line a message, in the form Kafka's own logs have. Used by every thread; lines do not mix.</summary>
internal sealed class StandardErrorLog(LogLevel minimum, TimeProvider time) : ILoggerFactory
{
    private readonly Lock _lock = new();

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName[(categoryName.LastIndexOf('.') + 1)..]);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("There is one log: standard error.");

    public void Dispose()
    {
    }

    private void Write(LogLevel level, string category, string message, Exception? exception)
    {
        var stamp = time.GetLocalNow().ToString("yyyy-MM-dd HH:mm:ss,fff", CultureInfo.InvariantCulture);
        var line = $"[{stamp}] {Name(level)} {message} ({category}){Environment.NewLine}";
        lock (_lock)
            Console.Error.Write(exception is null ? line : line + exception + Environment.NewLine);
    }

    private static string Name(LogLevel level) => level switch
    {
        LogLevel.Trace => "TRACE",
        LogLevel.Debug => "DEBUG",
        LogLevel.Information => "INFO",
        LogLevel.Warning => "WARN",
        LogLevel.Error => "ERROR",
        _ => "FATAL",
    };

    private sealed class Logger(StandardErrorLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel level) => level >= log.Minimum && level != LogLevel.None;

        public void Log<TState>(LogLevel level, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(level))
                log.Write(level, category, formatter(state, exception), exception);
        }
    }

    private LogLevel Minimum => minimum;
}
