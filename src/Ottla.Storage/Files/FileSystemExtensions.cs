namespace Ottla.Storage.Files;

/// <summary>
/// Helpers for users of <see cref="IFileSystem"/>: read a whole small file, and replace a file so that a crash leaves the old or the new
/// one.
/// </summary>
public static class FileSystemExtensions
{
    /// <summary>Suffix of the file that <see cref="ReplaceFile"/> writes before the rename.</summary>
    public const string TemporarySuffix = ".tmp";

    /// <summary>Reads a whole file.</summary>
    /// <param name="fileSystem">The disk.</param>
    /// <param name="path">The file.</param>
    /// <param name="lengthMax">The largest size of this kind of file.</param>
    /// <exception cref="IOException">The file is missing, longer than <paramref name="lengthMax"/>, or could not be read.</exception>
    public static byte[] ReadAllBytes(this IFileSystem fileSystem, string path, int lengthMax) =>
        fileSystem.TryReadAllBytes(path, lengthMax) ?? throw new FileNotFoundException("The file is missing.", path);

    internal static IOException TooLong(string path, long length, int lengthMax) =>
        new($"{path} has {length} bytes; the most for this file is {lengthMax}.");

    /// <summary>Fills <paramref name="destination"/> from <paramref name="position"/> on.</summary>
    /// <exception cref="EndOfStreamException">The file is shorter.</exception>
    public static void ReadExactly(this IFile file, long position, Span<byte> destination)
    {
        var read = file.Read(position, destination);
        if (read < destination.Length)
            throw new EndOfStreamException(
                $"A read of {destination.Length} bytes at position {position} got only {read}: the file is too short.");
    }

    /// <summary>
    /// Makes a directory and its missing parents so that they survive power loss. Does nothing when the directory exists.
    /// </summary>
    public static void CreateDurableDirectory(this IFileSystem fileSystem, string path)
    {
        if (fileSystem.DirectoryExists(path))
            return;
        var parent = Path.GetDirectoryName(path);
        if (parent is not null)
            fileSystem.CreateDurableDirectory(parent);
        fileSystem.CreateDirectory(path);
        if (parent is not null)
            fileSystem.FlushDirectory(parent);
    }

    /// <summary>Replaces a file as Kafka does its checkpoints: write <c>.tmp</c>, fsync, rename, fsync the directory.</summary>
    public static void ReplaceFile(this IFileSystem fileSystem, string path, ReadOnlySpan<byte> content)
    {
        var temporary = path + TemporarySuffix;
        try
        {
            using (var file = fileSystem.Open(temporary, FileOpenMode.CreateOrTruncate))
            {
                file.Write(0, content);
                file.Flush();
            }

            fileSystem.Rename(temporary, path);
        }
        catch (DiskFullException)
        {
            fileSystem.Delete(temporary); // the incomplete file takes space
            throw;
        }

        fileSystem.FlushDirectory(Path.GetDirectoryName(path)!);
    }

    /// <summary>
    /// Replaces many files with two flushes of the volume: writes <c>.tmp</c>, which is durable once the volume is flushed; then
    /// comes <see cref="PublishFile"/>, and another flush.
    /// </summary>
    public static void StageFile(this IFileSystem fileSystem, string path, ReadOnlySpan<byte> content)
    {
        using var file = fileSystem.Open(path + TemporarySuffix, FileOpenMode.CreateOrTruncate);
        file.Write(0, content);
    }

    /// <summary>Puts in place what <see cref="StageFile"/> wrote, once that is durable.</summary>
    public static void PublishFile(this IFileSystem fileSystem, string path) => fileSystem.Rename(path + TemporarySuffix, path);
}
