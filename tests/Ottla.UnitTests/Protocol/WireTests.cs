using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.UnitTests.Network;

namespace Ottla.UnitTests.Protocol;

/// <summary>The primitives of the wire where messages seldom take them: limits, lies, tagged fields that grow, slices of files.</summary>
public sealed class WireTests
{
    private const int HugeLength = int.MaxValue - 1;
    private const int AllocatedBytesMax = 64 * 1024;

    [Theory]
    [InlineData(32767, 'x', true)]
    [InlineData(32768, 'x', false)]
    [InlineData(10922, '€', true)] // 32766 bytes
    [InlineData(10923, '€', false)]
    public void Strings_have_at_most_32767_bytes(int length, char character, bool isAllowed)
    {
        var text = new string(character, length);
        foreach (var flexible in new[] { false, true })
        {
            if (isAllowed)
            {
                var bytes = Write((ref WireWriter writer) => writer.WriteString(text, flexible));
                var reader = new WireReader(bytes);
                Assert.Equal(text, reader.ReadString(flexible, "Text"));
                Assert.Equal(0, reader.Remaining);
            }
            else
            {
                Assert.Throws<MalformedMessageException>(() => Write((ref WireWriter writer) => writer.WriteString(text, flexible)));
            }
        }
    }

    [Fact]
    public void A_compact_string_that_is_too_long_is_refused_though_its_bytes_are_there()
    {
        byte[] frame = [0x81, 0x80, 0x02, .. new byte[32768]];
        Assert.Throws<MalformedMessageException>(() => new WireReader(frame).ReadString(true, "Text"));
    }

    [Theory]
    [InlineData(10922, true)]
    [InlineData(10923, false)] // replaced by 3 bytes each, it could not be written again
    public void Bytes_that_are_not_UTF8_are_replaced(int length, bool isAllowed)
    {
        byte[] frame = [(byte)(length >> 8), (byte)length, .. Enumerable.Repeat((byte)0xFF, length)];
        if (isAllowed)
            Assert.Equal(new string('\uFFFD', length), new WireReader(frame).ReadString(false, "Text"));
        else
            Assert.Throws<MalformedMessageException>(() => new WireReader(frame).ReadString(false, "Text"));
    }

    [Fact]
    public void CVE_2026_111108_lengths_that_lie_allocate_nothing()
    {
        var fixedLength = Write((ref WireWriter writer) => writer.WriteInt32(HugeLength));
        var compactLength = Write((ref WireWriter writer) => writer.WriteUnsignedVarint(HugeLength));
        var shortLength = Write((ref WireWriter writer) => writer.WriteInt16(short.MaxValue));
        var tag = Write((ref WireWriter writer) =>
        {
            writer.WriteUnsignedVarint(1);
            writer.WriteUnsignedVarint(HugeLength);
        });
        var before = GC.GetAllocatedBytesForCurrentThread();
        Refused(shortLength, (ref WireReader reader) => reader.ReadString(false, "Text"));
        Refused(compactLength, (ref WireReader reader) => reader.ReadString(true, "Text"));
        Refused(fixedLength, (ref WireReader reader) => reader.ReadBytes(false, "Bytes"));
        Refused(compactLength, (ref WireReader reader) => reader.ReadBytes(true, "Bytes"));
        Refused(fixedLength, (ref WireReader reader) => reader.ReadRecords(false, "Records"));
        Refused(compactLength, (ref WireReader reader) => reader.ReadRecords(true, "Records"));
        Refused(fixedLength, (ref WireReader reader) => reader.ReadArrayLength(false, 1, "Array"));
        Refused(compactLength, (ref WireReader reader) => reader.ReadArrayLength(true, 0, "Array"));
        Refused(compactLength, (ref WireReader reader) => reader.ReadTagCount());
        Refused(tag, (ref WireReader reader) =>
        {
            var lastTag = -1L;
            reader.ReadTag(ref lastTag, out _);
        });
        Refused([0xFF, 0xFF, 0xFF, 0xFF, 0x0F], (ref WireReader reader) => reader.ReadBytes(true, "Bytes")); // more than an int
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocatedBytesMax);
    }

    /// <summary>Bytes that have come are no excuse: the objects made of them are far larger.</summary>
    [Theory]
    [InlineData(WireReader.ArrayElementsMax, true)]
    [InlineData(WireReader.ArrayElementsMax + 1, false)]
    public void CVE_2026_111108_arrays_have_at_most_a_million_elements(int length, bool isAllowed)
    {
        foreach (var flexible in new[] { false, true })
        {
            var frame = Write((ref WireWriter writer) =>
            {
                if (flexible)
                    writer.WriteUnsignedVarint((uint)length + 1);
                else
                    writer.WriteInt32(length);
                writer.WriteRecords(new Records(new byte[length]), flexible: true);
            });
            if (isAllowed)
                Assert.Equal(length, new WireReader(frame).ReadArrayLength(flexible, 1, "Array"));
            else
                Refused(frame, (ref WireReader reader) => reader.ReadArrayLength(flexible, 1, "Array"));
        }
    }

    [Theory]
    [InlineData(WireReader.TaggedFieldsMax, true)]
    [InlineData(WireReader.TaggedFieldsMax + 1, false)]
    public void CVE_2026_111115_structs_have_at_most_ten_thousand_tagged_fields(int count, bool isAllowed)
    {
        var header =
            new RequestHeader { UnknownTaggedFields = [.. Enumerable.Range(0, count).Select(tag => new RawTaggedField((uint)tag, []))] };
        var frame = WireBuffer.Encode(header, 2);
        if (!isAllowed)
            Refused(frame, (ref WireReader reader) => RequestHeader.Read(ref reader, 2));
        else
            Assert.Equal(count, ((RequestHeader)MessageType.All[nameof(RequestHeader)].ReadAll(frame, 2)).UnknownTaggedFields!.Count);
    }

    [Theory]
    [InlineData(0u, 0u)]
    [InlineData(7u, 7u)]
    [InlineData(7u, 6u)]
    [InlineData(uint.MaxValue, 0u)]
    public void Tags_ascend(uint first, uint second)
    {
        var header = new RequestHeader { UnknownTaggedFields = [new RawTaggedField(first, []), new RawTaggedField(second, [])] };
        var frame = WireBuffer.Encode(header, 2);
        Refused(frame, (ref WireReader reader) => RequestHeader.Read(ref reader, 2));
    }

    /// <summary>A known field that comes twice would be decoded twice, and only the second kept.</summary>
    [Fact]
    public void Known_tags_come_once()
    {
        var frame = Convert.FromHexString("00000001" + new string('0', 32) + "020104ffffffff0104ffffffff");
        Refused(frame, (ref WireReader reader) => PartitionChangeRecord.Read(ref reader, 0));
    }

    [Fact]
    public void Nulls()
    {
        foreach (var flexible in new[] { false, true })
        {
            var text = Write((ref WireWriter writer) => writer.WriteString(null, flexible));
            var bytes = Write((ref WireWriter writer) => writer.WriteBytes(null, flexible));
            var records = Write((ref WireWriter writer) => writer.WriteRecords(default, flexible));
            Assert.Null(new WireReader(text).ReadNullableString(flexible));
            Assert.Null(new WireReader(bytes).ReadNullableBytes(flexible));
            Assert.True(new WireReader(records).ReadNullableRecords(flexible).IsNull);
            Assert.Equal(-1, new WireReader(bytes).ReadArrayLength(flexible, 8, "Array"));
            Refused(text, (ref WireReader reader) => reader.ReadString(flexible, "Text"));
            Refused(bytes, (ref WireReader reader) => reader.ReadBytes(flexible, "Bytes"));
            Refused(records, (ref WireReader reader) => reader.ReadRecords(flexible, "Records"));
        }

        Assert.False(new WireReader(Write((ref WireWriter writer) => writer.WritePresence(false))).ReadPresence("Struct"));
        Assert.True(new WireReader(Write((ref WireWriter writer) => writer.WritePresence(true))).ReadPresence("Struct"));
        Refused([2], (ref WireReader reader) => reader.ReadPresence("Struct"));
        Assert.Equal([0], Write((ref WireWriter writer) => writer.WriteTaggedPresence(false)));
        Assert.False(new WireReader(Write((ref WireWriter writer) => writer.WriteTaggedPresence(false))).ReadTaggedPresence("Struct"));
        Assert.True(new WireReader(Write((ref WireWriter writer) => writer.WriteTaggedPresence(true))).ReadTaggedPresence("Struct"));
        Refused([2], (ref WireReader reader) => reader.ReadTaggedPresence("Struct"));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(126)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(255)]
    [InlineData(256)]
    [InlineData(16383)]
    [InlineData(16384)]
    [InlineData(2097151)]
    [InlineData(2097152)]
    public void Tagged_fields_of_any_size(int size)
    {
        var content = new byte[size];
        content.AsSpan().Fill(0x5A);
        foreach (var bytes in InBothOutputs((ref WireWriter writer) =>
        {
            writer.WriteInt16(-1);
            var outer = writer.BeginTaggedField(300);
            writer.WriteInt8(1);
            var inner = writer.BeginTaggedField(2);
            foreach (var b in content.AsSpan(0, Math.Min(size, 300)))
                writer.WriteInt8((sbyte)b);
            writer.WriteRecords(new Records(content.AsMemory(Math.Min(size, 300))), flexible: true);
            writer.EndTaggedField(inner);
            writer.WriteInt8(2);
            writer.EndTaggedField(outer);
            writer.WriteInt16(-2);
        }))
        {
            var reader = new WireReader(bytes);
            Assert.Equal(-1, reader.ReadInt16());
            long lastOuterTag = -1, lastInnerTag = -1;
            Assert.Equal(300u, reader.ReadTag(ref lastOuterTag, out var outerSize));
            var outerEnd = reader.Position + outerSize;
            Assert.Equal(1, reader.ReadInt8());
            Assert.Equal(2u, reader.ReadTag(ref lastInnerTag, out var innerSize));
            var innerEnd = reader.Position + innerSize;
            for (var i = 0; i < Math.Min(size, 300); i++)
                Assert.Equal(0x5A, reader.ReadInt8());
            Assert.True(reader.ReadRecords(true, "Content").Memory.Span.SequenceEqual(content.AsSpan(Math.Min(size, 300))));
            reader.CheckTagEnd(2, innerEnd);
            Assert.Equal(2, reader.ReadInt8());
            reader.CheckTagEnd(300, outerEnd);
            Assert.Equal(-2, reader.ReadInt16());
            Assert.Equal(0, reader.Remaining);
        }
    }

    [Theory]
    [InlineData("0000000100000000000000000000000000000000010105ffffffff00", true)] // PartitionChangeRecord: tag 1, an int32 in 5 bytes
    [InlineData("0000000100000000000000000000000000000000010103ffffffff", true)] // in 3
    [InlineData("0000000100000000000000000000000000000000010104ffffffff", false)]
    public void A_tagged_field_takes_what_it_announces(string hex, bool isRefused)
    {
        var frame = Convert.FromHexString(hex);
        if (isRefused)
            Refused(frame, (ref WireReader reader) => PartitionChangeRecord.Read(ref reader, 0));
        else
            Assert.Equal(-1, ((PartitionChangeRecord)MessageType.All[nameof(PartitionChangeRecord)].ReadAll(frame, 0)).Leader);
    }

    /// <summary>Version 1 of the record knows tags 0 to 5 and 8: what it does not know goes between them.</summary>
    [Fact]
    public void Unknown_tagged_fields_stay_in_ascending_order_among_known_ones()
    {
        var record = new PartitionChangeRecord
        {
            Leader = 7,
            Isr = [1, 2],
            Directories = [Uuid.One],
            UnknownTaggedFields = [
                new RawTaggedField(6, [1, 2, 3]), new RawTaggedField(7, []), new RawTaggedField(9, new byte[200]),
                new RawTaggedField(uint.MaxValue, [4])],
        };
        var bytes = WireBuffer.Encode(record, 1);
        var reader = new WireReader(bytes);
        reader.ReadInt32();
        reader.ReadUuid();
        var tags = new List<uint>();
        var lastTag = -1L;
        for (var count = reader.ReadTagCount(); count > 0; count--)
        {
            tags.Add(reader.ReadTag(ref lastTag, out var size));
            reader.ReadRawTaggedField(0, size);
        }

        Assert.Equal(0, reader.Remaining);
        Assert.Equal([0u, 1u, 6u, 7u, 8u, 9u, uint.MaxValue], tags);

        reader = new WireReader(bytes);
        var decoded = PartitionChangeRecord.Read(ref reader, 1);
        Assert.Equal(
            record.UnknownTaggedFields.Select(f => (f.Tag, Convert.ToHexString(f.Data))),
            decoded.UnknownTaggedFields!.Select(f => (f.Tag, Convert.ToHexString(f.Data))));
        Assert.Equal([1, 2], decoded.Isr!);
    }

    [Fact]
    public void Slices_take_their_place_in_order_and_are_left_to_the_output()
    {
        var slices = new[] { new FakeSlice([1, 2, 3]), new FakeSlice([4]), new FakeSlice(new byte[1000]) };
        FetchResponse Response(Func<int, Records> records) => new()
        {
            SessionId = 5,
            Responses =
            [
                new FetchResponse.FetchableTopicResponse
                {
                    TopicId = Uuid.One,
                    Partitions = [
                        .. Enumerable.Range(0, 4)
                        .Select(i => new FetchResponse.PartitionData { PartitionIndex = i, Records = records(i) })],
                },
            ],
            // a tagged field of more than 127 bytes, behind slices
            NodeEndpoints = [.. Enumerable.Range(0, 20).Select(i => new FetchResponse.NodeEndpoint { NodeId = i, Host = "host.example" })],
        };

        var output = new ExactOutput();
        var writer = new WireWriter(output);
        Response(i => i < 3 ? new Records(slices[i]) : new Records(new byte[] { 9, 9 })).Write(ref writer, FetchResponse.HighestVersion);
        writer.Flush();

        Assert.Equal(slices, output.Slices.Select(s => s.Slice));
        Assert.All(slices, slice => Assert.Equal(0, slice.Disposals));
        var inMemory = WireBuffer.Encode(
            Response(i => new Records(
                i switch { 0 => new byte[] { 1, 2, 3 }, 1 => new byte[] { 4 }, 2 => new byte[1000], _ => new byte[] { 9, 9 } })),
                    FetchResponse.HighestVersion);
        Assert.Equal(inMemory, output.ToArray());

        Assert.Equal(
            inMemory, WireBuffer.Encode(
                Response(i => i < 3 ? new Records(slices[i]) : new Records(new byte[] { 9, 9 })), FetchResponse.HighestVersion));
        Assert.All(slices, slice => Assert.Equal(1, slice.Disposals)); // the buffer read them in, and let them go
    }

    [Fact]
    public void Nothing_is_there_before_it_is_flushed()
    {
        var output = new ExactOutput();
        var writer = new WireWriter(output);
        writer.WriteInt64(1);
        Assert.Equal(0, output.Written.Length);
        writer.Flush();
        Assert.Equal(8, output.Written.Length);
        writer.Flush();
        Assert.Equal(8, output.Written.Length);
    }

    private delegate void Writing(ref WireWriter writer);

    private delegate void Reading(ref WireReader reader);

    private static byte[] Write(Writing write)
    {
        var buffer = new WireBuffer();
        var writer = new WireWriter(buffer);
        write(ref writer);
        writer.Flush();
        return buffer.Written.ToArray();
    }

    private static byte[][] InBothOutputs(Writing write)
    {
        var output = new ExactOutput();
        var writer = new WireWriter(output);
        write(ref writer);
        writer.Flush();
        return [Write(write), output.ToArray()];
    }

    private static void Refused(byte[] frame, Reading read)
    {
        try
        {
            var reader = new WireReader(frame);
            read(ref reader);
        }
        catch (MalformedMessageException)
        {
            return;
        }

        Assert.Fail($"{Convert.ToHexStringLower(frame)} was not refused");
    }
}
