using Microsoft.Extensions.Logging;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.StateMachines.Controller;

namespace Ottla.UnitTests.Broker;

public sealed class LeveledLoggersTests
{
    private readonly List<string> _written = [];

    [Fact]
    public void A_level_takes_effect_on_loggers_that_are_in_use()
    {
        var loggers = new LeveledLoggers(new Log(_written), LogLevel.Information);
        var one = loggers.CreateLogger("Ottla.One");
        var other = loggers.CreateLogger("Other");
        Write(one, other);
        Assert.Equal(["Ottla.One Information", "Other Information"], Taken());

        Set(loggers, "One", "DEBUG");
        Write(one, other);
        Assert.Equal(["Ottla.One Debug", "Ottla.One Information", "Other Information"], Taken());

        Set(loggers, "root", "ERROR");
        Write(one, other);
        Assert.Equal(["Ottla.One Debug", "Ottla.One Information"], Taken());

        loggers.Alter([new ConfigAlteration("One", AlterConfigOperation.Delete, null)], validateOnly: false);
        Write(one, other);
        Assert.Empty(Taken());
    }

    [Fact]
    public void Nothing_changes_when_one_level_is_refused_or_all_are_only_checked()
    {
        var loggers = new LeveledLoggers(new Log(_written), LogLevel.Information);
        loggers.CreateLogger("One");
        var good = new ConfigAlteration("One", AlterConfigOperation.Set, "DEBUG");
        loggers.Alter([good], validateOnly: true);
        Assert.Throws<ConfigException>(
            () => loggers.Alter([good, new ConfigAlteration("Two", AlterConfigOperation.Set, "DEBUG")], validateOnly: false));
        Assert.Equal([KeyValuePair.Create("One", "INFO"), KeyValuePair.Create("root", "INFO")], loggers.Levels);
    }

    private static void Set(LeveledLoggers loggers, string name, string level) =>
        loggers.Alter([new ConfigAlteration(name, AlterConfigOperation.Set, level)], validateOnly: false);

    private static void Write(params ILogger[] loggers)
    {
        foreach (var logger in loggers)
        {
            foreach (var level in new[] { LogLevel.Debug, LogLevel.Information })
                logger.Log(level, default, 0, null, static (_, _) => "");
        }
    }

    /// <summary>What was written since the last look, without what the loggers say of themselves.</summary>
    private List<string> Taken()
    {
        var taken = _written.Where(line => !line.StartsWith(nameof(LeveledLoggers), StringComparison.Ordinal)).ToList();
        _written.Clear();
        return taken;
    }

    private sealed class Log(List<string> written) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => new Logger(categoryName, written);

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }

    private sealed class Logger(string name, List<string> written) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            written.Add($"{name} {logLevel}");
    }
}
