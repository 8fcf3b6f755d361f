using Ottla.Client;

namespace Ottla.Extensions.Hosting;

/// <summary>Handles the records of a <see cref="RecordWorker{TKey, TValue}"/>.</summary>
/// <typeparam name="TKey">The type of keys.</typeparam>
/// <typeparam name="TValue">The type of values.</typeparam>
public interface IRecordHandler<TKey, TValue>
{
    /// <summary>Handles a record. What it throws sends the record to the next retry topic, or to the dead letters.</summary>
    /// <param name="record">The record.</param>
    /// <param name="cancellation">Is cancelled when the host stops, or the record's partition is lost.</param>
    ValueTask HandleAsync(HandledRecord<TKey, TValue> record, CancellationToken cancellation);
}

/// <summary>A record for a handler.</summary>
/// <typeparam name="TKey">The type of keys.</typeparam>
/// <typeparam name="TValue">The type of values.</typeparam>
/// <param name="Key">The key; the default of the type when there is none.</param>
/// <param name="Value">The value; the default of the type when there is none.</param>
/// <param name="Source">The record as it was read: topic, partition, offset, headers and bytes. In a retry topic, of that.</param>
/// <param name="Attempt">Which attempt this is, from 1 on.</param>
public readonly record struct HandledRecord<TKey, TValue>(
    TKey? Key, TValue? Value, ConsumeResult<ReadOnlyMemory<byte>, ReadOnlyMemory<byte>> Source, int Attempt);
