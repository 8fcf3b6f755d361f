using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.KafkaTools;

/// <summary>Walks through a section of the recorded invocations with Ottla's tools. Owned by one test.</summary>
public sealed class ToolWalk : IDisposable
{
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>What groups do after a start or a stop takes them a moment; Kafka's tools took longer to start.</summary>
    private static readonly TimeSpan SettleTime = TimeSpan.FromSeconds(15);

    private const string RecordStart = "{\"key\":{\"type\":";

    private readonly ToolNode? _node;
    private readonly string _folder = Directory.CreateTempSubdirectory("ottla-tools-").FullName;
    private readonly Dictionary<string, string> _captured = [];
    private readonly Dictionary<string, ToolProcess> _running = [];

    /// <param name="node">The node; null for a section without one.</param>
    public ToolWalk(ToolNode? node) => _node = node;

    /// <summary>The working directory.</summary>
    public string Folder => _folder;

    /// <summary>Runs a row.</summary>
    /// <param name="row">The row.</param>
    /// <param name="isSameWanted">Whether it is to print what Kafka printed.</param>
    /// <returns>How it compares, and what there is to see when it differs; null when there is nothing to compare.</returns>
    public async Task<(Likeness Likeness, string Report)?> RunAsync(ToolRow row, bool isSameWanted)
    {
        foreach (var (name, content) in row.Files)
            await File.WriteAllTextAsync(Path.Combine(_folder, name), Ported(content));
        switch (row.Kind)
        {
            case "start":
                if (Arguments(row) is { } started)
                    _running[row.Id] = await ToolProcess.StartAsync(RepositoryPaths.BrokerExecutable, started, _folder, "");
                return null;
            case "stop":
                if (!_running.Remove(row.Of!, out var running))
                    return null;
                using (running)
                {
                    running.Terminate();
                    return Compare(row, await running.EndAsync());
                }

            case "sh":
                using (var shell = await ToolProcess.StartAsync("/bin/bash", ["-c", row.Command], _folder, ""))
                    await shell.EndAsync();
                return null;
        }

        var waits = Stopwatch.StartNew();
        var limit = TimeSpan.FromSeconds(row.WaitSeconds * 2);
        if (isSameWanted && limit < SettleTime && Shows(row.Command))
            limit = SettleTime;
        while (true)
        {
            var (output, error, exitCode) = await RunToolAsync(row);
            var result = Compare(row, (output, error, exitCode));
            foreach (var (name, pattern) in row.Captures)
                _captured[name] = Regex.Match(output, pattern).Groups[1].Value;
            // What Kafka was given time for comes about here sooner, or later on a busy machine.
            if (result.Likeness == Likeness.Same || waits.Elapsed >= limit)
                return result;
            await Task.Delay(RetryInterval);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var process in _running.Values)
            process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Whether a command only shows what there is, and may be run again.</summary>
    private static bool Shows(string command) => command.StartsWith("kafka-consumer-groups", StringComparison.Ordinal)
        && (command.Contains(" --describe", StringComparison.Ordinal) || command.Contains(" --list", StringComparison.Ordinal)
            || command.Contains(" --dry-run", StringComparison.Ordinal));

    private async Task<(string Output, string Error, int ExitCode)> RunToolAsync(ToolRow row)
    {
        if (Arguments(row) is not { } arguments)
            return ("", "no such program", -1);
        using var tool = await ToolProcess.StartAsync(RepositoryPaths.BrokerExecutable, arguments, _folder, row.Input);
        return await tool.EndAsync();
    }

    /// <summary>The arguments of the executable: the tool's name first. Null for a helper of the recording.</summary>
    private IReadOnlyList<string>? Arguments(ToolRow row)
    {
        var command = row.Command;
        foreach (var (name, value) in _captured)
            command = command.Replace($"${{{name}}}", value, StringComparison.Ordinal);
        var words = ShellWords.Split(Ported(command));
        return words[0].StartsWith("kafka-", StringComparison.Ordinal) ? words : null;
    }

    /// <summary>Of records that follow each other without a line end those of a group.</summary>
    private static string KeepRecordsOf(string group, string output) => string.Concat(
        output.Split(RecordStart, StringSplitOptions.RemoveEmptyEntries).Select(record => $"{RecordStart}{record}")
            .Where(record => record.Contains($"\"group\":\"{group}\"", StringComparison.Ordinal)));

    private string Ported(string text)
    {
        var placed = text.Replace("WORKDIR", _folder, StringComparison.Ordinal);
        return _node is null ? placed : placed.Replace(":9092", $":{_node.Port}", StringComparison.Ordinal)
            .Replace(":9093", $":{_node.ControllerPort}", StringComparison.Ordinal);
    }

    private string Unported(string text) => _node is null ? text : text
        .Replace(_node.Port.ToString(CultureInfo.InvariantCulture), "9092", StringComparison.Ordinal)
        .Replace(_node.ControllerPort.ToString(CultureInfo.InvariantCulture), "9093", StringComparison.Ordinal);

    private (Likeness Likeness, string Report) Compare(ToolRow row, (string Output, string Error, int ExitCode) result)
    {
        var output = Unported(result.Output);
        if (row.OnlyGroup is { } group)
            output = KeepRecordsOf(group, output);
        var likeness = GoldenText.Compare(row.Output, output, ("DATADIR", _node?.DataDirectory ?? ""), ("WORKDIR", _folder));
        if (result.ExitCode != row.ExitCode)
            likeness = Likeness.Different;
        if (likeness == Likeness.OtherOrder && row.IsUnstable)
            likeness = Likeness.Same;
        var report = new StringBuilder();
        report.AppendLine(CultureInfo.InvariantCulture, $"== {row.Id}: {likeness}; exit {result.ExitCode}, Kafka's {row.ExitCode}");
        report.AppendLine(CultureInfo.InvariantCulture, $"   $ {row.Command}");
        if (likeness != Likeness.Same)
        {
            report.AppendLine("-- Kafka").AppendLine(row.Output).AppendLine("-- Ottla").AppendLine(output);
            report.AppendLine("-- standard error").AppendLine(result.Error);
        }

        return (likeness, report.ToString());
    }
}
