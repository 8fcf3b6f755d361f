using System.Diagnostics;
using System.Globalization;

namespace Ottla.SystemTests.Harness;

/// <summary>A small disk of its own for one test: a tmpfs, mounted by root on Linux, unmounted when disposed.</summary>
public sealed class Tmpfs : IDisposable
{
    private const string Mount = "/bin/mount";
    private const string Unmount = "/bin/umount";

    private Tmpfs(string path) => Path = path;

    /// <summary>Where it is mounted.</summary>
    public string Path { get; }

    /// <summary>Free bytes.</summary>
    public long FreeBytes => new DriveInfo(Path).AvailableFreeSpace;

    /// <summary>Why no tmpfs can be mounted here, or null when one can.</summary>
    public static string? Missing
    {
        get
        {
            if (!OperatingSystem.IsLinux() || Environment.UserName != "root" || !File.Exists(Mount))
                return "only root on Linux can mount a tmpfs";
            try
            {
                Create(megabytes: 1).Dispose();
                return null;
            }
            catch (InvalidOperationException exception)
            {
                return exception.Message; // a container without the right to mount
            }
        }
    }

    /// <summary>Mounts one.</summary>
    /// <exception cref="InvalidOperationException">It cannot be mounted.</exception>
    public static Tmpfs Create(int megabytes)
    {
        var path = Directory.CreateTempSubdirectory("ottla-tmpfs-").FullName;
        try
        {
            Run(Mount, "-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={megabytes}m"), "ottla-test", path);
            return new Tmpfs(path);
        }
        catch
        {
            Directory.Delete(path);
            throw;
        }
    }

    /// <summary>Writes a file until there is no room for another byte.</summary>
    public void FillUp(string name)
    {
        using var file = File.OpenHandle(System.IO.Path.Combine(Path, name), FileMode.Create, FileAccess.Write);
        var position = 0L;
        for (var size = 1 << 20; size > 0; size /= 2)
        {
            try
            {
                while (true)
                {
                    RandomAccess.Write(file, new byte[size], position);
                    position += size;
                }
            }
            catch (IOException)
            {
                // Full for this size; what was written in part is written over.
            }
        }
    }

    public void Dispose()
    {
        Run(Unmount, "--lazy", Path);
        Directory.Delete(Path);
    }

    private static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })
            ?? throw new InvalidOperationException($"{program} did not start.");
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {error.Trim()}");
    }
}

/// <summary>A fact that needs a client and a tmpfs. Skipped, with the reason, where either is missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class TmpfsFactAttribute : FactAttribute
{
    public TmpfsFactAttribute(string client) => Skip = Requirements.SkipReason(Clients.ClientCatalog.Get(client)) ?? Tmpfs.Missing;
}
