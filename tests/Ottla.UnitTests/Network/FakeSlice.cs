using Microsoft.Win32.SafeHandles;
using Ottla.Kernel;

namespace Ottla.UnitTests.Network;

/// <summary>A slice over bytes in memory or over a file, that counts its disposals and can be shorter than it promises.</summary>
internal sealed class FakeSlice(byte[] bytes, SafeFileHandle? source = null, long sourcePosition = 0, int missingBytes = 0) : IFileSlice
{
    private int _disposals;

    public int Disposals => _disposals;

    public List<int> ReadSizes { get; } = [];

    public int Length => bytes.Length;

    public SafeFileHandle? Source => source;

    public long SourcePosition => sourcePosition;

    public void Read(int offset, Span<byte> destination)
    {
        ObjectDisposedException.ThrowIf(_disposals > 0, this);
        ReadSizes.Add(destination.Length);
        if (offset + destination.Length > bytes.Length - missingBytes)
            throw new IOException("the file is shorter than was promised");
        bytes.AsSpan(offset, destination.Length).CopyTo(destination);
    }

    public void Dispose() => Interlocked.Increment(ref _disposals);
}

/// <summary>A temporary file with random contents, gone when disposed.</summary>
internal sealed class TemporaryFile : IDisposable
{
    public TemporaryFile(byte[] contents)
    {
        Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"ottla-network-{Guid.NewGuid():N}");
        File.WriteAllBytes(Path, contents);
        Stream = new FileStream(
            Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0, FileOptions.Asynchronous);
    }

    public string Path { get; }

    public FileStream Stream { get; }

    public void Dispose()
    {
        Stream.Dispose();
        File.Delete(Path);
    }
}
