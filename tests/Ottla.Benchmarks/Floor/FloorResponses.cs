using System.Buffers.Binary;
using System.Numerics;
using Ottla.Benchmarks.Load;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.Benchmarks.Floor;

/// <summary>The responses that a connection has not sent yet, in one buffer. Owned by the connection.</summary>
internal sealed class FloorResponses
{
    private const int InitialBytes = 4096;
    private const int FixedBytesMax = 256; // of a response, besides the topic's name and the records

    private byte[] _bytes = new byte[InitialBytes];
    private int _length;

    public ReadOnlyMemory<byte> Bytes => _bytes.AsMemory(0, _length);

    public void Clear() => _length = 0;

    /// <summary>Adds any response in a version that is not flexible.</summary>
    public void Add(int correlationId, IMessage response, short version)
    {
        var body = WireBuffer.Encode(response, version);
        var start = Begin(correlationId, body.Length);
        body.CopyTo(_bytes, _length);
        _length += body.Length;
        End(start);
    }

    /// <summary>Adds a Produce response.</summary>
    public void AddProduce(int correlationId, ReadOnlySpan<byte> topic, int partition, ErrorCode error, long offset)
    {
        var start = Begin(correlationId, topic.Length);
        PutTopic(topic, partition, error);
        Put(offset);
        Put(-1L); // log append time
        Put(0L); // log start offset
        Put(0); // record errors
        Put((short)-1); // error message
        Put(0); // throttle time
        End(start);
    }

    /// <summary>Adds a Fetch response up to its records, which follow it.</summary>
    public void AddFetch(int correlationId, ReadOnlySpan<byte> topic, int partition, FloorRange range)
    {
        var start = Begin(correlationId, topic.Length);
        Put(0); // throttle time
        Put((short)ErrorCode.None);
        Put(0); // session
        PutTopic(topic, partition, ErrorCode.None);
        Put(range.HighWatermark);
        Put(range.HighWatermark); // last stable offset
        Put(0L); // log start offset
        Put(-1); // aborted transactions
        Put(-1); // preferred read replica
        Put(range.Length);
        End(start, range.Length);
    }

    private int Begin(int correlationId, int variableBytes)
    {
        var needed = _length + FixedBytesMax + variableBytes;
        if (needed > _bytes.Length)
            Array.Resize(ref _bytes, (int)BitOperations.RoundUpToPowerOf2((uint)needed));
        var start = _length;
        _length += RequestFrame.LengthBytes;
        Put(correlationId);
        return start;
    }

    private void End(int start, int followingBytes = 0) =>
        BinaryPrimitives.WriteInt32BigEndian(_bytes.AsSpan(start), _length - start - RequestFrame.LengthBytes + followingBytes);

    private void PutTopic(ReadOnlySpan<byte> topic, int partition, ErrorCode error)
    {
        Put(1); // topics
        Put((short)topic.Length);
        topic.CopyTo(_bytes.AsSpan(_length));
        _length += topic.Length;
        Put(1); // partitions
        Put(partition);
        Put((short)error);
    }

    private void Put(short value)
    {
        BinaryPrimitives.WriteInt16BigEndian(_bytes.AsSpan(_length), value);
        _length += sizeof(short);
    }

    private void Put(int value)
    {
        BinaryPrimitives.WriteInt32BigEndian(_bytes.AsSpan(_length), value);
        _length += sizeof(int);
    }

    private void Put(long value)
    {
        BinaryPrimitives.WriteInt64BigEndian(_bytes.AsSpan(_length), value);
        _length += sizeof(long);
    }
}
