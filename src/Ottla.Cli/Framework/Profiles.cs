using System.Collections;
using System.Text;
using Ottla.Configuration;

namespace Ottla.Cli.Framework;

/// <summary>
/// The profiles of the user: each a file of properties of Kafka's clients, <c>NAME.properties</c>, in a directory of its own; the file
/// <c>current</c> names the one that is used. Only the user can read them.
/// </summary>
/// <param name="directory">The directory.</param>
internal sealed class Profiles(string directory)
{
    private const string Suffix = ".properties";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    /// <summary>The directory.</summary>
    public string Directory { get; } = directory;

    /// <summary>The profile that is used when none is named; null for none.</summary>
    public string? Current
    {
        get
        {
            var file = new FileInfo(CurrentPath);
            if (!file.Exists)
                return null;
            using var reader = file.OpenText();
            return reader.ReadLine()?.Trim() is { Length: > 0 } name ? name : null;
        }
    }

    private string CurrentPath => Path.Combine(Directory, "current");

    /// <summary>The profiles of the user who runs the process: in <c>OTTLA_CONFIG_HOME</c>, or ottla/profiles in the config
    /// directory.</summary>
    public static Profiles OfUser(IDictionary environment)
    {
        string? Variable(string name) => environment[name] as string is { Length: > 0 } value ? value : null;
        var home = Variable("OTTLA_CONFIG_HOME")
            ?? (Variable("XDG_CONFIG_HOME") is { } xdg ? Path.Combine(xdg, "ottla")
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".config", "ottla"));
        return new Profiles(Path.Combine(home, "profiles"));
    }

    /// <summary>The names, in order.</summary>
    public IReadOnlyList<string> List()
    {
        var folder = new DirectoryInfo(Directory);
        return folder.Exists
            ? [.. folder.EnumerateFiles($"*{Suffix}").Select(file => file.Name[..^Suffix.Length]).Order(StringComparer.Ordinal)] : [];
    }

    /// <summary>The properties of a profile.</summary>
    /// <exception cref="ConfigException">There is none of the name, or it cannot be read.</exception>
    public IReadOnlyDictionary<string, string> Read(string name)
    {
        var file = FileOf(name);
        if (!file.Exists)
        {
            var known = List();
            throw new ConfigException($"There is no profile '{name}' in {Directory}"
                + (known.Count > 0 ? $"; there are {string.Join(", ", known)}." : ". 'ottla profile create' makes one."));
        }

        try
        {
            using var reader = file.OpenText();
            return JavaProperties.Parse(reader.ReadToEnd());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigException($"The profile '{name}' cannot be read: {e.Message}");
        }
    }

    /// <summary>Writes a profile.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="properties">Its properties.</param>
    /// <param name="replaces">Whether one of the name is replaced.</param>
    /// <exception cref="ConfigException">The name is no file name, or taken.</exception>
    public void Write(string name, IEnumerable<KeyValuePair<string, string>> properties, bool replaces)
    {
        var file = FileOf(name);
        if (file.Exists && !replaces)
            throw new ConfigException($"There is a profile '{name}' already: {file.FullName}. --force replaces it.");
        var text = new StringBuilder();
        foreach (var (key, value) in properties)
            text.Append(key).Append('=').Append(value.Replace("\\", "\\\\", StringComparison.Ordinal)).Append('\n');
        Put(file, text.ToString());
    }

    /// <summary>Makes a profile the one that is used.</summary>
    /// <exception cref="ConfigException">There is none of the name.</exception>
    public void Use(string name)
    {
        Read(name);
        Put(new FileInfo(CurrentPath), $"{name}\n");
    }

    /// <summary>Deletes a profile.</summary>
    /// <exception cref="ConfigException">There is none of the name.</exception>
    public void Delete(string name)
    {
        Read(name);
        FileOf(name).Delete();
        if (Current == name)
            new FileInfo(CurrentPath).Delete();
    }

    private FileInfo FileOf(string name) =>
        name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.') && name[0] != '.'
            ? new FileInfo(Path.Combine(Directory, name + Suffix))
            : throw new ConfigException($"'{name}' cannot name a profile: letters, digits, '-', '_' and '.' are expected.");

    private void Put(FileInfo file, string text)
    {
        new DirectoryInfo(Directory).Create();
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = OwnerOnly;
        using var stream = file.Open(options);
        if (!OperatingSystem.IsWindows())
            file.UnixFileMode = OwnerOnly; // also of a file that was there
        stream.Write(Encoding.UTF8.GetBytes(text));
    }
}
