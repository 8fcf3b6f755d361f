using System.Buffers;
using System.Collections.Concurrent;
using Avro;
using Avro.Generic;
using Avro.IO;
using Ottla.Client;

namespace Ottla.SchemaRegistry.Avro;

/// <summary>Writes Avro's binary form with the id of the schema.</summary>
/// <remarks>Apache.Avro makes its own copies: a record costs allocations.</remarks>
public sealed class AvroSerializer : ISerializer<GenericRecord>
{
    private readonly SchemaRegistryClient _registry;
    private readonly SchemaSerializerOptions _options;
    private readonly ConcurrentDictionary<Schema, (SchemaIds Ids, GenericDatumWriter<GenericRecord> Writer)> _writers =
        new(ReferenceEqualityComparer.Instance as IEqualityComparer<Schema>);

    /// <param name="registry">The registry.</param>
    /// <param name="options">How the registry is used; null for the defaults.</param>
    public AvroSerializer(SchemaRegistryClient registry, SchemaSerializerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(registry);
        _registry = registry;
        _options = options ?? new SchemaSerializerOptions();
    }

    /// <summary>The ids of a schema, to prepare them.</summary>
    public SchemaIds IdsOf(RecordSchema schema) => WriterOf(schema).Ids;

    /// <inheritdoc/>
    public void Serialize(GenericRecord value, IBufferWriter<byte> output, SerializationContext context)
    {
        var (ids, writer) = WriterOf(value.Schema);
        WireFormat.WriteId(output, ids.IdFor(context));
        using var bytes = new MemoryStream();
        writer.Write(value, new BinaryEncoder(bytes));
        output.Write(bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
    }

    private (SchemaIds Ids, GenericDatumWriter<GenericRecord> Writer) WriterOf(RecordSchema schema) => _writers.GetOrAdd(
        schema, (key, owner) => (
            new SchemaIds(owner._registry, new RegisteredSchema(key.ToString(), RegisteredSchema.Avro), key.Fullname, owner._options),
            new GenericDatumWriter<GenericRecord>(key)),
        this);
}

/// <summary>Reads Avro's binary form, with the schema that its id names.</summary>
public sealed class AvroDeserializer : IDeserializer<GenericRecord>
{
    private readonly SchemaRegistryClient _registry;
    private readonly Schema? _readerSchema;
    private readonly ConcurrentDictionary<int, GenericDatumReader<GenericRecord>> _readers = [];

    /// <param name="registry">The registry. The first record of each schema waits for it on the calling thread.</param>
    /// <param name="readerSchema">The schema to read into, by Avro's rules; null for the writer's.</param>
    public AvroDeserializer(SchemaRegistryClient registry, RecordSchema? readerSchema = null)
    {
        ArgumentNullException.ThrowIfNull(registry);
        _registry = registry;
        _readerSchema = readerSchema;
    }

    /// <inheritdoc/>
    public bool KeepsBytes => false;

    /// <inheritdoc/>
    public GenericRecord Deserialize(ReadOnlyMemory<byte> data, SerializationContext context)
    {
        var id = WireFormat.ReadId(data.Span);
        var reader = _readers.TryGetValue(id, out var known) ? known : _readers[id] = NewReader(id);
        using var bytes = new MemoryStream(data[WireFormat.HeaderBytes..].ToArray(), writable: false);
        return reader.Read(null!, new BinaryDecoder(bytes));
    }

    private GenericDatumReader<GenericRecord> NewReader(int id)
    {
        var registered = _registry.SchemaOf(id);
        if (registered.Type != RegisteredSchema.Avro)
            throw new FormatException($"Schema {id} is {registered.Type}, and not Avro.");
        if (registered.References.Count > 0)
            throw new FormatException($"Schema {id} imports others, which is not supported.");
        var writer = Schema.Parse(registered.Text);
        return new GenericDatumReader<GenericRecord>(writer, _readerSchema ?? writer);
    }
}
