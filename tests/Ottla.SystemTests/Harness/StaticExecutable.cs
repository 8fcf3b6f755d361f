namespace Ottla.SystemTests.Harness;

/// <summary>
/// The executable that needs no other file, made by <c>./dev publish static</c>, and what it takes to run it in an empty root.
/// </summary>
public static class StaticExecutable
{
    /// <summary>The program that starts another in a root of its own.</summary>
    public const string ChangeRoot = "/usr/sbin/chroot";

    /// <summary>Where it is.</summary>
    public static string File { get; } = Path.Combine(Path.GetDirectoryName(RepositoryPaths.BrokerExecutable)!, "ottla-static");

    /// <summary>Why it cannot be tested here, or null when it can.</summary>
    public static string? Missing =>
        !System.IO.File.Exists(File) ? $"there is no {File}; run ./dev publish static"
        : Environment.UserName != "root" || !System.IO.File.Exists(ChangeRoot) ? "only root can change the root"
        : null;

    /// <summary>A new directory with nothing but the executable in it.</summary>
    public static string MakeRoot()
    {
        var root = Directory.CreateTempSubdirectory("ottla-root-").FullName;
        System.IO.File.Copy(File, Path.Combine(root, Path.GetFileName(File)));
        return root;
    }
}

/// <summary>A fact about the static executable. Skipped, with the reason, where it cannot be run.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class StaticExecutableFactAttribute : FactAttribute
{
    public StaticExecutableFactAttribute() => Skip = StaticExecutable.Missing;
}
