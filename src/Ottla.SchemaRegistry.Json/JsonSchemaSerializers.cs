using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Ottla.Client;

namespace Ottla.SchemaRegistry.Json;

/// <summary>Writes JSON with the id of its JSON schema. Values are not checked against the schema.</summary>
/// <typeparam name="T">The type of keys or values.</typeparam>
public sealed class JsonSchemaSerializer<T> : ISerializer<T>
{
    private readonly JsonTypeInfo<T> _typeInfo;

    /// <param name="registry">The registry.</param>
    /// <param name="schema">The JSON schema of the type.</param>
    /// <param name="typeInfo">How the type is written; from a <c>JsonSerializerContext</c>.</param>
    /// <param name="options">How the registry is used; null for the defaults.</param>
    public JsonSchemaSerializer(
        SchemaRegistryClient registry, RegisteredSchema schema, JsonTypeInfo<T> typeInfo, SchemaSerializerOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(typeInfo);
        _typeInfo = typeInfo;
        Ids = new SchemaIds(registry, schema, typeof(T).FullName ?? typeof(T).Name, options ?? new SchemaSerializerOptions());
    }

    /// <summary>The ids of the schema, to prepare them.</summary>
    public SchemaIds Ids { get; }

    /// <inheritdoc/>
    public void Serialize(T value, IBufferWriter<byte> output, SerializationContext context)
    {
        WireFormat.WriteId(output, Ids.IdFor(context));
        using var json = new Utf8JsonWriter(output);
        JsonSerializer.Serialize(json, value, _typeInfo);
    }
}

/// <summary>Reads JSON that was written with the id of a schema. The schema is not asked for.</summary>
/// <typeparam name="T">The type of keys or values.</typeparam>
/// <param name="typeInfo">How the type is read; from a <c>JsonSerializerContext</c>.</param>
public sealed class JsonSchemaDeserializer<T>(JsonTypeInfo<T> typeInfo) : IDeserializer<T?>
{
    /// <inheritdoc/>
    public bool KeepsBytes => false;

    /// <inheritdoc/>
    public T? Deserialize(ReadOnlyMemory<byte> data, SerializationContext context)
    {
        WireFormat.ReadId(data.Span);
        return JsonSerializer.Deserialize(data.Span[WireFormat.HeaderBytes..], typeInfo);
    }
}
