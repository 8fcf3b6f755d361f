using System.Buffers;

namespace Ottla.Client;

/// <summary>Turns keys or values into bytes. Thread-safe; it does not wait.</summary>
/// <typeparam name="T">The type of keys or values. Null is not serialized: it becomes a record without key, or a tombstone.</typeparam>
public interface ISerializer<in T>
{
    /// <summary>Appends the bytes of a value.</summary>
    /// <param name="value">The value; not null.</param>
    /// <param name="output">Receives the bytes.</param>
    /// <param name="context">For whom.</param>
    void Serialize(T value, IBufferWriter<byte> output, SerializationContext context);
}
