namespace Ottla.Storage.Log;

/// <summary>
/// The names of a segment's files. The files build their paths from it when needed: stored paths would be most of an idle segment's memory.
/// </summary>
/// <remarks>The log's lock guards it. Lives as long as its segment.</remarks>
internal sealed class SegmentNames(string directory, long baseOffset, string nameSuffix)
{
    /// <summary>The log's directory.</summary>
    public string Directory { get; set; } = directory;

    /// <summary>A suffix of all names; empty for a segment that is in use.</summary>
    public string NameSuffix { get; set; } = nameSuffix;

    /// <summary>The path of the file with one of the suffixes in <see cref="LogFileNames"/>.</summary>
    public string PathOf(string suffix) => Path.Combine(Directory, LogFileNames.ForOffset(baseOffset, suffix + NameSuffix));
}
