using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Ottla.Client;

/// <summary>Serializers of common types, byte for byte like those of Kafka's Java client where it has them.</summary>
public static class Serializers
{
    /// <summary>Bytes as they are.</summary>
    public static ISerializer<byte[]> ByteArray { get; } = new BytesSerializer<byte[]>(static value => value);

    /// <summary>Bytes as they are.</summary>
    public static ISerializer<ReadOnlyMemory<byte>> Memory { get; } = new BytesSerializer<ReadOnlyMemory<byte>>(static value => value);

    /// <summary>Text in UTF-8.</summary>
    public static ISerializer<string> Utf8 { get; } = new Utf8Serializer();

    /// <summary>32 bits, big-endian.</summary>
    public static ISerializer<int> Int32 { get; } = new FixedSerializer<int>(sizeof(int), static (value, target) =>
        BinaryPrimitives.WriteInt32BigEndian(target, value));

    /// <summary>64 bits, big-endian.</summary>
    public static ISerializer<long> Int64 { get; } = new FixedSerializer<long>(sizeof(long), static (value, target) =>
        BinaryPrimitives.WriteInt64BigEndian(target, value));

    /// <summary>16 bits, big-endian.</summary>
    public static ISerializer<short> Int16 { get; } = new FixedSerializer<short>(sizeof(short), static (value, target) =>
        BinaryPrimitives.WriteInt16BigEndian(target, value));

    /// <summary>32 bits of IEEE 754, big-endian.</summary>
    public static ISerializer<float> Single { get; } = new FixedSerializer<float>(sizeof(float), static (value, target) =>
        BinaryPrimitives.WriteSingleBigEndian(target, value));

    /// <summary>64 bits of IEEE 754, big-endian.</summary>
    public static ISerializer<double> Double { get; } = new FixedSerializer<double>(sizeof(double), static (value, target) =>
        BinaryPrimitives.WriteDoubleBigEndian(target, value));

    /// <summary>One byte, 0 or 1.</summary>
    public static ISerializer<bool> Boolean { get; } = new FixedSerializer<bool>(1, static (value, target) =>
        target[0] = value ? (byte)1 : (byte)0);

    /// <summary>The 36 characters of a UUID, as Java's <c>UUIDSerializer</c> writes it.</summary>
    public static ISerializer<Guid> GuidText { get; } = new FixedSerializer<Guid>(36, static (value, target) =>
        value.TryFormat(target, out _));

    /// <summary>JSON in UTF-8.</summary>
    /// <param name="typeInfo">How the type is written; from a <c>JsonSerializerContext</c>, so that nothing is found by reflection.</param>
    public static ISerializer<T> Json<T>(JsonTypeInfo<T> typeInfo)
    {
        ArgumentNullException.ThrowIfNull(typeInfo);
        return new JsonTypeSerializer<T>(typeInfo);
    }

    /// <summary>The serializer of a common type.</summary>
    /// <exception cref="ArgumentException">The type has none here: give the options one.</exception>
    public static ISerializer<T> For<T>() =>
        Known<T>() ?? throw new ArgumentException(
            $"{typeof(T)} has no serializer of its own: name one for keys or values, for instance Serializers.Json(...).");

    private static ISerializer<T>? Known<T>()
    {
        object? found = default(T) switch
        {
            int => Int32,
            long => Int64,
            short => Int16,
            float => Single,
            double => Double,
            bool => Boolean,
            Guid => GuidText,
            ReadOnlyMemory<byte> => Memory,
            _ => typeof(T) == typeof(string) ? Utf8
                : typeof(T) == typeof(byte[]) ? ByteArray
                : typeof(T) == typeof(int?) ? new NullableSerializer<int>(Int32)
                : typeof(T) == typeof(long?) ? new NullableSerializer<long>(Int64)
                : typeof(T) == typeof(short?) ? new NullableSerializer<short>(Int16)
                : typeof(T) == typeof(float?) ? new NullableSerializer<float>(Single)
                : typeof(T) == typeof(double?) ? new NullableSerializer<double>(Double)
                : typeof(T) == typeof(bool?) ? new NullableSerializer<bool>(Boolean)
                : typeof(T) == typeof(Guid?) ? new NullableSerializer<Guid>(GuidText)
                : typeof(T) == typeof(ReadOnlyMemory<byte>?) ? new NullableSerializer<ReadOnlyMemory<byte>>(Memory)
                : null,
        };
        return (ISerializer<T>?)found;
    }

    private sealed class FixedSerializer<T>(int size, Action<T, Span<byte>> write) : ISerializer<T>
    {
        public void Serialize(T value, IBufferWriter<byte> output, SerializationContext context)
        {
            write(value, output.GetSpan(size)[..size]);
            output.Advance(size);
        }
    }

    private sealed class Utf8Serializer : ISerializer<string>
    {
        public void Serialize(string value, IBufferWriter<byte> output, SerializationContext context) =>
            Encoding.UTF8.GetBytes(value, output);
    }

    private sealed class NullableSerializer<T>(ISerializer<T> inner) : ISerializer<T?>
        where T : struct
    {
        public void Serialize(T? value, IBufferWriter<byte> output, SerializationContext context) =>
            inner.Serialize(value!.Value, output, context);
    }

    private sealed class BytesSerializer<T>(Func<T, ReadOnlyMemory<byte>> view) : ISerializer<T>, IBytesView<T>
    {
        public ReadOnlyMemory<byte> View(T value) => view(value);

        public void Serialize(T value, IBufferWriter<byte> output, SerializationContext context) => output.Write(view(value).Span);
    }

    private sealed class JsonTypeSerializer<T>(JsonTypeInfo<T> typeInfo) : ISerializer<T>
    {
        public void Serialize(T value, IBufferWriter<byte> output, SerializationContext context)
        {
            using var json = new Utf8JsonWriter(output);
            JsonSerializer.Serialize(json, value, typeInfo);
        }
    }
}

/// <summary>A serializer whose values are bytes already, so that they are copied once.</summary>
internal interface IBytesView<in T>
{
    /// <summary>The bytes of a value.</summary>
    ReadOnlyMemory<byte> View(T value);
}
