using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Protocol.Metadata;

/// <summary>The content of a metadata snapshot.</summary>
/// <param name="LastContainedLogTimestampMs">The timestamp of the last log record in the snapshot.</param>
/// <param name="KRaftVersion">The <c>kraft.version</c> at its end; 0 when the snapshot does not have one.</param>
/// <param name="Voters">The voters at its end; null for static voters.</param>
/// <param name="Records">The metadata.</param>
public sealed record MetadataSnapshot(
    long LastContainedLogTimestampMs, short KRaftVersion, VotersRecord? Voters, IReadOnlyList<MetadataRecord> Records);

/// <summary>
/// Reads a <c>.checkpoint</c> file batch by batch and checks that it is complete: a header first, a footer last, and no gap between.
/// </summary>
/// <remarks>
/// One reader of one file owns it: it calls <see cref="Add(ReadOnlyMemory{byte})"/> for each batch, then <see cref="Finish"/>.
/// </remarks>
/// <param name="controlOnly">Whether to check the file and read its header without decoding the metadata.</param>
public sealed class SnapshotReader(bool controlOnly = false)
{
    private readonly List<MetadataRecord> _records = [];
    private SnapshotHeaderRecord? _header;
    private short _kraftVersion;
    private VotersRecord? _voters;
    private bool _hasFooter;
    private long _nextOffset;

    /// <summary>Reads a whole file.</summary>
    /// <exception cref="ProtocolException">The file is not a snapshot, or is incomplete.</exception>
    public static MetadataSnapshot Read(ReadOnlyMemory<byte> file)
    {
        var reader = new SnapshotReader();
        while (!file.IsEmpty)
        {
            if (!RecordBatchView.TryReadSize(file.Span, out var size, out _) || size > file.Length)
                throw new MalformedMessageException("The snapshot is truncated: it ends inside a batch.");
            reader.Add(file[..size]);
            file = file[size..];
        }

        return reader.Finish();
    }

    /// <summary>Reads the next batch.</summary>
    /// <exception cref="ProtocolException">The batch is corrupt or misplaced.</exception>
    public void Add(ReadOnlyMemory<byte> batch)
    {
        var decoded = MetadataBatch.Decode(batch, controlOnly);
        if (decoded.BaseOffset != _nextOffset)
            throw new MalformedMessageException(
                $"The snapshot is corrupt: a batch has offset {decoded.BaseOffset} instead of {_nextOffset}.");
        if (_hasFooter)
            throw new MalformedMessageException("The snapshot is corrupt: a batch follows its footer.");
        _nextOffset = decoded.LastOffset + 1;
        _records.AddRange(decoded.Records);
        foreach (var control in decoded.ControlRecords)
            Add(control);
        if (_header is null)
            throw new MalformedMessageException("The snapshot is corrupt: it does not begin with a header.");
    }

    /// <summary>Returns the content of the snapshot.</summary>
    /// <exception cref="ProtocolException">The footer is missing.</exception>
    public MetadataSnapshot Finish() =>
        _hasFooter && _header is not null
            ? new MetadataSnapshot(_header.LastContainedLogTimestamp, _kraftVersion, _voters, _records)
            : throw new MalformedMessageException("The snapshot is incomplete: it has no footer.");

    private void Add(in MetadataControlRecord control)
    {
        switch (control.Message)
        {
            case SnapshotHeaderRecord header when _header is null && control.Offset == 0: _header = header; break;
            case SnapshotFooterRecord: _hasFooter = true; break;
            case KRaftVersionRecord version: _kraftVersion = version.KRaftVersion; break;
            case VotersRecord voters: _voters = voters; break;
            default:
                throw new MalformedMessageException(
                $"The snapshot is corrupt: it has an unexpected control record of type {control.Type} at offset {control.Offset}.");
        }
    }
}
