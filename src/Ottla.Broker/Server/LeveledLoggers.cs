using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Ottla.Configuration;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Server;

/// <summary>
/// The loggers of a node, with levels that can be changed while it runs (KIP-412). Wraps the actual log. Thread-safe; lives as long as the
/// node. There is one logger for each category of the code.
/// </summary>
/// <param name="log">Where the messages go.</param>
/// <param name="rootLevel">The initial level.</param>
public sealed partial class LeveledLoggers(ILoggerFactory log, LogLevel rootLevel) : ILoggerFactory
{
    /// <summary>The level of loggers without a level of their own.</summary>
    public const string Root = "root";

    private readonly ConcurrentDictionary<string, LeveledLogger> _byName = new(StringComparer.Ordinal);
    private volatile LogLevelBox _root = new(rootLevel);

    /// <summary>Every logger with its level in Kafka's words, by name.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Levels =>
    [
        .. _byName.Values.Select(logger => KeyValuePair.Create(logger.Name, NameOf(logger.Level)))
            .Append(KeyValuePair.Create(Root, NameOf(_root.Level)))
            .OrderBy(pair => pair.Key, StringComparer.Ordinal),
    ];

    /// <inheritdoc/>
    public ILogger CreateLogger(string categoryName)
    {
        var name = categoryName[(categoryName.LastIndexOf('.') + 1)..];
        return _byName.GetOrAdd(name, _ => new LeveledLogger(name, log.CreateLogger(categoryName), this));
    }

    /// <inheritdoc/>
    public void AddProvider(ILoggerProvider provider) => log.AddProvider(provider);

    /// <inheritdoc/>
    public void Dispose()
    {
        // The creator of the log disposes it.
    }

    /// <summary>Sets or unsets levels; all of them or none.</summary>
    /// <exception cref="ConfigException">There is no such logger or level, or the operation does not apply to loggers.</exception>
    internal void Alter(IReadOnlyList<ConfigAlteration> alterations, bool validateOnly)
    {
        foreach (var alteration in alterations)
            Check(alteration);
        if (validateOnly)
            return;
        var logger = CreateLogger(nameof(LeveledLoggers));
        foreach (var (name, operation, value) in alterations)
        {
            if (operation == AlterConfigOperation.Delete)
            {
                _byName[name].Own = null;
                LogUnset(logger, name);
                continue;
            }

            var level = new LogLevelBox(LevelOf(value!)!.Value);
            if (name == Root)
                _root = level;
            else
                _byName[name].Own = level;
            LogSet(logger, name, value!);
        }
    }

    private void Check(ConfigAlteration alteration)
    {
        var (name, operation, value) = alteration;
        if (operation is not (AlterConfigOperation.Set or AlterConfigOperation.Delete))
        {
            throw new ConfigException(
                Enum.IsDefined(operation)
                    ? $"{operation.ToString().ToUpperInvariant()} operation is not allowed for the BROKER_LOGGER resource"
                    : $"Unknown operation type {(sbyte)operation} is not allowed for the BROKER_LOGGER resource",
                ConfigErrorKind.InvalidRequest);
        }

        if (name != Root && !_byName.ContainsKey(name))
            throw new ConfigException($"Logger {name} does not exist!");
        if (operation == AlterConfigOperation.Delete && name == Root)
            throw new ConfigException($"Removing the log level of the {Root} logger is not allowed", ConfigErrorKind.InvalidRequest);
        if (operation == AlterConfigOperation.Set && LevelOf(value!) is null)
        {
            throw new ConfigException(
                $"Cannot set the log level of {name} to {value} as it is not a supported log level. " +
                "Valid log levels are DEBUG, ERROR, FATAL, INFO, TRACE, WARN");
        }
    }

    private static LogLevel? LevelOf(string name) => name switch
    {
        "TRACE" => LogLevel.Trace,
        "DEBUG" => LogLevel.Debug,
        "INFO" => LogLevel.Information,
        "WARN" => LogLevel.Warning,
        "ERROR" => LogLevel.Error,
        "FATAL" => LogLevel.Critical,
        _ => null,
    };

    private static string NameOf(LogLevel level) => level switch
    {
        LogLevel.Trace => "TRACE",
        LogLevel.Debug => "DEBUG",
        LogLevel.Information => "INFO",
        LogLevel.Warning => "WARN",
        LogLevel.Error => "ERROR",
        _ => "FATAL",
    };

    [LoggerMessage(Level = LogLevel.Warning, Message = "Set the log level of {Name} to {Level}, as a client asked")]
    private static partial void LogSet(ILogger logger, string name, string level);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Reset the log level of {Name} to the default, as a client asked")]
    private static partial void LogUnset(ILogger logger, string name);

    /// <summary>A level that changes at once for all threads.</summary>
    private sealed record LogLevelBox(LogLevel Level);

    private sealed class LeveledLogger(string name, ILogger log, LeveledLoggers all) : ILogger
    {
        private volatile LogLevelBox? _own;

        public string Name => name;

        public LogLevelBox? Own
        {
            set => _own = value;
        }

        public LogLevel Level => (_own ?? all._root).Level;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => log.BeginScope(state);

        public bool IsEnabled(LogLevel level) => level >= Level && log.IsEnabled(level);

        public void Log<TState>(
            LogLevel level, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(level))
                log.Log(level, eventId, state, exception, formatter);
        }
    }
}
