using System.Diagnostics;
using System.Globalization;
using System.Text;

namespace Ottla.Chaos.Clients;

/// <summary>Where clients work: the same for all of a topic.</summary>
/// <param name="Folder">Where what they tell is kept.</param>
/// <param name="Bootstrap">The servers.</param>
/// <param name="Topic">The topic.</param>
/// <param name="Partitions">How many partitions it has.</param>
/// <param name="Log">The run's log.</param>
internal sealed record ClientSetting(string Folder, string Bootstrap, string Topic, int Partitions, RunLog Log);

/// <summary>
/// A client as a process: it tells what it does in lines, and ends when its input does. One task reads the lines, and calls
/// <see cref="OnLine"/> with each; what it collects is looked at when the process has ended, or under <see cref="Lock"/>.
/// </summary>
internal abstract class ClientProcess
{
    private const int BufferChars = 4096;

    private readonly Process _process;
    private readonly Task _reading;

    protected ClientProcess(ClientProgram program, string name, string folder, IReadOnlyList<string> arguments, RunLog log)
    {
        Program = program;
        Name = name;
        Log = log;
        var errors = Path.Combine(folder, $"{name}.err");
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec \"$@\" 2>\"$0\"", errors, .. program.Command, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment["LIBRDKAFKA_GROUP_PROTOCOL"] = program.GroupProtocol;
        _process = Process.Start(start)!;
        _reading = ReadAsync(Path.Combine(folder, $"{name}.out"));
    }

    public ClientProgram Program { get; }

    public string Name { get; }

    public bool IsRunning => !_process.HasExited;

    /// <summary>The run's log, and its clock.</summary>
    protected RunLog Log { get; }

    /// <summary>Guards what is collected, while the process runs.</summary>
    protected Lock Lock { get; } = new();

    /// <summary>What clients saw go wrong, each with its time.</summary>
    public List<(TimeSpan At, string Text)> Errors { get; } = [];

    /// <summary>Ends the input, and awaits the end of the process.</summary>
    /// <returns>The exit code; null when it did not end in time and was killed.</returns>
    public async Task<int?> StopAsync(TimeSpan limit)
    {
        _process.StandardInput.Close();
        using var deadline = new CancellationTokenSource(limit);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
            await _reading;
            return _process.ExitCode;
        }
        catch (OperationCanceledException)
        {
            await KillAsync();
            return null;
        }
    }

    /// <summary>SIGKILL.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        await _reading;
    }

    /// <summary>Takes a line, split into words.</summary>
    protected abstract void OnLine(string[] words, TimeSpan now);

    /// <summary>Notes what went wrong.</summary>
    protected void OnError(string[] words, TimeSpan now) => Errors.Add((now, string.Join(' ', words)));

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>Takes whole lines only: a client that is killed may have begun one more.</summary>
    private async Task ReadAsync(string copy)
    {
        await using var lines = new StreamWriter(copy);
        var line = new StringBuilder();
        var buffer = new char[BufferChars];
        int count;
        while ((count = await _process.StandardOutput.ReadAsync(buffer)) > 0)
        {
            var now = Log.Now;
            foreach (var character in buffer.AsSpan(0, count))
            {
                if (character != '\n')
                {
                    line.Append(character);
                    continue;
                }

                var text = line.ToString();
                line.Clear();
                lines.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{now.TotalSeconds:0.000} {text}"));
                lock (Lock)
                    OnLine(text.Split(' '), now);
            }
        }
    }
}
