using System.Globalization;
using System.Text;
using System.Text.Json;
using Ottla.Cli.Framework;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Protocol.Batches;

namespace Ottla.Cli.Nouns;

/// <summary>Sends records, and counts what becomes of them. Used by one command; outcomes come on other threads.</summary>
internal sealed class RecordSender
{
    private const int ToldMax = 10;

    private readonly Lock _lock = new();
    private readonly CommandContext _context;
    private readonly Producer<ByteSlice, ByteSlice> _producer;
    private readonly string _topic;
    private readonly int? _partition;
    private readonly RecordHeader[] _headers;
    private readonly RowWriter? _report;
    private readonly Action<DeliveryResult> _onDelivery;
    private readonly Progress _progress;
    private readonly ByteSlice _key = new();
    private readonly ByteSlice _value = new();

    // Guarded by _lock.
    private long _delivered;
    private long _failed;

    /// <summary>Makes a sender.</summary>
    /// <param name="context">The command.</param>
    /// <param name="producer">The producer.</param>
    /// <param name="topic">Where records go.</param>
    /// <param name="partition">To which partition; null for any.</param>
    /// <param name="headers">Headers of all records.</param>
    /// <param name="reports">Whether it is printed where each record is.</param>
    public RecordSender(
        CommandContext context, Producer<ByteSlice, ByteSlice> producer, string topic, int? partition, RecordHeader[] headers, bool reports)
    {
        (_context, _producer, _topic, _partition, _headers) = (context, producer, topic, partition, headers);
        _report = reports ? context.Rows("topic", "partition", "offset", "timestamp") : null;
        _onDelivery = OnDelivery;
        _progress = new Progress(context.Error, context.Time, "records");
    }

    /// <summary>Sends a record. The bytes may be used again afterwards.</summary>
    public ValueTask SendAsync(ReadOnlyMemory<byte>? key, ReadOnlyMemory<byte>? value) =>
        SendAsync(key, value, _partition, null, _headers);

    /// <summary>Sends a record that is written as JSON.</summary>
    /// <param name="line">The object.</param>
    /// <param name="number">The number of its line, for messages.</param>
    /// <exception cref="ConfigException">It cannot be read.</exception>
    public async ValueTask SendJsonAsync(ReadOnlyMemory<byte> line, long number)
    {
        ReadOnlyMemory<byte>? key;
        ReadOnlyMemory<byte>? value;
        RecordHeader[] headers;
        int? partition;
        DateTimeOffset? timestamp;
        try
        {
            using var json = JsonDocument.Parse(line);
            var record = json.RootElement;
            (key, value) = (BytesOf(record, "key"), BytesOf(record, "value"));
            headers = [.. _headers, .. HeadersOf(record)];
            partition = _partition ?? (record.TryGetProperty("partition", out var index) && index.ValueKind == JsonValueKind.Number
                ? index.GetInt32() : null);
            timestamp = record.TryGetProperty("timestamp", out var time) && time.ValueKind == JsonValueKind.Number && time.GetInt64() >= 0
                ? DateTimeOffset.FromUnixTimeMilliseconds(time.GetInt64()) : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException or KeyNotFoundException
            or ArgumentOutOfRangeException)
        {
            throw new ConfigException($"Line {number} is no record: {e.Message}");
        }

        await SendAsync(key, value, partition, timestamp, headers);
    }

    /// <summary>Tells what became of the records.</summary>
    public void End()
    {
        _progress.End();
        long delivered, failed;
        lock (_lock)
            (delivered, failed) = (_delivered, _failed);
        _report?.End();
        var count = delivered.ToString("N0", CultureInfo.InvariantCulture);
        _context.Note($"{count} {(delivered == 1 ? "record is" : "records are")} in {_topic}.");
        if (failed > 0)
            _context.Fail($"{failed.ToString("N0", CultureInfo.InvariantCulture)} records are not.");
    }

    private ValueTask SendAsync(
        ReadOnlyMemory<byte>? key, ReadOnlyMemory<byte>? value, int? partition, DateTimeOffset? timestamp, RecordHeader[] headers)
    {
        _key.Bytes = key ?? default;
        _value.Bytes = value ?? default;
        _progress.Add(1, _key.Bytes.Length + _value.Bytes.Length);
        return _producer.EnqueueAsync(
            new ProducerRecord<ByteSlice, ByteSlice>(_topic, key is null ? null : _key, value is null ? null : _value)
            {
                Partition = partition,
                Timestamp = timestamp,
                Headers = headers,
            }, _onDelivery, _context.Stopped);
    }

    private void OnDelivery(DeliveryResult delivery)
    {
        lock (_lock)
        {
            if (delivery.Error is not { } error)
            {
                _delivered++;
                var at = delivery.Metadata;
                _report?.Add(at.Topic, at.Partition, at.Offset, at.Timestamp);
                return;
            }

            if (++_failed <= ToldMax)
                _context.Error.WriteLine($"A record was not written: {error.Message}");
        }
    }

    private static ReadOnlyMemory<byte>? BytesOf(JsonElement record, string name)
    {
        if (record.TryGetProperty(name + "Base64", out var base64))
            return base64.GetBytesFromBase64();
        if (!record.TryGetProperty(name, out var text) || text.ValueKind == JsonValueKind.Null)
            return null;
        return Encoding.UTF8.GetBytes(text.ValueKind == JsonValueKind.String ? text.GetString()! : text.GetRawText());
    }

    private static IEnumerable<RecordHeader> HeadersOf(JsonElement record)
    {
        if (!record.TryGetProperty("headers", out var headers) || headers.ValueKind == JsonValueKind.Null)
            yield break;
        foreach (var header in headers.EnumerateArray())
            yield return new RecordHeader(header.GetProperty("name").GetString()!, BytesOf(header, "value")?.ToArray());
    }
}
