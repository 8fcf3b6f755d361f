namespace Ottla.Storage.Files;

/// <summary>The volume, or a quota on it, is full; the disk itself works. The write may be done in part.</summary>
/// <param name="path">The file or directory that was written to.</param>
/// <param name="innerException">The cause, if any.</param>
public sealed class DiskFullException(string path, Exception? innerException = null)
    : IOException($"The disk is full; {path} needs more space.", innerException);
