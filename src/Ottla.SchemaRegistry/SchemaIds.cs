using System.Collections.Concurrent;
using Ottla.Client;

namespace Ottla.SchemaRegistry;

/// <summary>How the subject of a schema is named.</summary>
public enum SubjectNameStrategy
{
    /// <summary>By the topic: <c>topic-key</c>, <c>topic-value</c>.</summary>
    Topic,

    /// <summary>By the full name of the record or message.</summary>
    Record,

    /// <summary>By both: <c>topic-name</c>.</summary>
    TopicAndRecord,
}

/// <summary>How a serializer uses the registry.</summary>
public sealed record SchemaSerializerOptions
{
    /// <summary>
    /// Whether schemas are registered that are not there yet (<c>auto.register.schemas</c>); otherwise they have to be there.
    /// </summary>
    public bool AutoRegister { get; init; } = true;

    /// <summary>How the subject is named.</summary>
    public SubjectNameStrategy SubjectNames { get; init; } = SubjectNameStrategy.Topic;
}

/// <summary>Finds the id of one schema for each topic that it is used in. Thread-safe.</summary>
/// <remarks>
/// The first record of a topic waits for the registry on the calling thread; <see cref="PrepareAsync"/> has that done before, without a
/// thread that waits.
/// </remarks>
/// <param name="registry">The registry.</param>
/// <param name="schema">The schema.</param>
/// <param name="recordName">The full name of the record or message.</param>
/// <param name="options">How the registry is used.</param>
public sealed class SchemaIds(SchemaRegistryClient registry, RegisteredSchema schema, string recordName, SchemaSerializerOptions options)
{
    private readonly ConcurrentDictionary<SerializationContext, int> _ids = [];

    /// <summary>The id for a topic.</summary>
    /// <exception cref="SchemaRegistryException">The registry refuses, or does not answer.</exception>
    public int IdFor(SerializationContext context) =>
        _ids.TryGetValue(context, out var id) ? id : _ids[context] = registry.IdOf(SubjectOf(context), schema, options.AutoRegister);

    /// <summary>Has the id for a topic at hand from then on.</summary>
    /// <exception cref="SchemaRegistryException">The registry refuses, or does not answer.</exception>
    public async Task PrepareAsync(SerializationContext context, CancellationToken cancellation = default) =>
        _ids[context] = options.AutoRegister
            ? await registry.RegisterAsync(SubjectOf(context), schema, cancellation)
            : await registry.LookUpAsync(SubjectOf(context), schema, cancellation);

    private string SubjectOf(SerializationContext context) => options.SubjectNames switch
    {
        SubjectNameStrategy.Record => recordName,
        SubjectNameStrategy.TopicAndRecord => $"{context.Topic}-{recordName}",
        _ => $"{context.Topic}-{(context.IsKey ? "key" : "value")}",
    };
}
