using Microsoft.Extensions.Logging;

namespace Ottla.UnitTests;

/// <summary>Keeps the texts of warnings and errors.</summary>
internal sealed class WarningLogger : ILogger
{
    private readonly Lock _lock = new();
    private readonly List<string> _warnings = [];

    public IReadOnlyList<string> Warnings
    {
        get
        {
            lock (_lock)
                return [.. _warnings];
        }
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        lock (_lock)
            _warnings.Add(formatter(state, exception));
    }
}

/// <summary>Gives everybody the same <see cref="WarningLogger"/>.</summary>
internal sealed class WarningLoggers : ILoggerFactory
{
    public WarningLogger Logger { get; } = new();

    public ILogger CreateLogger(string categoryName) => Logger;

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }
}
