using System.Buffers;
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
/// standard error, the queue fills and drops later lines; a line in their place says how many. Lives as long as its command. Messages have
/// names that clients have chosen: control characters, with which they could write lines of their own, become question marks.
/// </remarks>
internal sealed class StandardErrorLog : ILoggerFactory
{
    /// <summary>How many characters may wait to be written: about ten thousand lines.</summary>
    public const int QueuedCharsMax = 1024 * 1024;

    /// <summary>How long the end of the process waits for the last lines to be read.</summary>
    private static readonly TimeSpan LastLinesTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Control characters but for the tab, and what else ends a line for some readers.</summary>
    private static readonly SearchValues<char> s_lineBreakers = SearchValues.Create(
        [.. Enumerable.Range(0, 0xA0).Select(code => (char)code).Where(c => char.IsControl(c) && c != '\t'), '\u2028', '\u2029']);

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

    /// <summary>Logs to another output.</summary>
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

    private void Write(LogLevel level, string category, string message, Exception? exception)
    {
        var stamp = _time.GetLocalNow().ToString("yyyy-MM-dd HH:mm:ss,fff", CultureInfo.InvariantCulture);
        var line = $"[{stamp}] {Name(level)} {OnOneLine(message)} ({category}){Environment.NewLine}";
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

    private static string OnOneLine(string message)
    {
        if (!message.AsSpan().ContainsAny(s_lineBreakers))
            return message;
        return string.Create(message.Length, message, static (line, text) => text.AsSpan().ReplaceAny(line, s_lineBreakers, '?'));
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
