using System.Buffers.Binary;
using System.Net.Sockets;
using Ottla.Benchmarks.Load;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Floor;

/// <summary>
/// Serves one connection, one request after the other, on a thread of its own: receive the length, receive the frame, answer.
/// </summary>
internal sealed class FloorConnection(Socket socket, FloorTopic topic)
{
    private const int InitialFrameBytes = 64 * 1024;
    private const int HeaderBytes = 2 * sizeof(short) + sizeof(int);

    private readonly FloorResponses _responses = new();
    private readonly byte[] _prefix = new byte[RequestFrame.LengthBytes];
    private byte[] _frame = new byte[InitialFrameBytes];

    public void Serve()
    {
        using (socket)
        {
            try
            {
                while (TryReceive(_prefix))
                {
                    var length = BinaryPrimitives.ReadInt32BigEndian(_prefix);
                    if (length > _frame.Length)
                        _frame = new byte[length];
                    if (!TryReceive(_frame.AsSpan(0, length)))
                        return;
                    Answer(_frame.AsMemory(0, length));
                }
            }
            catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException)
            {
                // The client went away, or the topic was replaced under it: this connection is over.
            }
        }
    }

    private bool TryReceive(Span<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var count = socket.Receive(bytes);
            if (count == 0)
                return false;
            bytes = bytes[count..];
        }

        return true;
    }

    private void Answer(Memory<byte> frame)
    {
        var key = (ApiKey)BinaryPrimitives.ReadInt16BigEndian(frame.Span);
        if (key == ApiKey.Fetch)
        {
            Fetch(frame.Span);
            return;
        }

        if (key == ApiKey.Produce)
            Produce(frame.Span);
        else
            FloorAdmin.Answer(key, frame, topic, _responses);
        Send(more: false);
    }

    private void Produce(Span<byte> frame)
    {
        var position = SkipHeader(frame);
        position += sizeof(short) + Math.Max((short)0, BinaryPrimitives.ReadInt16BigEndian(frame[position..])); // transactional id
        position += sizeof(short) + sizeof(int) + sizeof(int); // acks, timeout, topics
        var name = ReadName(frame, ref position);
        position += sizeof(int); // partitions
        var index = BinaryPrimitives.ReadInt32BigEndian(frame[position..]);
        var length = BinaryPrimitives.ReadInt32BigEndian(frame[(position + sizeof(int))..]);
        var batch = frame.Slice(position + (2 * sizeof(int)), length);
        var checksum = BinaryPrimitives.ReadUInt32BigEndian(batch[RecordBatchLayout.CrcOffset..]);
        var isIntact = Crc32C.Compute(batch[RecordBatchLayout.AttributesOffset..]) == checksum;
        var offset = isIntact ? topic[index].Append(batch) : -1;
        _responses.AddProduce(CorrelationIdOf(frame), name, index, isIntact ? ErrorCode.None : ErrorCode.CorruptMessage, offset);
    }

    private void Fetch(ReadOnlySpan<byte> frame)
    {
        var request = FloorFetch.Parse(frame);
        var partition = topic[request.Partition];
        var range = partition.Find(request.Offset, request.MaxBytes, request.MaxWaitMs);
        _responses.AddFetch(CorrelationIdOf(frame), frame[request.Name], request.Partition, range);
        Send(more: range.Length > 0);
        partition.Send(range, socket.SafeHandle);
    }

    private void Send(bool more)
    {
        NativeMethods.SendAll(socket.SafeHandle, _responses.Bytes.Span, more);
        _responses.Clear();
    }

    private static int CorrelationIdOf(ReadOnlySpan<byte> frame) => BinaryPrimitives.ReadInt32BigEndian(frame[(2 * sizeof(short))..]);

    /// <summary>Where the body begins: behind a header of version 1.</summary>
    private static int SkipHeader(ReadOnlySpan<byte> frame) =>
        HeaderBytes + sizeof(short) + Math.Max((short)0, BinaryPrimitives.ReadInt16BigEndian(frame[HeaderBytes..]));

    private static ReadOnlySpan<byte> ReadName(ReadOnlySpan<byte> frame, ref int position)
    {
        var length = BinaryPrimitives.ReadInt16BigEndian(frame[position..]);
        var name = frame.Slice(position + sizeof(short), length);
        position += sizeof(short) + length;
        return name;
    }

    /// <summary>What the floor needs of a Fetch request; the topic's name is a range of the frame.</summary>
    private readonly record struct FloorFetch(int MaxWaitMs, Range Name, int Partition, long Offset, int MaxBytes)
    {
        public static FloorFetch Parse(ReadOnlySpan<byte> frame)
        {
            var position = SkipHeader(frame) + sizeof(int); // replica id
            var maxWaitMs = BinaryPrimitives.ReadInt32BigEndian(frame[position..]);
            position += (3 * sizeof(int)) + sizeof(byte) + (2 * sizeof(int)) + sizeof(int); // waits and bytes, isolation, session, topics
            var nameLength = BinaryPrimitives.ReadInt16BigEndian(frame[position..]);
            var name = (position + sizeof(short))..(position + sizeof(short) + nameLength);
            position += sizeof(short) + nameLength + sizeof(int); // partitions
            var partition = BinaryPrimitives.ReadInt32BigEndian(frame[position..]);
            position += sizeof(int) + sizeof(int); // leader epoch
            var offset = BinaryPrimitives.ReadInt64BigEndian(frame[position..]);
            position += sizeof(long) + sizeof(long); // log start offset
            return new FloorFetch(maxWaitMs, name, partition, offset, BinaryPrimitives.ReadInt32BigEndian(frame[position..]));
        }
    }
}
