using System.Diagnostics;
using System.Text;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.KafkaTools;

/// <summary>A tool that runs. Owned by the walk.</summary>
public sealed class ToolProcess : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(90);

    private readonly Process _process;
    private readonly Task<string> _output;
    private readonly Task<string> _error;

    private ToolProcess(Process process)
    {
        _process = process;
        _output = process.StandardOutput.ReadToEndAsync();
        _error = process.StandardError.ReadToEndAsync();
    }

    /// <summary>Starts a tool.</summary>
    /// <param name="program">The program.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="folder">Its working directory.</param>
    /// <param name="input">What it reads.</param>
    public static async Task<ToolProcess> StartAsync(string program, IReadOnlyList<string> arguments, string folder, string input)
    {
        var process = Process.Start(new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = Encoding.UTF8,
            StandardInputEncoding = new UTF8Encoding(false),
            WorkingDirectory = folder,
        })!;
        var tool = new ToolProcess(process);
        try
        {
            await process.StandardInput.WriteAsync(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended without reading everything; the exit code says why.
        }

        return tool;
    }

    /// <summary>Sends SIGTERM, unless it has ended already.</summary>
    public void Terminate()
    {
        if (!_process.HasExited)
            Signals.Terminate(_process.Id);
    }

    /// <summary>Awaits the end.</summary>
    /// <returns>What it wrote, and its exit code; -1 when it did not end in time.</returns>
    public async Task<(string Output, string Error, int ExitCode)> EndAsync()
    {
        using var deadline = new CancellationTokenSource(Limit);
        try
        {
            await _process.WaitForExitAsync(deadline.Token);
            return (await _output, await _error, _process.ExitCode);
        }
        catch (OperationCanceledException)
        {
            _process.Kill(entireProcessTree: true);
            return (await _output, await _error, -1);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }
}
