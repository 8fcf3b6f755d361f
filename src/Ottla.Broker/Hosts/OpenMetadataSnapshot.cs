using Ottla.Protocol;
using Ottla.Protocol.Metadata;
using Ottla.Storage.Files;

namespace Ottla.Broker.Hosts;

/// <summary>A snapshot of the metadata log that is open for reading: it stays readable when its file is deleted meanwhile.</summary>
/// <remarks>Made by the loop of the metadata log, owned and disposed by the listener that was handed it.</remarks>
/// <param name="id">Where it ends.</param>
/// <param name="file">Its open file; owned by this.</param>
public sealed class OpenMetadataSnapshot(OffsetAndEpoch id, IFile file) : IDisposable
{
    /// <summary>Where it ends.</summary>
    public OffsetAndEpoch Id => id;

    /// <summary>Reads it, wholly checked.</summary>
    /// <exception cref="ProtocolException">It is not whole.</exception>
    /// <exception cref="IOException">The disk fails.</exception>
    public MetadataSnapshot Read() => MetadataSnapshotFiles.Read(file, $"{id.Offset}-{id.Epoch}", controlOnly: false);

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();
}
