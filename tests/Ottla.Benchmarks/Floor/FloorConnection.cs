using System.Buffers.Binary;
using System.Net.Sockets;
using Ottla.Benchmarks.Load;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Floor;

/// <summary>
/// Serves one connection, one request after the other. Small frames are taken several from one receive, a large one is received on its own so that
/// nothing of it moves; the answers to all frames of a receive leave in one send.
/// </summary>
internal sealed class FloorConnection(Socket socket, FloorTopic topic)
{
    private const int WindowBytes = 64 * 1024;
    private const int HeaderBytes = 2 * sizeof(short) + sizeof(int);

    private readonly FloorResponses _responses = new();
    private byte[] _input = new byte[WindowBytes];
    private int _received;

    public async Task ServeAsync()
    {
        using (socket)
        {
            try
            {
                while (await ReceiveAsync())
                {
                    await AnswerAllAsync();
                    await FlushAsync();
                }
            }
            catch (Exception e) when (e is SocketException or IOException or ObjectDisposedException)
            {
                // The client went away, or the topic was replaced under it: this connection is over.
            }
        }
    }

    /// <summary>Receives into what is free of the window, or exactly to the end of a frame that is larger.</summary>
    private async ValueTask<bool> ReceiveAsync()
    {
        var end = WindowBytes;
        if (_received >= RequestFrame.LengthBytes)
            end = Math.Max(end, FrameBytes(0));
        if (end > _input.Length)
            Array.Resize(ref _input, end);
        var count = await socket.ReceiveAsync(_input.AsMemory(_received..end));
        _received += count;
        return count > 0;
    }

    private async ValueTask AnswerAllAsync()
    {
        var consumed = 0;
        while (_received - consumed >= RequestFrame.LengthBytes && _received - consumed >= FrameBytes(consumed))
        {
            var frame = _input.AsMemory(consumed + RequestFrame.LengthBytes, FrameBytes(consumed) - RequestFrame.LengthBytes);
            consumed += FrameBytes(consumed);
            var key = (ApiKey)BinaryPrimitives.ReadInt16BigEndian(frame.Span);
            if (key == ApiKey.Produce)
                Produce(frame.Span);
            else if (key == ApiKey.Fetch)
                await FetchAsync(frame);
            else
                FloorAdmin.Answer(key, frame, topic, _responses);
        }

        if (consumed > 0 && consumed < _received)
            _input.AsSpan(consumed, _received - consumed).CopyTo(_input);
        _received -= consumed;
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

    private async ValueTask FetchAsync(Memory<byte> frame)
    {
        var request = FloorFetch.Parse(frame.Span);
        var partition = topic[request.Partition];
        var range = partition.Find(request.Offset, request.MaxBytes);
        if (range.Length == 0 && request.MaxWaitMs > 0)
        {
            await FlushAsync(); // what was asked before is answered before the wait
            await partition.WaitAsync(request.Offset, request.MaxWaitMs);
            range = partition.Find(request.Offset, request.MaxBytes);
        }

        partition.Read(range, _responses.AddFetch(CorrelationIdOf(frame.Span), frame.Span[request.Name], request.Partition, range));
    }

    private async ValueTask FlushAsync()
    {
        var bytes = _responses.Bytes;
        while (bytes.Length > 0)
            bytes = bytes[await socket.SendAsync(bytes)..];
        _responses.Clear();
    }

    private int FrameBytes(int start) => RequestFrame.LengthBytes + BinaryPrimitives.ReadInt32BigEndian(_input.AsSpan(start));

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
