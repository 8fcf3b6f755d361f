using System.Diagnostics;
using System.Globalization;

namespace Ottla.Benchmarks.Clients;

/// <summary>What one run of a client has measured of itself.</summary>
/// <param name="Seconds">Wall-clock time.</param>
/// <param name="CpuSeconds">Processor time of the process.</param>
/// <param name="AllocatedBytes">Bytes that its runtime allocated; what native code allocates is not in it.</param>
/// <param name="Collections">Garbage collections.</param>
/// <param name="PeakBytes">The most resident memory.</param>
internal sealed record ClientRun(double Seconds, double CpuSeconds, long AllocatedBytes, int Collections, long PeakBytes)
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(5);

    /// <summary>The program that <c>./dev bench client</c> builds.</summary>
    public static string Program => Path.Combine(Repository.Root, "artifacts", "bin", "Ottla.ClientLoad", "release", "client-load.dll");

    /// <summary>Runs a client in a process of its own.</summary>
    /// <exception cref="BenchException">It failed, or takes too long.</exception>
    public static ClientRun Execute(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [Program, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start) ?? throw new BenchException("dotnet did not start.");
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Patience))
        {
            process.Kill();
            throw new BenchException($"{string.Join(' ', arguments)} did not end within {Patience.TotalMinutes} minutes: {errors.Result}");
        }

        return process.ExitCode == 0
            ? Parse(output.Result)
            : throw new BenchException($"{string.Join(' ', arguments)} failed: {errors.Result}");
    }

    /// <summary>Reads the line that the program prints.</summary>
    internal static ClientRun Parse(string output)
    {
        var values = output.Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries)
            .Select(part => part.Split('='))
            .Where(part => part.Length == 2)
            .ToDictionary(part => part[0], part => double.Parse(part[1], CultureInfo.InvariantCulture));
        return new ClientRun(
            values["seconds"], values["cpu"], (long)values["allocated"], (int)values["collections"], (long)values["peak"]);
    }
}
