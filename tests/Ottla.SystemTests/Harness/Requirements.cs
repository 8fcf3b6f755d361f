using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Ottla.SystemTests.Harness;

/// <summary>Checks at discovery what a client needs on this machine. Each answers why it is missing, or null when it is there.</summary>
public static class Requirements
{
    private const string Remedy = "run tests/Ottla.SystemTests/install-clients.sh";

    /// <summary>Set where a missing client is a failure instead of a skipped test (continuous integration).</summary>
    public static bool MustHaveAll => Environment.GetEnvironmentVariable("OTTLA_REQUIRE_CLIENTS") is { Length: > 0 };

    /// <summary>Why a client's tests are skipped, or null when they run.</summary>
    public static string? SkipReason(Clients.KafkaClient client) =>
        !MustHaveAll && client.FindMissing() is { } reason ? $"{client.Name} is not installed: {reason}" : null;

    /// <summary>A program at this path.</summary>
    public static string? Program(string path) => File.Exists(path) ? null : $"there is no {path}; {Remedy}";

    /// <summary>A native library.</summary>
    public static string? Library(string name)
    {
        if (!NativeLibrary.TryLoad(name, out var handle))
            return $"the library {name} is not found; {Remedy}";
        NativeLibrary.Free(handle);
        return null;
    }

    /// <summary>A driver that install-clients.sh compiled, not older than its source.</summary>
    public static string? CompiledDriver(string name, string source)
    {
        var path = Path.Combine(RepositoryPaths.CompiledDrivers, name);
        if (Program(path) is { } missing)
            return missing;
        return File.GetLastWriteTimeUtc(path) >= File.GetLastWriteTimeUtc(Path.Combine(RepositoryPaths.Clients, source))
            ? null
            : $"{path} is older than its source; {Remedy}";
    }

    /// <summary>A driver in .NET that can load its native library here.</summary>
    public static string? DotnetDriver(string path)
    {
        if (Program(path) is { } missing)
            return missing;
        return DriverCache.GetOrAdd(path, static driver =>
        {
            using var process = Process.Start(new ProcessStartInfo("dotnet", [driver, "version"])
            {
                RedirectStandardError = true,
                RedirectStandardOutput = true,
            })!;
            var error = process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0 ? null : $"{driver} does not start: {error}";
        });
    }

    /// <summary>Modules of a Python interpreter.</summary>
    public static string? PythonModules(string interpreter, params string[] modules)
    {
        if (Program(interpreter) is { } missing)
            return missing;
        return PythonCache.GetOrAdd(string.Join(", ", modules), names =>
        {
            using var process = Process.Start(interpreter, ["-c", $"import {names}"]);
            process.WaitForExit();
            return process.ExitCode == 0 ? null : $"{interpreter} lacks one of the modules {names}; {Remedy}";
        });
    }

    private static System.Collections.Concurrent.ConcurrentDictionary<string, string?> PythonCache { get; } = new();

    private static System.Collections.Concurrent.ConcurrentDictionary<string, string?> DriverCache { get; } = new();
}
