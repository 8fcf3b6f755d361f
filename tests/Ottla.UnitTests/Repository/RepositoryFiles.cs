namespace Ottla.UnitTests.Repository;

/// <summary>The files of the repository that the tests were built from.</summary>
public static class RepositoryFiles
{
    private static readonly string[] IgnoredDirectories = [".git", ".vs", ".idea", "artifacts", "bin", "obj", "node_modules", "data"];

    /// <summary>The directory with Ottla.slnx.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The full path of a file named from the root.</summary>
    public static string Path(string relative) => System.IO.Path.Combine(Root, relative);

    /// <summary>The path from the root, with slashes.</summary>
    public static string Relative(string path) => System.IO.Path.GetRelativePath(Root, path).Replace('\\', '/');

    /// <summary>All files under a directory that match a pattern, without what is built or downloaded.</summary>
    public static IEnumerable<string> Find(string relativeDirectory, string pattern)
    {
        var directory = Path(relativeDirectory);
        foreach (var file in Directory.EnumerateFiles(directory, pattern).Order(StringComparer.Ordinal))
            yield return file;
        foreach (var child in Directory.EnumerateDirectories(directory).Order(StringComparer.Ordinal))
        {
            if (IgnoredDirectories.Contains(System.IO.Path.GetFileName(child)))
                continue;
            foreach (var file in Find(Relative(child), pattern))
                yield return file;
        }
    }

    private static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(System.IO.Path.Combine(directory.FullName, "Ottla.slnx")))
                return directory.FullName;
        }

        throw new InvalidOperationException($"no Ottla.slnx above {AppContext.BaseDirectory}");
    }
}
