using System.Text;
using Ottla.Client;
using Ottla.Protocol.Batches;

namespace Ottla.Testing;

/// <summary>A record of a topic, as a test reads it.</summary>
/// <param name="Partition">Its partition.</param>
/// <param name="Offset">Its offset.</param>
/// <param name="KeyBytes">Its key; null for none.</param>
/// <param name="ValueBytes">Its value; null for a tombstone.</param>
/// <param name="Headers">Its headers.</param>
/// <param name="Timestamp">Its timestamp.</param>
public sealed record TestRecord(
    int Partition, long Offset, byte[]? KeyBytes, byte[]? ValueBytes, IReadOnlyList<RecordHeader> Headers, DateTimeOffset Timestamp)
{
    /// <summary>The key as UTF-8; null for none.</summary>
    public string? Key => ToText(KeyBytes);

    /// <summary>The value as UTF-8; null for a tombstone.</summary>
    public string? Value => ToText(ValueBytes);

    /// <inheritdoc/>
    public override string ToString() => $"{Partition}@{Offset} {Key ?? "(no key)"}: {Value ?? "(tombstone)"}";

    internal static TestRecord Of(ConsumeResult<byte[], byte[]> result) => new(
        result.Partition, result.Offset, result.HasKey ? result.Key : null, result.HasValue ? result.Value : null,
        result.Headers.ToList(), result.Timestamp);

    private static string? ToText(byte[]? bytes) => bytes is null ? null : Encoding.UTF8.GetString(bytes);
}

/// <summary>A topic does not have what a test expects; the message says what it has, and what clients sent last.</summary>
public sealed class TopicAssertionException(string message) : Exception(message);
