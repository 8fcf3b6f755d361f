using System.Diagnostics;

namespace Ottla.Benchmarks;

/// <summary>Where things are in the repository that this tool was built in, and which commit it is.</summary>
internal static class Repository
{
    private const string Marker = "Ottla.slnx";

    /// <summary>The directory of the solution: the nearest one above the tool, or above the working directory.</summary>
    public static string Root { get; } = Find(AppContext.BaseDirectory) ?? Find(Environment.CurrentDirectory)
        ?? Environment.CurrentDirectory;

    /// <summary>Where results are stored.</summary>
    public static string ResultsDirectory => Path.Combine(Root, "tests", "Ottla.Benchmarks", "results");

    /// <summary>What <c>./dev publish</c> makes.</summary>
    public static string Executable => Path.Combine(Root, "artifacts", "bin", "ottla");

    /// <summary>The commit's short hash, with <c>-dirty</c> behind it when files differ from it; <c>unknown</c> outside of git.</summary>
    public static string Commit()
    {
        var commit = Git("rev-parse --short HEAD");
        if (commit.Length == 0)
            return "unknown";
        return Git("status --porcelain --untracked-files=no").Length > 0 ? commit + "-dirty" : commit;
    }

    private static string? Find(string start)
    {
        for (var directory = new DirectoryInfo(start); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, Marker)))
                return directory.FullName;
        }

        return null;
    }

    private static string Git(string arguments)
    {
        try
        {
            using var git = Process.Start(new ProcessStartInfo("git", arguments)
            {
                WorkingDirectory = Root,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            });
            var output = git!.StandardOutput.ReadToEnd();
            git.WaitForExit();
            return git.ExitCode == 0 ? output.Trim() : "";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return ""; // git is not installed
        }
    }
}
