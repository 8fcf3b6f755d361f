using System.Runtime.InteropServices;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;

namespace Ottla.UnitTests.Protocol;

/// <summary>Decodes hostile frames and checks what must hold for every one of them.</summary>
internal static class DecodingGuard
{
    /// <summary>What decoding may allocate for each byte of a frame.</summary>
    /// <remarks>
    /// The dearest bytes that a decoder must accept are elements of 2 bytes (an empty compact array and no tagged fields), each of which is an object with its
    /// place in an array, and unknown tagged fields of 2 bytes, kept in a list that doubles: see Empty_elements_cost_little for what they cost really.
    /// </remarks>
    public const int AllocatedBytesPerByteMax = 96;

    /// <summary>What decoding may allocate besides: the message itself with its empty parts, and the exception with its text and stack trace.</summary>
    public const int AllocatedBytesMax = 16 * 1024;

    private const int MarginBytes = 32;

    /// <summary>Decodes a frame.</summary>
    /// <param name="type">The message type.</param>
    /// <param name="bytes">The frame.</param>
    /// <param name="version">The version.</param>
    /// <param name="context">What led to this frame, for a failure.</param>
    /// <returns>The message and the bytes it took; null when the frame is refused.</returns>
    public static (IMessage Message, int LengthBytes)? Decode(MessageType type, ReadOnlySpan<byte> bytes, short version, string context)
    {
        // The frame lies within a larger buffer, as it does on a connection: what surrounds it must not be read.
        var buffer = new byte[bytes.Length + 2 * MarginBytes];
        buffer.AsSpan().Fill(1);
        bytes.CopyTo(buffer.AsSpan(MarginBytes));
        var frame = buffer.AsMemory(MarginBytes, bytes.Length);
        var limit = (long)bytes.Length * AllocatedBytesPerByteMax + AllocatedBytesMax;
        try
        {
            var result = TryDecode(type, frame, version, out var allocated);
            if (allocated > limit)
                result = TryDecode(type, frame, version, out allocated); // the first use of a type pays for its static members
            Assert.True(allocated <= limit, $"{allocated} bytes were allocated for a frame of {bytes.Length}");
            if (result is { } decoded)
            {
                Assert.InRange(decoded.LengthBytes, 0, bytes.Length);
                CheckWindows(decoded.Message, buffer, bytes.Length);
            }

            return result;
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{type.Class.Name} v{version}, {context}, frame {Convert.ToHexStringLower(bytes)}: {e.Message}", e);
        }
    }

    /// <summary>Decodes a frame and, when it is a message, encodes it: that must work, and be the same from then on.</summary>
    /// <returns>Whether it is a message.</returns>
    public static bool DecodeAndReencode(MessageType type, ReadOnlySpan<byte> bytes, short version, string context)
    {
        if (Decode(type, bytes, version, context) is not { } decoded)
            return false;
        try
        {
            var once = WireBuffer.Encode(decoded.Message, version);
            var twice = WireBuffer.Encode(type.ReadAll(once, version), version);
            Assert.Equal(Convert.ToHexStringLower(once), Convert.ToHexStringLower(twice));
            return true;
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{type.Class.Name} v{version}, {context}, frame {Convert.ToHexStringLower(bytes)}, encoded again: {e.Message}", e);
        }
    }

    private static (IMessage Message, int LengthBytes)? TryDecode(MessageType type, Memory<byte> frame, short version, out long allocatedBytes)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            var message = type.Read(frame, version, out var length);
            allocatedBytes = GC.GetAllocatedBytesForCurrentThread() - before;
            return (message, length);
        }
        catch (ProtocolException)
        {
            allocatedBytes = GC.GetAllocatedBytesForCurrentThread() - before;
            return null;
        }
    }

    /// <summary>Records are windows of the frame: of this one, and within it.</summary>
    private static void CheckWindows(IMessage message, byte[] buffer, int frameBytes)
    {
        var records = message switch
        {
            ProduceRequest produce => produce.TopicData.SelectMany(t => t.PartitionData).Select(p => p.Records),
            FetchResponse fetch => fetch.Responses.SelectMany(t => t.Partitions).Select(p => p.Records),
            ShareFetchResponse share => share.Responses.SelectMany(t => t.Partitions).Select(p => p.Records),
            FetchSnapshotResponse snapshot => snapshot.Topics.SelectMany(t => t.Partitions).Select(p => p.UnalignedRecords),
            _ => [],
        };
        foreach (var window in records.Where(r => !r.IsNull).Select(r => r.Memory))
        {
            Assert.True(MemoryMarshal.TryGetArray<byte>(window, out var segment));
            Assert.Same(buffer, segment.Array);
            Assert.InRange(segment.Offset, MarginBytes, MarginBytes + frameBytes);
            Assert.InRange(segment.Offset + segment.Count, MarginBytes, MarginBytes + frameBytes);
        }
    }
}
