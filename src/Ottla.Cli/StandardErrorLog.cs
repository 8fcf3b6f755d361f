using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;

// A thread of its own, and its own lock to wait on: whoever reads standard error decides how long a write takes, and nothing else may wait
// for that.
#pragma warning disable RS0030

namespace Ottla.Cli;

/// <summary>Logs to standard error, a line a message, in the form Kafka's own logs have. Used by every thread; lines do not mix.</summary>
/// <remarks>
/// Who logs never waits: lines queue up, up to <see cref="QueuedCharsMax"/>, and one thread writes them. While nobody reads standard error
/// the queue fills, later lines are dropped, and a line in their place says how many. Lives as long as its command.
/// </remarks>
internal sealed class StandardErrorLog : ILoggerFactory
{
    /// <summary>Characters that may wait to be written: some ten thousand lines.</summary>
    public const int QueuedCharsMax = 1024 * 1024;

    /// <summary>How long the end of the process waits for the last lines to be read.</summary>
    private static readonly TimeSpan LastLinesTimeout = TimeSpan.FromSeconds(2);

    private readonly LogLevel _minimum;
    private readonly TimeProvider _time;
    private readonly TextWriter _output;
    private readonly object _lock = new();
    private readonly Thread _writer;
    private StringBuilder _queue = new();
    private StringBuilder _written = new();
    private long _droppedLines;
    private bool _isClosed;

    public StandardErrorLog(LogLevel minimum, TimeProvider time)
        : this(minimum, time, new StreamWriter(Console.OpenStandardError(), bufferSize: 4096) { AutoFlush = true })
    {
    }

    /// <summary>Logs to something else.</summary>
    internal StandardErrorLog(LogLevel minimum, TimeProvider time, TextWriter output)
    {
        _minimum = minimum;
        _time = time;
        _output = output;
        _writer = new Thread(WriteLines) { IsBackground = true, Name = "ottla-log" };
        _writer.UnsafeStart();
    }

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName[(categoryName.LastIndexOf('.') + 1)..]);

    public void AddProvider(ILoggerProvider provider) =>
        throw new NotSupportedException("The log goes only to standard error; no other provider can be added.");

    /// <summary>Waits for the lines that are queued to be written, but not for ever.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isClosed = true;
            Monitor.PulseAll(_lock);
        }

        _writer.Join(LastLinesTimeout);
    }

    private void Write(LogLevel level, string category, string message, Exception? exception)
    {
        var stamp = _time.GetLocalNow().ToString("yyyy-MM-dd HH:mm:ss,fff", CultureInfo.InvariantCulture);
        var line = $"[{stamp}] {Name(level)} {message} ({category}){Environment.NewLine}";
        if (exception is not null)
            line += exception + Environment.NewLine;
        lock (_lock)
        {
            if (_isClosed || _droppedLines > 0 || _queue.Length + line.Length > QueuedCharsMax)
            {
                _droppedLines++;
                return;
            }

            _queue.Append(line);
            Monitor.PulseAll(_lock);
        }
    }

    private void WriteLines()
    {
        while (TakeLines() is { } lines)
        {
            try
            {
                foreach (var chunk in lines.GetChunks())
                    _output.Write(chunk.Span);
            }
            catch (IOException)
            {
                // Standard error is gone or its disk is full: there is nowhere to say so, and later lines may fare better.
            }
        }
    }

    /// <summary>Waits for lines. Null once the log is closed and all were taken.</summary>
    private StringBuilder? TakeLines()
    {
        lock (_lock)
        {
            while (_queue.Length == 0)
            {
                if (_isClosed)
                    return null;
                Monitor.Wait(_lock);
            }

            var lines = _queue;
            _queue = _written.Clear();
            _written = lines;
            if (_droppedLines > 0)
            {
                // Here is their place: since the first was dropped, none was queued.
                var stamp = _time.GetLocalNow().ToString("yyyy-MM-dd HH:mm:ss,fff", CultureInfo.InvariantCulture);
                lines.Append(CultureInfo.InvariantCulture,
                    $"[{stamp}] WARN {_droppedLines} lines of the log were dropped here, because standard error was not read ")
                    .Append(CultureInfo.InvariantCulture, $"({nameof(StandardErrorLog)}){Environment.NewLine}");
                _droppedLines = 0;
            }

            return lines;
        }
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

        public bool IsEnabled(LogLevel level) => level >= log._minimum && level != LogLevel.None;

        public void Log<TState>(
            LogLevel level, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(level))
                log.Write(level, category, formatter(state, exception), exception);
        }
    }
}
