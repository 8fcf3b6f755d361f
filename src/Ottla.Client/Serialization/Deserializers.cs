using System.Buffers.Binary;
using System.Buffers.Text;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Ottla.Client;

/// <summary>Deserializers of common types, which read what those of Kafka's Java client read where it has them.</summary>
public static class Deserializers
{
    /// <summary>Bytes, as a copy.</summary>
    public static IDeserializer<byte[]> ByteArray { get; } = new FunctionDeserializer<byte[]>(static (data, _) => data.ToArray());

    /// <summary>Bytes as they came, without a copy.</summary>
    public static IDeserializer<ReadOnlyMemory<byte>> Memory { get; } =
        new FunctionDeserializer<ReadOnlyMemory<byte>>(static (data, _) => data, keepsBytes: true);

    /// <summary>Nothing: the bytes are not looked at.</summary>
    public static IDeserializer<Ignored> Ignore { get; } = new FunctionDeserializer<Ignored>(static (_, _) => default);

    /// <summary>Text in UTF-8.</summary>
    public static IDeserializer<string> Utf8 { get; } =
        new FunctionDeserializer<string>(static (data, _) => Encoding.UTF8.GetString(data.Span));

    /// <summary>32 bits, big-endian.</summary>
    public static IDeserializer<int> Int32 { get; } = Fixed(sizeof(int), BinaryPrimitives.ReadInt32BigEndian);

    /// <summary>64 bits, big-endian.</summary>
    public static IDeserializer<long> Int64 { get; } = Fixed(sizeof(long), BinaryPrimitives.ReadInt64BigEndian);

    /// <summary>16 bits, big-endian.</summary>
    public static IDeserializer<short> Int16 { get; } = Fixed(sizeof(short), BinaryPrimitives.ReadInt16BigEndian);

    /// <summary>32 bits of IEEE 754, big-endian.</summary>
    public static IDeserializer<float> Single { get; } = Fixed(sizeof(float), BinaryPrimitives.ReadSingleBigEndian);

    /// <summary>64 bits of IEEE 754, big-endian.</summary>
    public static IDeserializer<double> Double { get; } = Fixed(sizeof(double), BinaryPrimitives.ReadDoubleBigEndian);

    /// <summary>One byte, 0 or 1.</summary>
    public static IDeserializer<bool> Boolean { get; } = Fixed(1, static data => data[0] switch
    {
        0 => false,
        1 => true,
        var other => throw new FormatException($"A boolean is the byte 0 or 1, and this one is {other}."),
    });

    /// <summary>The 36 characters of a UUID, as Java's <c>UUIDSerializer</c> writes it.</summary>
    public static IDeserializer<Guid> GuidText { get; } = Fixed(36, static data =>
        Utf8Parser.TryParse(data, out Guid value, out var used, 'D') && used == data.Length
            ? value : throw new FormatException("The bytes are no UUID."));

    /// <summary>JSON in UTF-8.</summary>
    /// <param name="typeInfo">How the type is read; from a <c>JsonSerializerContext</c>, so that nothing is found by reflection.</param>
    public static IDeserializer<T?> Json<T>(JsonTypeInfo<T> typeInfo)
    {
        ArgumentNullException.ThrowIfNull(typeInfo);
        return new FunctionDeserializer<T?>((data, _) => JsonSerializer.Deserialize(data.Span, typeInfo));
    }

    /// <summary>The deserializer of a common type.</summary>
    /// <exception cref="ArgumentException">The type has none here: give the options one.</exception>
    public static IDeserializer<T> For<T>() =>
        (IDeserializer<T>?)Known(typeof(T)) ?? throw new ArgumentException(
            $"There is no deserializer of its own for {typeof(T)}: set KeyDeserializer or ValueDeserializer, for instance to "
                + "Deserializers.Json(...).");

    private static object? Known(Type type) =>
        type == typeof(string) ? Utf8
        : type == typeof(byte[]) ? ByteArray
        : type == typeof(ReadOnlyMemory<byte>) ? Memory
        : type == typeof(Ignored) ? Ignore
        : type == typeof(int) ? Int32
        : type == typeof(long) ? Int64
        : type == typeof(short) ? Int16
        : type == typeof(float) ? Single
        : type == typeof(double) ? Double
        : type == typeof(bool) ? Boolean
        : type == typeof(Guid) ? GuidText
        : type == typeof(int?) ? new NullableDeserializer<int>(Int32)
        : type == typeof(long?) ? new NullableDeserializer<long>(Int64)
        : type == typeof(short?) ? new NullableDeserializer<short>(Int16)
        : type == typeof(float?) ? new NullableDeserializer<float>(Single)
        : type == typeof(double?) ? new NullableDeserializer<double>(Double)
        : type == typeof(bool?) ? new NullableDeserializer<bool>(Boolean)
        : type == typeof(Guid?) ? new NullableDeserializer<Guid>(GuidText)
        : type == typeof(ReadOnlyMemory<byte>?) ? new NullableDeserializer<ReadOnlyMemory<byte>>(Memory)
        : null;

    private static FunctionDeserializer<T> Fixed<T>(int size, SpanReader<T> read) => new((data, _) =>
        data.Length == size
            ? read(data.Span) : throw new FormatException($"{typeof(T).Name} takes {size} bytes, and there are {data.Length}."));

    private delegate T SpanReader<out T>(ReadOnlySpan<byte> data);

    private sealed class FunctionDeserializer<T>(
        Func<ReadOnlyMemory<byte>, SerializationContext, T> read, bool keepsBytes = false) : IDeserializer<T>
    {
        public bool KeepsBytes => keepsBytes;

        public T Deserialize(ReadOnlyMemory<byte> data, SerializationContext context) => read(data, context);
    }

    private sealed class NullableDeserializer<T>(IDeserializer<T> inner) : IDeserializer<T?>
        where T : struct
    {
        public bool KeepsBytes => inner.KeepsBytes;

        public T? Deserialize(ReadOnlyMemory<byte> data, SerializationContext context) => inner.Deserialize(data, context);
    }
}

/// <summary>A key or value that is not looked at.</summary>
public readonly record struct Ignored;
