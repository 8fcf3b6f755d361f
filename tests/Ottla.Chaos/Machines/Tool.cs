using System.Diagnostics;

namespace Ottla.Chaos.Machines;

/// <summary>Runs programs of the system that end at once (<c>ip</c>, <c>mount</c> and so on).</summary>
internal static class Tool
{
    /// <summary>Runs a program to its end and returns what it wrote.</summary>
    /// <exception cref="ToolException">It failed; the message has its own words.</exception>
    public static string Run(string program, params string[] arguments) =>
        TryRun(program, arguments, out var output)
            ? output
            : throw new ToolException($"{program} {string.Join(' ', arguments)}: {output.Trim()}");

    /// <summary>Runs a program to its end; false when it failed or is not there, and then its words are why.</summary>
    public static bool TryRun(string program, string[] arguments, out string output)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            })!;
            var error = process.StandardError.ReadToEndAsync();
            output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            if (process.ExitCode != 0)
                output += error.GetAwaiter().GetResult();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            output = e.Message;
            return false;
        }
    }
}

/// <summary>A program of the system failed.</summary>
internal sealed class ToolException(string message) : Exception(message);
