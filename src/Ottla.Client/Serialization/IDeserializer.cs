namespace Ottla.Client;

/// <summary>Makes keys or values of bytes. Thread-safe; it does not wait.</summary>
/// <typeparam name="T">The type of keys or values. Null is not deserialized: it becomes the default of the type.</typeparam>
public interface IDeserializer<out T>
{
    /// <summary>Makes a value of bytes.</summary>
    /// <param name="data">
    /// The bytes. While <see cref="KeepsBytes"/> is true they do not change, and may be kept; that keeps the rest of their batch, too.
    /// Otherwise they are valid during the call only.
    /// </param>
    /// <param name="context">Where they come from.</param>
    T Deserialize(ReadOnlyMemory<byte> data, SerializationContext context);

    /// <summary>
    /// Whether what it makes may have windows of the bytes in it. When neither keys nor values have, the consumer uses the memory of its
    /// answers again, and allocates nothing for it.
    /// </summary>
    bool KeepsBytes => true;
}

/// <summary>What is serialized for whom.</summary>
/// <param name="Topic">The topic of the record.</param>
/// <param name="IsKey">Whether it is the record's key; otherwise its value.</param>
public readonly record struct SerializationContext(string Topic, bool IsKey);
