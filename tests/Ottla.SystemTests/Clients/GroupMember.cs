using System.Diagnostics;
using System.Globalization;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Clients;

/// <summary>A member of a group: a client's process that joins, reads, commits, and tells what happens. Killed when disposed.</summary>
/// <remarks>Owned by one test, which awaits conditions; two tasks read the process's output.</remarks>
public sealed class GroupMember : IAsyncDisposable
{
    private const int TranscriptBytesMax = 12 * 1024;

    private static readonly TimeSpan LeaveLimit = TimeSpan.FromSeconds(30);

    private readonly Lock _lock = new();
    private readonly Process _process;
    private readonly MemberCommand _command;
    private readonly OutputTail _transcript = new(TranscriptBytesMax);
    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly Task _reading;
    private readonly List<GroupEvent> _events = [];

    private GroupMember(Process process, MemberCommand command)
    {
        _process = process;
        _command = command;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError));
    }

    /// <summary>Everything it told so far.</summary>
    public IReadOnlyList<GroupEvent> Events
    {
        get
        {
            lock (_lock)
                return [.. _events];
        }
    }

    /// <summary>Its partitions now, in order; empty before the first assignment.</summary>
    public IReadOnlyList<int> Partitions =>
        Events.LastOrDefault(one => one.Event == GroupEvent.Assigned)?.Partitions.Order().ToList() ?? [];

    /// <summary>How often it was assigned partitions.</summary>
    public int Assignments => Events.Count(one => one.Event == GroupEvent.Assigned);

    /// <summary>Whether the process ended.</summary>
    public bool HasEnded => _process.HasExited;

    /// <summary>The records that it got.</summary>
    public IEnumerable<(int Partition, long Offset)> Records =>
        Events.Where(one => one.Event == GroupEvent.Record).Select(one => (one.Partition, one.Offset));

    /// <summary>What became of it and the last that it wrote, for messages of failures. The times are seconds since its start.</summary>
    public override string ToString() =>
        $"member {_process.Id} with {string.Join(",", Partitions)} ({(HasEnded ? $"ended with {_process.ExitCode}" : "runs")}): "
        + $"{_command.Program} {string.Join(' ', _command.Arguments)}\n{_transcript}";

    /// <summary>Starts a member.</summary>
    public static GroupMember Start(MemberCommand command)
    {
        var start = new ProcessStartInfo(command.Program, command.Arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in command.Environment)
            start.Environment[name] = value;
        return new GroupMember(Process.Start(start) ?? throw new ToolFailedException($"{command.Program} did not start."), command);
    }

    /// <summary>Has it leave the group in order.</summary>
    public async Task LeaveAsync()
    {
        if (_command.EndsWithInput)
            _process.StandardInput.Close();
        else
            Signals.Terminate(_process.Id);
        using var deadline = new CancellationTokenSource(LeaveLimit);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            throw new ToolFailedException($"Did not leave within {LeaveLimit.TotalSeconds} s: {this}");
        }

        await _reading;
        if (_process.ExitCode != 0)
            throw new ToolFailedException($"Ended with {_process.ExitCode}: {this}");
    }

    /// <summary>SIGKILL: it leaves without a word.</summary>
    public async Task KillAsync()
    {
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        await _reading;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await KillAsync();
        await _reading;
        _process.Dispose();
    }

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            var told = _command.Parse(line);
            _transcript.Append(
                string.Create(
                    CultureInfo.InvariantCulture, $"{Stopwatch.GetElapsedTime(_started).TotalSeconds,7:0.000} {told?.ToString() ?? line}"));
            if (told is null)
                continue;
            lock (_lock)
                _events.Add(told);
        }
    }
}
