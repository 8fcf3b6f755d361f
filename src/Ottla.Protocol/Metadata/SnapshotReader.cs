using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Protocol.Metadata;

/// <summary>What a metadata snapshot says.</summary>
/// <param name="LastContainedLogTimestampMs">The timestamp of the last record of the log that it contains.</param>
/// <param name="KRaftVersion">The <c>kraft.version</c> at its end; 0 when it does not say.</param>
/// <param name="Voters">The voters there; null with static voters.</param>
/// <param name="Records">The metadata.</param>
public sealed record MetadataSnapshot(long LastContainedLogTimestampMs, short KRaftVersion, VotersRecord? Voters, IReadOnlyList<MetadataRecord> Records);

/// <summary>Reads a <c>.checkpoint</c> file batch by batch and checks that it is whole: header first, footer last, no gap between.</summary>
/// <remarks>Owned by one reader of one file: <see cref="Add(ReadOnlyMemory{byte})"/> each batch, then <see cref="Finish"/>.</remarks>
/// <param name="controlOnly">Only check the file and read the header: the metadata stays undecoded.</param>
public sealed class SnapshotReader(bool controlOnly = false)
{
    private readonly List<MetadataRecord> _records = [];
    private SnapshotHeaderRecord? _header;
    private short _kraftVersion;
    private VotersRecord? _voters;
    private bool _hasFooter;
    private long _nextOffset;

    /// <summary>Reads a whole file.</summary>
    /// <exception cref="ProtocolException">It is no snapshot, or not a whole one.</exception>
    public static MetadataSnapshot Read(ReadOnlyMemory<byte> file)
    {
        var reader = new SnapshotReader();
        while (!file.IsEmpty)
        {
            if (!RecordBatchView.TryReadSize(file.Span, out var size, out _) || size > file.Length)
                throw new MalformedMessageException("A snapshot ends in the middle of a batch.");
            reader.Add(file[..size]);
            file = file[size..];
        }

        return reader.Finish();
    }

    /// <summary>Takes the next batch.</summary>
    /// <exception cref="ProtocolException">It is corrupt, or has no place there.</exception>
    public void Add(ReadOnlyMemory<byte> batch)
    {
        var decoded = MetadataBatch.Decode(batch, controlOnly);
        if (decoded.BaseOffset != _nextOffset)
            throw new MalformedMessageException($"A snapshot goes on at offset {decoded.BaseOffset} instead of {_nextOffset}.");
        if (_hasFooter)
            throw new MalformedMessageException("A snapshot goes on behind its footer.");
        _nextOffset = decoded.LastOffset + 1;
        _records.AddRange(decoded.Records);
        foreach (var control in decoded.ControlRecords)
            Add(control);
        if (_header is null)
            throw new MalformedMessageException("A snapshot does not begin with its header.");
    }

    /// <summary>What was read.</summary>
    /// <exception cref="ProtocolException">The footer is missing.</exception>
    public MetadataSnapshot Finish() =>
        _hasFooter && _header is not null
            ? new MetadataSnapshot(_header.LastContainedLogTimestamp, _kraftVersion, _voters, _records)
            : throw new MalformedMessageException("A snapshot has no footer: it was not written to its end.");

    private void Add(in MetadataControlRecord control)
    {
        switch (control.Message)
        {
            case SnapshotHeaderRecord header when _header is null && control.Offset == 0: _header = header; break;
            case SnapshotFooterRecord: _hasFooter = true; break;
            case KRaftVersionRecord version: _kraftVersion = version.KRaftVersion; break;
            case VotersRecord voters: _voters = voters; break;
            default: throw new MalformedMessageException($"A control record of type {control.Type} has no place at offset {control.Offset} of a snapshot.");
        }
    }
}
