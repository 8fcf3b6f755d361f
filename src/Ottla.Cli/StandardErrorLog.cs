using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;

// One of the few places that may start a thread: the reader of standard error decides how long a write takes, and nothing else may wait for
// that.
#pragma warning disable RS0030

namespace Ottla.Cli;

/// <summary>
/// Logs to standard error, one line for each message, in the form of Kafka's own logs. Used by every thread; lines do not mix.
/// </summary>
/// <remarks>
/// A thread that logs never waits: lines queue up, up to <see cref="QueuedCharsMax"/>, and one thread writes them. While nobody reads
/// standard error, the queue fills and drops later lines; a line in their place says how many. Lives as long as its command.
/// </remarks>
internal sealed class StandardErrorLog : ILoggerFactory
{
    /// <summary>How many characters may wait to be written: about ten thousand lines.</summary>
    public const int QueuedCharsMax = 1024 * 1024;

    /// <summary>How long the end of the process waits for the last lines to be read.</summary>
    private static readonly TimeSpan LastLinesTimeout = TimeSpan.FromSeconds(2);

    private readonly LogLevel _minimum;
    private readonly LogFormat _format;
    private readonly TimeProvider _time;
    private readonly TextWriter _output;
    private readonly object _lock = new();
    private readonly Thread _writer;
    private StringBuilder _queue = new();
    private StringBuilder _written = new();
    private long _droppedLines;
    private long _droppedLinesTotal;
    private bool _isClosed;

    public StandardErrorLog(LogLevel minimum, TimeProvider time, LogFormat format = LogFormat.Text)
        : this(minimum, time, new StreamWriter(Console.OpenStandardError(), bufferSize: 4096) { AutoFlush = true }, format)
    {
    }

    /// <summary>Logs to another output.</summary>
    internal StandardErrorLog(LogLevel minimum, TimeProvider time, TextWriter output, LogFormat format = LogFormat.Text)
    {
        _minimum = minimum;
        _format = format;
        _time = time;
        _output = output;
        _writer = new Thread(WriteLines) { IsBackground = true, Name = "ottla-log" };
        _writer.UnsafeStart();
    }

    /// <summary>How many lines were dropped so far, because standard error was not read.</summary>
    public long DroppedLines
    {
        get
        {
            lock (_lock)
                return _droppedLinesTotal;
        }
    }

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName[(categoryName.LastIndexOf('.') + 1)..]);

    public void AddProvider(ILoggerProvider provider) =>
        throw new NotSupportedException("The log goes only to standard error; no other provider can be added.");

    /// <summary>Waits until the queued lines are written, but not for ever.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _isClosed = true;
            Monitor.PulseAll(_lock);
        }

        _writer.Join(LastLinesTimeout);
    }

    private void Write<TState>(LogLevel level, string category, string message, TState state, Exception? exception)
    {
        var line = _format == LogFormat.Json
            ? LogLines.Json(_time.GetUtcNow(), level, category, message, state, exception)
            : LogLines.Text(_time.GetLocalNow(), level, category, message, exception);
        lock (_lock)
        {
            if (_isClosed || _droppedLines > 0 || _queue.Length + line.Length > QueuedCharsMax)
            {
                _droppedLines++;
                _droppedLinesTotal++;
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
                // Standard error is closed or its disk is full. There is no other place to report that, and later lines may succeed.
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
                // This is the place of the dropped lines: none was queued since the first of them.
                var message = string.Create(
                    CultureInfo.InvariantCulture,
                    $"{_droppedLines} lines of the log were dropped here, because standard error was not read");
                lines.Append(_format == LogFormat.Json
                    ? LogLines.Json(_time.GetUtcNow(), LogLevel.Warning, nameof(StandardErrorLog), message, 0, null)
                    : LogLines.Text(_time.GetLocalNow(), LogLevel.Warning, nameof(StandardErrorLog), message, null));
                _droppedLines = 0;
            }

            return lines;
        }
    }

    private sealed class Logger(StandardErrorLog log, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel level) => level >= log._minimum && level != LogLevel.None;

        public void Log<TState>(
            LogLevel level, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(level))
                log.Write(level, category, formatter(state, exception), state, exception);
        }
    }
}
