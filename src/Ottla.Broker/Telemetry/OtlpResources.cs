using System.Buffers;
using System.Text;

namespace Ottla.Broker.Telemetry;

/// <summary>
/// Adds labels to the resources of OpenTelemetry's <c>MetricsData</c>. The rest of the message is copied as it is: only the outer fields
/// are looked at, and a message whose outer fields cannot be read is refused.
/// </summary>
internal static class OtlpResources
{
    private const int LengthDelimited = 2;

    /// <summary>The most bytes of a field's number and length together.</summary>
    private const int LengthBytesMax = 10;

    /// <summary>
    /// The number of <c>MetricsData.resource_metrics</c>, <c>ResourceMetrics.resource</c> and <c>Resource.attributes</c>.
    /// </summary>
    private const int FirstField = 1;

    /// <summary>Copies a message, with labels added to each resource.</summary>
    /// <param name="message">The message.</param>
    /// <param name="labels">The keys and values.</param>
    /// <exception cref="InvalidDataException">The message is not one of its kind.</exception>
    public static byte[] WithLabels(ReadOnlySpan<byte> message, IReadOnlyList<KeyValuePair<string, string>> labels)
    {
        var added = new ArrayBufferWriter<byte>();
        foreach (var (key, value) in labels)
        {
            var any = Field(FirstField, Encoding.UTF8.GetBytes(value)); // AnyValue.string_value
            WriteField(added, FirstField, [.. Field(FirstField, Encoding.UTF8.GetBytes(key)), .. Field(2, any)]);
        }

        var output = new ArrayBufferWriter<byte>(message.Length + 256);
        for (var at = 0; at < message.Length;)
        {
            var field = ReadField(message, ref at);
            if (field.Number != FirstField || field.Kind != LengthDelimited)
                throw new InvalidDataException($"a MetricsData has no field {field.Number} of kind {field.Kind}");
            WriteField(output, FirstField, ResourceMetrics(message[field.Content], added.WrittenSpan));
        }

        return output.WrittenSpan.ToArray();
    }

    private static byte[] ResourceMetrics(ReadOnlySpan<byte> message, ReadOnlySpan<byte> added)
    {
        var resource = new ArrayBufferWriter<byte>();
        var rest = new ArrayBufferWriter<byte>(message.Length);
        for (var at = 0; at < message.Length;)
        {
            var start = at;
            var field = ReadField(message, ref at);
            if (field.Number != FirstField)
                rest.Write(message[start..at]);
            else if (field.Kind == LengthDelimited)
                resource.Write(message[field.Content]); // what comes twice is one message, as protobuf has it
            else
                throw new InvalidDataException("a resource is no message");
        }

        resource.Write(added);
        return [.. Field(FirstField, resource.WrittenSpan), .. rest.WrittenSpan];
    }

    private static byte[] Field(int number, ReadOnlySpan<byte> content)
    {
        var output = new ArrayBufferWriter<byte>(content.Length + LengthBytesMax);
        WriteField(output, number, content);
        return output.WrittenSpan.ToArray();
    }

    private static void WriteField(ArrayBufferWriter<byte> output, int number, ReadOnlySpan<byte> content)
    {
        WriteVarint(output, (uint)((number << 3) | LengthDelimited));
        WriteVarint(output, (uint)content.Length);
        output.Write(content);
    }

    private static void WriteVarint(ArrayBufferWriter<byte> output, uint value)
    {
        for (; value >= 0x80; value >>= 7)
            output.Write([(byte)(value | 0x80)]);
        output.Write([(byte)value]);
    }

    private static (int Number, int Kind, Range Content) ReadField(ReadOnlySpan<byte> message, ref int at)
    {
        var tag = ReadVarint(message, ref at);
        var kind = (int)(tag & 7);
        ulong length = kind switch
        {
            0 => 0,
            1 => sizeof(ulong),
            LengthDelimited => ReadVarint(message, ref at),
            5 => sizeof(uint),
            _ => throw new InvalidDataException($"there is no wire type {kind}"),
        };
        if (kind == 0)
            ReadVarint(message, ref at);
        if (tag >> 3 is 0 or > int.MaxValue || length > (ulong)(message.Length - at))
            throw new InvalidDataException($"field {tag >> 3} has {length} bytes, of which {message.Length - at} are there");
        var start = at;
        at += (int)length;
        return ((int)(tag >> 3), kind, start..at);
    }

    private static ulong ReadVarint(ReadOnlySpan<byte> message, ref int at)
    {
        const int bitsMax = 64;
        var value = 0UL;
        for (var shift = 0; shift < bitsMax && at < message.Length; shift += 7)
        {
            var next = message[at++];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
                return value;
        }

        throw new InvalidDataException("a number does not end");
    }
}
