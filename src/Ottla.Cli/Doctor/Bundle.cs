using System.Formats.Tar;
using System.IO.Compression;
using System.Text;

namespace Ottla.Cli.Doctor;

/// <summary>The archive of a bug report: texts in a folder, without secrets. Owned by one command.</summary>
internal sealed class Bundle : IDisposable
{
    private const string Folder = "ottla-doctor/";
    private readonly GZipStream _compressed;
    private readonly TarWriter _archive;
    private readonly Redaction _redaction;
    private readonly DateTimeOffset _now;
    private readonly StringBuilder _failures = new();

    /// <summary>Begins an archive.</summary>
    /// <param name="output">Where to; it is closed with the archive.</param>
    /// <param name="redaction">Takes secrets out of what is added.</param>
    /// <param name="now">The time of the files.</param>
    public Bundle(Stream output, Redaction redaction, DateTimeOffset now)
    {
        _compressed = new GZipStream(output, CompressionLevel.Optimal);
        _archive = new TarWriter(_compressed, TarEntryFormat.Pax);
        (_redaction, _now) = (redaction, now);
    }

    /// <summary>The files that are in it.</summary>
    public List<string> Names { get; } = [];

    /// <summary>Adds a text.</summary>
    public void Add(string name, string text)
    {
        using var content = new MemoryStream(Encoding.UTF8.GetBytes(_redaction.Clean(text)));
        _archive.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, Folder + name)
        {
            DataStream = content,
            ModificationTime = _now,
        });
        Names.Add(name);
    }

    /// <summary>Notes what could not be collected.</summary>
    public void Fail(string name, string reason) => _failures.Append($"{name}: {reason}\n");

    /// <summary>Adds what could not be collected, and ends the archive.</summary>
    public void Dispose()
    {
        if (_failures.Length > 0)
            Add("missing.txt", _failures.ToString());
        _archive.Dispose();
        _compressed.Dispose();
    }
}
