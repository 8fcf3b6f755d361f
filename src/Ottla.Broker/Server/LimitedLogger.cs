using Microsoft.Extensions.Logging;

namespace Ottla.Broker.Server;

/// <summary>
/// A logger for messages that clients, or a failure that lasts, can trigger at will. It writes <see cref="LinesPerWindow"/> lines of each
/// kind per <see cref="Window"/>, and then how many it left out, so that one cause can neither flood the log nor hide other messages.
/// Thread-safe; lives as long as its owner.
/// </summary>
/// <remarks>A kind is a message of <see cref="LoggerMessageAttribute"/>, so there are few. Lines for developers pass.</remarks>
internal sealed partial class LimitedLogger(ILogger logger, TimeProvider time) : ILogger, IDisposable
{
    /// <summary>How many lines of one kind a window may have.</summary>
    public const int LinesPerWindow = 10;

    /// <summary>The length of a window.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<int, Kind> _kinds = [];

    /// <inheritdoc/>
    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => logger.BeginScope(state);

    /// <inheritdoc/>
    public bool IsEnabled(LogLevel logLevel) => logger.IsEnabled(logLevel);

    /// <inheritdoc/>
    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        if (logLevel < LogLevel.Information || MayPass(logLevel, eventId))
            logger.Log(logLevel, eventId, state, exception, formatter);
    }

    /// <summary>Ends the open windows, and logs what they left out.</summary>
    public void Dispose()
    {
        Kind[] kinds;
        lock (_lock)
            kinds = [.. _kinds.Values];
        foreach (var kind in kinds)
            EndWindow(kind);
    }

    private bool MayPass(LogLevel level, EventId eventId)
    {
        lock (_lock)
        {
            if (!_kinds.TryGetValue(eventId.Id, out var kind))
                _kinds.Add(eventId.Id, kind = new Kind(level, eventId.Name ?? $"{eventId.Id}"));
            kind.WindowEnd ??= time.CreateTimer(_ => EndWindow(kind), null, Window, Timeout.InfiniteTimeSpan);
            if (kind.Passed == LinesPerWindow)
            {
                kind.LeftOut++;
                return false;
            }

            kind.Passed++;
            return true;
        }
    }

    private void EndWindow(Kind kind)
    {
        long leftOut;
        lock (_lock)
        {
            leftOut = kind.LeftOut;
            kind.Passed = 0;
            kind.LeftOut = 0;
            kind.WindowEnd?.Dispose();
            kind.WindowEnd = null;
        }

        if (leftOut > 0)
            LogLeftOut(logger, kind.Level, leftOut, kind.Name, (int)Window.TotalSeconds);
    }

    [LoggerMessage(Message = "{Count} more lines of this kind ({Kind}) were left out within {Seconds} s")]
    private static partial void LogLeftOut(ILogger logger, LogLevel level, long count, string kind, int seconds);

    /// <summary>The window of one kind of lines. Guarded by the logger's lock.</summary>
    private sealed class Kind(LogLevel level, string name)
    {
        public LogLevel Level => level;

        public string Name => name;

        public int Passed { get; set; }

        public long LeftOut { get; set; }

        /// <summary>Runs while a window is open.</summary>
        public ITimer? WindowEnd { get; set; }
    }
}
