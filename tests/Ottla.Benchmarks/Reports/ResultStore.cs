using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Ottla.Benchmarks.Reports;

/// <summary>Results as files: one per run, named by date, commit and machine.</summary>
internal static class ResultStore
{
    /// <summary>Writes a result.</summary>
    /// <returns>Where it is.</returns>
    public static string Write(string directory, BenchResult result)
    {
        Directory.CreateDirectory(directory);
        var path = Path.Combine(directory, FileName(result));
        File.WriteAllText(path, Serialize(result) + "\n");
        return path;
    }

    /// <summary>Reads a stored result.</summary>
    /// <exception cref="BenchException">The file is not there, or is not a result.</exception>
    public static BenchResult Read(string path)
    {
        try
        {
            return Deserialize(File.ReadAllText(path));
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            throw new BenchException($"{path}: {e.Message}", e);
        }
    }

    /// <summary>The stored results, oldest first.</summary>
    public static string[] List(string directory) =>
        Directory.Exists(directory) ? [.. Directory.GetFiles(directory, "*.json").Order(StringComparer.Ordinal)] : [];

    /// <summary>The newest stored result of the same machine; null when there is none.</summary>
    public static BenchResult? LatestOf(string directory, Machine machine) =>
        List(directory).LastOrDefault(
            path => Path.GetFileNameWithoutExtension(path).EndsWith(Slug(machine), StringComparison.Ordinal)) is { } path ? Read(path)
                : null;

    public static string Serialize(BenchResult result) => JsonSerializer.Serialize(result, BenchResultContext.Default.BenchResult);

    /// <exception cref="JsonException">It is not a result.</exception>
    public static BenchResult Deserialize(string json) =>
        JsonSerializer.Deserialize(json, BenchResultContext.Default.BenchResult) ?? throw new JsonException("The file holds null.");

    public static string FileName(BenchResult result)
    {
        var date = result.Date.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        return $"{date}-{result.Commit}-{Slug(result.Machine)}.json";
    }

    /// <summary>The machine's name for a file: its processor's words in lower case, and its cores.</summary>
    private static string Slug(Machine machine)
    {
        var slug = new StringBuilder();
        foreach (var c in machine.CpuModel.Replace("(R)", "", StringComparison.Ordinal).Replace("(TM)", "", StringComparison.Ordinal))
        {
            if (char.IsAsciiLetterOrDigit(c) || c == '.')
                slug.Append(char.ToLowerInvariant(c));
            else if (slug.Length > 0 && slug[^1] != '-')
                slug.Append('-');
        }

        return string.Create(CultureInfo.InvariantCulture, $"{slug.ToString().Trim('-')}-{machine.Cores}c");
    }
}
