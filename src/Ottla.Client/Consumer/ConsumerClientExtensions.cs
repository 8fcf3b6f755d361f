namespace Ottla.Client;

/// <summary>Opens consumers from a client.</summary>
public static class ConsumerClientExtensions
{
    /// <summary>Opens a consumer, which connects on first use. The client closes it if its user does not.</summary>
    /// <param name="client">The client.</param>
    /// <param name="options">How it reads; null for the defaults, which have no group.</param>
    /// <param name="keyDeserializer">Reads keys; null for the type's own.</param>
    /// <param name="valueDeserializer">Reads values; null for the type's own.</param>
    /// <typeparam name="TKey">The type of keys.</typeparam>
    /// <typeparam name="TValue">The type of values.</typeparam>
    /// <exception cref="ArgumentException">An option is wrong, or a type has no deserializer of its own.</exception>
    public static Consumer<TKey, TValue> CreateConsumer<TKey, TValue>(
        this OttlaClient client, ConsumerOptions? options = null, IDeserializer<TKey>? keyDeserializer = null,
        IDeserializer<TValue>? valueDeserializer = null) =>
        new(client, options ?? new ConsumerOptions(), keyDeserializer, valueDeserializer);
}
