using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>Shows bytes as Kafka's deserializers do, by the names of their classes.</summary>
internal static class JavaDeserializer
{
    private const string Package = "org.apache.kafka.common.serialization.";

    /// <summary>What shows bytes as text; null when there is no such class here.</summary>
    /// <param name="class">The name of the Java class.</param>
    public static Func<byte[], string>? Find(string @class) => !@class.StartsWith(Package, StringComparison.Ordinal) ? null
        : @class[Package.Length..] switch
        {
            "StringDeserializer" => Encoding.UTF8.GetString,
            "BytesDeserializer" => Escape,
            "LongDeserializer" => bytes => Text(
                BinaryPrimitives.ReadInt64BigEndian(Sized(bytes, sizeof(long), "LongDeserializer is not 8"))),
            "IntegerDeserializer" => bytes =>
                Text(BinaryPrimitives.ReadInt32BigEndian(Sized(bytes, sizeof(int), "IntegerDeserializer is not 4"))),
            "ShortDeserializer" => bytes =>
                Text(BinaryPrimitives.ReadInt16BigEndian(Sized(bytes, sizeof(short), "ShortDeserializer is not 2"))),
            "DoubleDeserializer" => bytes =>
                JavaNumbers.Of(
                    BinaryPrimitives.ReadDoubleBigEndian(Sized(bytes, sizeof(double), "DoubleDeserializer is not 8"))),
            "BooleanDeserializer" => bytes => Sized(bytes, 1, "BooleanDeserializer is not 1")[0] == 0 ? "false" : "true",
            "UUIDDeserializer" => Encoding.UTF8.GetString,
            _ => null,
        };

    private static byte[] Sized(byte[] bytes, int size, string what) => bytes.Length == size
        ? bytes : throw JavaException.Kafka("SerializationException", $"Size of data received by {what}");

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>As Kafka's <c>Bytes</c>: what is not printable ASCII as <c>\x0A</c>.</summary>
    private static string Escape(byte[] bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (var each in bytes)
        {
            if (each is >= (byte)' ' and <= (byte)'~' and not (byte)'\\')
                text.Append((char)each);
            else
                text.Append(CultureInfo.InvariantCulture, $"\\x{each:X2}");
        }

        return text.ToString();
    }
}
