using System.Diagnostics;

namespace Ottla.SystemTests.Harness;

/// <summary>What a program left: its exit code, and what it wrote.</summary>
public sealed record ToolResult(string CommandLine, int ExitCode, byte[] Output, string Error)
{
    /// <summary>This result, or the test's failure with the program's own words if the exit code is not zero.</summary>
    public ToolResult OrFail()
    {
        if (ExitCode != 0)
            throw new ToolFailedException($"`{CommandLine}` ended with {ExitCode}:\n{Error}\n{Text.Excerpt(Output)}");
        return this;
    }
}

/// <summary>A program that failed, took too long, or wrote too much.</summary>
public sealed class ToolFailedException(string message) : Exception(message);

/// <summary>Runs one program to its end with a time limit, its input given and its output collected up to a bound.</summary>
public static class ClientTool
{
    /// <summary>The most bytes that a program may write to its standard output.</summary>
    public const int OutputBytesMax = 256 * 1024 * 1024;

    private const int ErrorBytesMax = 64 * 1024;
    private const int ReadBytes = 64 * 1024;

    /// <summary>The time limit of a program when the caller names none.</summary>
    public static readonly TimeSpan DefaultLimit = TimeSpan.FromSeconds(60);

    /// <summary>Runs <paramref name="program"/>. Any exit code is a result; see <see cref="ToolResult.OrFail"/>.</summary>
    /// <exception cref="ToolFailedException">The time limit or the bound of the output was reached; the program was killed.</exception>
    public static async Task<ToolResult> RunAsync(
        string program,
        IReadOnlyList<string> arguments,
        ReadOnlyMemory<byte> input = default,
        TimeSpan? limit = null,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;

        var commandLine = $"{program} {string.Join(' ', arguments)}";
        using var process = Process.Start(start) ?? throw new ToolFailedException($"`{commandLine}` did not start.");
        using var deadline = new CancellationTokenSource(limit ?? DefaultLimit);
        var error = ReadErrorAsync(process.StandardError.BaseStream);
        try
        {
            var writing = WriteInputAsync(process.StandardInput.BaseStream, input, deadline.Token);
            var output = await ReadOutputAsync(process.StandardOutput.BaseStream, commandLine, deadline.Token);
            await process.WaitForExitAsync(deadline.Token);
            await writing;
            return new ToolResult(commandLine, process.ExitCode, output, await error);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new ToolFailedException($"`{commandLine}` was killed after {(limit ?? DefaultLimit).TotalSeconds} s:\n{await error}");
        }
        catch (ToolFailedException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }

    private static async Task WriteInputAsync(Stream stream, ReadOnlyMemory<byte> input, CancellationToken cancellation)
    {
        try
        {
            await using (stream)
                await stream.WriteAsync(input, cancellation);
        }
        catch (IOException)
        {
            // The program ended without reading everything; its exit code and error output say why.
        }
    }

    private static async Task<byte[]> ReadOutputAsync(Stream stream, string commandLine, CancellationToken cancellation)
    {
        var output = new MemoryStream();
        var buffer = new byte[ReadBytes];
        int count;
        while ((count = await stream.ReadAsync(buffer, cancellation)) > 0)
        {
            if (output.Length + count > OutputBytesMax)
                throw new ToolFailedException($"`{commandLine}` wrote more than {OutputBytesMax} bytes.");
            output.Write(buffer, 0, count);
        }

        return output.ToArray();
    }

    // Reads to the end, so that the program never blocks, and keeps the tail.
    private static async Task<string> ReadErrorAsync(Stream stream)
    {
        var tail = new OutputTail(ErrorBytesMax);
        await tail.ReadToEndAsync(stream);
        return tail.ToString();
    }
}
