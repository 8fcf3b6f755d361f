using System.Buffers;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Ottla.Client;

namespace Ottla.SchemaRegistry.Protobuf;

/// <summary>Writes Protobuf messages with the id of their file's schema and their place in it.</summary>
/// <remarks>
/// The schema is the file's descriptor in base64, as Confluent's client registers it. The files that it imports are registered first, each
/// for the subject of its name, when the first message is written or <see cref="PrepareAsync"/> is called.
/// </remarks>
/// <typeparam name="T">The type of messages.</typeparam>
public sealed class ProtobufSerializer<T> : ISerializer<T>
    where T : IMessage<T>, new()
{
    private readonly SchemaRegistryClient _registry;
    private readonly SchemaSerializerOptions _options;
    private readonly MessageDescriptor _descriptor = new T().Descriptor;
    private readonly byte[] _indexes;
    private readonly Lock _lock = new();
    private volatile SchemaIds? _ids;

    /// <param name="registry">The registry.</param>
    /// <param name="options">How the registry is used; null for the defaults.</param>
    public ProtobufSerializer(SchemaRegistryClient registry, SchemaSerializerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(registry);
        _registry = registry;
        _options = options ?? new SchemaSerializerOptions();
        _indexes = MessageIndexes.Of(_descriptor);
    }

    /// <summary>Has the id for a topic at hand from then on.</summary>
    /// <exception cref="SchemaRegistryException">The registry refuses, or does not answer.</exception>
    public async Task PrepareAsync(SerializationContext context, CancellationToken cancellation = default)
    {
        _ids ??= NewIds(await RegisterAsync(_descriptor.File, [], cancellation));
        await _ids.PrepareAsync(context, cancellation);
    }

    /// <inheritdoc/>
    public void Serialize(T value, IBufferWriter<byte> output, SerializationContext context)
    {
        WireFormat.WriteId(output, Ids().IdFor(context));
        output.Write(_indexes);
        value.WriteTo(output);
    }

    private SchemaIds Ids()
    {
        if (_ids is { } known)
            return known;
        lock (_lock)
            return _ids ??= NewIds(RegisterAsync(_descriptor.File, [], CancellationToken.None).GetAwaiter().GetResult());
    }

    private SchemaIds NewIds(IReadOnlyList<SchemaReference> references) =>
        new(_registry, SchemaOf(_descriptor.File, references), _descriptor.FullName, _options);

    /// <summary>Registers what a file imports, the deepest first.</summary>
    private async Task<List<SchemaReference>> RegisterAsync(
        FileDescriptor file, Dictionary<string, SchemaReference> done, CancellationToken cancellation)
    {
        var references = new List<SchemaReference>();
        foreach (var imported in file.Dependencies.Where(each => !each.Name.StartsWith("google/protobuf/", StringComparison.Ordinal)))
        {
            if (!done.TryGetValue(imported.Name, out var reference))
            {
                var schema = SchemaOf(imported, await RegisterAsync(imported, done, cancellation));
                await (_options.AutoRegister
                    ? _registry.RegisterAsync(imported.Name, schema, cancellation)
                    : _registry.LookUpAsync(imported.Name, schema, cancellation));
                var version = await _registry.VersionAsync(imported.Name, cancellation: cancellation);
                done[imported.Name] = reference = new SchemaReference(imported.Name, imported.Name, version.Version);
            }

            references.Add(reference);
        }

        return references;
    }

    private static RegisteredSchema SchemaOf(FileDescriptor file, IReadOnlyList<SchemaReference> references) =>
        new(file.SerializedData.ToBase64(), RegisteredSchema.Protobuf, references);
}

/// <summary>Reads Protobuf messages that were written with the id of a schema. The schema is not asked for.</summary>
/// <typeparam name="T">The type of messages.</typeparam>
public sealed class ProtobufDeserializer<T> : IDeserializer<T>
    where T : IMessage<T>, new()
{
    private readonly MessageParser<T> _parser = new(() => new T());

    /// <inheritdoc/>
    public bool KeepsBytes => false;

    /// <inheritdoc/>
    public T Deserialize(ReadOnlyMemory<byte> data, SerializationContext context)
    {
        WireFormat.ReadId(data.Span);
        var body = data.Span[WireFormat.HeaderBytes..];
        return _parser.ParseFrom(body[MessageIndexes.SizeOf(body)..]);
    }
}

/// <summary>
/// Where a message is in its file: the indexes from the outermost message on, as zigzag varints behind their count; one zero for the first
/// message of the file.
/// </summary>
internal static class MessageIndexes
{
    private const int CountMax = 1000;

    /// <summary>The bytes for a message.</summary>
    public static byte[] Of(MessageDescriptor message)
    {
        var indexes = new List<int>();
        for (var each = message; each is not null; each = each.ContainingType)
            indexes.Insert(0, each.Index);
        if (indexes is [0])
            return [0];
        var bytes = new List<byte>();
        Write(bytes, indexes.Count);
        foreach (var index in indexes)
            Write(bytes, index);
        return [.. bytes];
    }

    /// <summary>How many bytes they take.</summary>
    /// <exception cref="FormatException">They are no such indexes.</exception>
    public static int SizeOf(ReadOnlySpan<byte> data)
    {
        var position = 0;
        var count = Read(data, ref position);
        if (count is < 0 or > CountMax)
            throw new FormatException($"A message is said to be {count} levels deep in its file.");
        for (var i = 0; i < count; i++)
            Read(data, ref position);
        return position;
    }

    private static void Write(List<byte> bytes, int value)
    {
        var zigzag = (uint)((value << 1) ^ (value >> 31));
        while (zigzag >= 0x80)
        {
            bytes.Add((byte)(zigzag | 0x80));
            zigzag >>= 7;
        }

        bytes.Add((byte)zigzag);
    }

    private static int Read(ReadOnlySpan<byte> data, ref int position)
    {
        const int bitsMax = 32;
        var zigzag = 0u;
        for (var shift = 0; shift < bitsMax; shift += 7)
        {
            if (position >= data.Length)
                break;
            var next = data[position++];
            zigzag |= (uint)(next & 0x7f) << shift;
            if ((next & 0x80) == 0)
                return (int)(zigzag >> 1) ^ -(int)(zigzag & 1);
        }

        throw new FormatException("The bytes behind the schema's id do not say which message it is.");
    }
}
