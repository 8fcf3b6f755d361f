using System.Globalization;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Server;

namespace Ottla.UnitTests.Broker;

/// <summary>What clients can bring about as often as they like does not fill the log.</summary>
public sealed class LimitedLoggerTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly WarningLogger _log = new();

    [Fact]
    public void LinesOfOneKindAreLimitedAndTheRestIsCounted()
    {
        using var limited = new LimitedLogger(_log, _time);
        for (var i = 0; i < 1000; i++)
            Log(limited, kind: 1, $"one {i}");
        Log(limited, kind: 2, "two");
        var passed = Enumerable.Range(0, LimitedLogger.LinesPerWindow).Select(i => string.Create(CultureInfo.InvariantCulture, $"one {i}"));
        Assert.Equal([.. passed, "two"], _log.Warnings);
        _time.Advance(LimitedLogger.Window);
        Assert.Equal($"{1000 - LimitedLogger.LinesPerWindow} more lines of this kind (Kind1) were left out within 10 s", _log.Warnings[^1]);
        Assert.Equal(LimitedLogger.LinesPerWindow + 2, _log.Warnings.Count);

        Log(limited, kind: 1, "again");
        Assert.Equal("again", _log.Warnings[^1]);
        _time.Advance(LimitedLogger.Window);
        Assert.Equal("again", _log.Warnings[^1]);
    }

    [Fact]
    public async Task MalformedFramesOfAnybodyAreLimited()
    {
        var loggers = new WarningLoggers();
        await using var node = await TestNode.StartAsync(loggers);
        for (var i = 0; i < 3 * LimitedLogger.LinesPerWindow; i++)
        {
            await using var client = await node.ConnectAsync();
            await client.SendRawAsync([0xFF, 0xFF, 0xFF, 0xFF]);
            await client.AssertClosedAsync();
        }

        var closed = loggers.Logger.Warnings.Count(warning => warning.Contains("Closing the connection", StringComparison.Ordinal));
        Assert.Equal(LimitedLogger.LinesPerWindow, closed);
        node.Clock.AdvanceMs((long)LimitedLogger.Window.TotalMilliseconds);
        Assert.Contains(loggers.Logger.Warnings,
            warning => warning.StartsWith($"{2 * LimitedLogger.LinesPerWindow} more lines of this kind", StringComparison.Ordinal));
    }

    private static void Log(LimitedLogger logger, int kind, string text) =>
        logger.Log(LogLevel.Warning, new EventId(kind, $"Kind{kind}"), text, null, (state, _) => state);
}
