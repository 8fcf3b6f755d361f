using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Coordinators;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>
/// Collects the records of a coordinator's steps in a batch until it is written. Owned by its shard's loop; lives as long as the shard.
/// </summary>
/// <param name="baseSequence">The base sequence of batches without a producer.</param>
internal sealed class CoordinatorBatch(int baseSequence) : IDisposable
{
    private readonly List<(int KeyEnd, int ValueEnd)> _encoded = [];
    private WireBuffer _scratch = new();
    private RecordBatchBuilder? _builder;

    /// <summary>How many records the batch has.</summary>
    public int RecordCount => _builder?.RecordCount ?? 0;

    /// <summary>Whether the batch has no records.</summary>
    public bool IsEmpty => RecordCount == 0;

    /// <summary>Encodes a step's records, for <see cref="HasRoom"/> and <see cref="Add"/>.</summary>
    /// <param name="records">The records.</param>
    /// <param name="cachedBufferBytesMax">The largest buffer to use again.</param>
    /// <exception cref="ProtocolException">A record cannot be written.</exception>
    public void Encode(IReadOnlyList<CoordinatorRecord> records, int cachedBufferBytesMax)
    {
        if (_scratch.Written.Length > cachedBufferBytesMax)
            _scratch = new WireBuffer();
        _scratch.Clear();
        _encoded.Clear();
        foreach (var record in records)
        {
            CoordinatorRecordSerde.EncodeKey(record.Key, _scratch);
            var keyEnd = _scratch.Written.Length;
            if (record.Value is { } value)
                CoordinatorRecordSerde.EncodeValue(value, record.ValueVersion, _scratch);
            _encoded.Add((keyEnd, record.Value is null ? -1 : _scratch.Written.Length));
        }
    }

    /// <summary>Whether the batch has room for the encoded records, even if compression saves nothing.</summary>
    public bool HasRoom(int batchBytesMax)
    {
        long size = _builder is { RecordCount: > 0 } builder ? builder.UncompressedSizeInBytes : RecordBatchLayout.HeaderSizeBytes;
        var index = RecordCount;
        var start = 0;
        foreach (var encoded in _encoded)
        {
            // Reserves the widest timestamp delta: the timestamps of one batch differ little, so this costs nothing.
            size += RecordBatchBuilder.SizeOf(index++, int.MaxValue, KeyOf(start, encoded), ValueOf(encoded), []);
            start = Math.Max(encoded.KeyEnd, encoded.ValueEnd);
        }

        return size <= batchBytesMax;
    }

    /// <summary>Adds the encoded records.</summary>
    public void Add(Instant now, CompressionType compression, ProducerIdAndEpoch transaction)
    {
        if (IsEmpty)
            Begin(compression, transaction);
        var start = 0;
        foreach (var encoded in _encoded)
        {
            _builder!.Append(now.UnixMilliseconds, KeyOf(start, encoded), ValueOf(encoded));
            start = Math.Max(encoded.KeyEnd, encoded.ValueEnd);
        }
    }

    /// <summary>The finished batch. This object is empty afterwards.</summary>
    /// <param name="cachedBufferBytesMax">The largest buffer to keep for the next batch.</param>
    public byte[] Take(int cachedBufferBytesMax)
    {
        try
        {
            return _builder!.Build();
        }
        finally
        {
            Clear(cachedBufferBytesMax);
        }
    }

    /// <summary>Drops the records that are not written.</summary>
    public void Clear(int cachedBufferBytesMax)
    {
        if (_builder?.UncompressedSizeInBytes > cachedBufferBytesMax)
            Dispose();
        _builder?.Reset(new RecordBatchOptions());
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _builder?.Dispose();
        _builder = null;
    }

    private void Begin(CompressionType compression, ProducerIdAndEpoch transaction)
    {
        var options = new RecordBatchOptions
        {
            Compression = compression,
            ProducerId = transaction.Id,
            ProducerEpoch = transaction.Epoch,
            BaseSequence = transaction != ProducerIdAndEpoch.None ? 0 : baseSequence, // these are Kafka's values; no reader checks them
            IsTransactional = transaction != ProducerIdAndEpoch.None,
        };

        if (_builder is null)
            _builder = new RecordBatchBuilder(options);
        else
            _builder.Reset(options);
    }

    private NullableBytes KeyOf(int start, (int KeyEnd, int ValueEnd) encoded) => new(_scratch.Written[start..encoded.KeyEnd]);

    private NullableBytes ValueOf((int KeyEnd, int ValueEnd) encoded) =>
        encoded.ValueEnd < 0 ? NullableBytes.Null : new NullableBytes(_scratch.Written[encoded.KeyEnd..encoded.ValueEnd]);
}
