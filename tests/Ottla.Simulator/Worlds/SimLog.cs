using Microsoft.Extensions.Logging;

namespace Ottla.Simulator.Worlds;

/// <summary>Takes what a node logs, and drops it unless somebody looks.</summary>
/// <remarks>The node must not know whether somebody does: its log has timers, and with them the run would be another.</remarks>
/// <param name="tell">Gets each line; null for nobody.</param>
internal sealed class SimLog(Action<FormattableString>? tell) : ILoggerFactory
{
    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, tell);

    /// <inheritdoc/>
    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException("it tells its one listener");

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private sealed class Logger(string category, Action<FormattableString>? tell) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                tell?.Invoke($"{category}: {formatter(state, exception)} {exception}");
        }
    }
}
