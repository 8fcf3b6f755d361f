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
    /// The dearest bytes that must be accepted are elements of 2 bytes, each an object and its place in an array: up to 28 bytes per byte,
    /// as Empty_elements_cost_little makes them; and such elements with one empty unknown tagged field each, 2 bytes more, for which a list
    /// with room for four is made: up to about 45. Text takes 2 bytes per byte, and anything longer is cheaper.
    /// </remarks>
    public const int AllocatedBytesPerByteMax = 64;

    /// <summary>
    /// What decoding may allocate besides: the message itself with its empty parts, and the exception with its text and stack trace.
    /// </summary>
    public const int AllocatedBytesMax = 4 * 1024;

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
            throw new InvalidOperationException(
                $"{type.Class.Name} v{version}, {context}, frame {Convert.ToHexStringLower(bytes)}: {e.Message}", e);
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
            Assert.True(once.AsSpan().SequenceEqual(twice), $"{Convert.ToHexStringLower(once)} became {Convert.ToHexStringLower(twice)}");
            return true;
        }
        catch (Exception e)
        {
            throw new InvalidOperationException(
                $"{type.Class.Name} v{version}, {context}, frame {Convert.ToHexStringLower(bytes)}, encoded again: {e.Message}", e);
        }
    }

    private static (IMessage Message, int LengthBytes)? TryDecode(
        MessageType type, Memory<byte> frame, short version, out long allocatedBytes)
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
