using Ottla.Protocol.Batches;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Files;

namespace Ottla.Cli.KafkaTools.MetadataShell;

/// <summary>Reads what a snapshot or a segment of the metadata log says.</summary>
internal static class MetadataFile
{
    /// <summary>Reads a file from its beginning.</summary>
    /// <param name="fileSystem">The disk.</param>
    /// <param name="path">The file: <c>*.checkpoint</c>, or <c>*.log</c> from the log's first record on.</param>
    /// <returns>The image after its last record.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="Ottla.Protocol.ProtocolException">It is damaged, or no metadata.</exception>
    /// <exception cref="MetadataException">Its records do not go together: the log begins before it.</exception>
    public static MetadataImage Read(IFileSystem fileSystem, string path)
    {
        using var file = fileSystem.Open(path, FileOpenMode.ReadExisting);
        var replayer = new MetadataReplayer(MetadataImage.Empty);
        var end = file.Length;
        for (var position = 0L; TryReadBatch(file, position, end) is { } bytes; position += bytes.Length)
        {
            var batch = MetadataBatch.Decode(bytes);
            replayer.Apply(
                batch.Records, batch.BaseOffset, new MetadataProvenance(batch.LastOffset, batch.Epoch, batch.AppendTimestampMs));
        }

        return replayer.Image;
    }

    /// <summary>The batch at a position; null when the file ends before it does, as that of a running node may.</summary>
    private static byte[]? TryReadBatch(IFile file, long position, long end)
    {
        Span<byte> header = stackalloc byte[RecordBatchLayout.SizeAndMagicBytes];
        if (end - position < header.Length)
            return null;
        file.ReadExactly(position, header);
        if (!RecordBatchView.TryReadSize(header, out var size, out _) || size > MetadataBatch.SizeBytesMax)
            throw new InvalidDataException($"There is no batch of metadata at position {position}.");
        if (size > end - position)
            return null;
        var bytes = new byte[size];
        file.ReadExactly(position, bytes);
        return bytes;
    }
}
