using System.Text;
using System.Text.RegularExpressions;
using Ottla.Client;
using Ottla.Protocol.Batches;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>
/// Makes records of lines, as Kafka's <c>LineMessageReader</c> does: headers, key and value with separators between them.
/// </summary>
internal sealed class LineRecordReader
{
    private const string KafkaException = "org.apache.kafka.common.KafkaException";

    private readonly string _topic;
    private readonly bool _parsesKey;
    private readonly bool _parsesHeaders;
    private readonly bool _ignoresErrors;
    private readonly string _keySeparator;
    private readonly string _headersDelimiter;
    private readonly Regex _headersSeparator;
    private readonly string _headerKeySeparator;
    private readonly string? _nullMarker;

    /// <param name="topic">The topic of the records.</param>
    /// <param name="properties">The reader's properties.</param>
    /// <exception cref="JavaException">Two separators are the same.</exception>
    public LineRecordReader(string topic, IReadOnlyDictionary<string, string> properties)
    {
        _topic = topic;
        _parsesKey = IsTrue("parse.key");
        _parsesHeaders = IsTrue("parse.headers");
        _ignoresErrors = IsTrue("ignore.error");
        _keySeparator = properties.GetValueOrDefault("key.separator", "\t");
        _headersDelimiter = properties.GetValueOrDefault("headers.delimiter", "\t");
        var headersSeparator = properties.GetValueOrDefault("headers.separator", ",");
        _headerKeySeparator = properties.GetValueOrDefault("headers.key.separator", ":");
        _nullMarker = properties.GetValueOrDefault("null.marker");
        Differ(_headersDelimiter, headersSeparator, "headers.delimiter and headers.separator");
        Differ(_headersDelimiter, _headerKeySeparator, "headers.delimiter and headers.key.separator");
        Differ(headersSeparator, _headerKeySeparator, "headers.separator and headers.key.separator");
        Differ(_keySeparator, _nullMarker, "null.marker and key.separator");
        Differ(headersSeparator, _nullMarker, "null.marker and headers.separator");
        Differ(_headersDelimiter, _nullMarker, "null.marker and headers.delimiter");
        Differ(_headerKeySeparator, _nullMarker, "null.marker and headers.key.separator");
        _headersSeparator = new Regex(headersSeparator, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));

        bool IsTrue(string name) =>
            string.Equals(properties.GetValueOrDefault(name)?.Trim(), "true", StringComparison.OrdinalIgnoreCase);

        static void Differ(string one, string? other, string names)
        {
            if (one == other)
                throw new JavaException(KafkaException, $"{names} may not be equal");
        }
    }

    /// <summary>Makes a record of a line.</summary>
    /// <param name="line">The line without its end.</param>
    /// <param name="number">Its number, for messages.</param>
    /// <exception cref="JavaException">A separator is missing.</exception>
    public ProducerRecord<byte[], byte[]> Parse(string line, int number)
    {
        var headers = Cut(_parsesHeaders, line, 0, _headersDelimiter, "headers delimiter", number);
        var keyAt = headers is null ? 0 : headers.Length + _headersDelimiter.Length;
        var key = Cut(_parsesKey, line, keyAt, _keySeparator, "key separator", number);
        var value = line[(keyAt + (key is null ? 0 : key.Length + _keySeparator.Length))..];
        return new ProducerRecord<byte[], byte[]>(_topic, BytesOf(key), BytesOf(value))
        {
            Headers = headers is null || headers == _nullMarker ? default : Headers(headers, number),
        };
    }

    private string? Cut(bool isEnabled, string line, int start, string separator, string name, int number)
    {
        if (!isEnabled)
            return null;
        var end = line.IndexOf(separator, start, StringComparison.Ordinal);
        if (end >= 0)
            return line[start..end];
        return _ignoresErrors ? null : throw new JavaException(KafkaException, $"No {name} found on line number {number}: '{line}'");
    }

    private byte[]? BytesOf(string? text) => text is null || text == _nullMarker ? null : Encoding.UTF8.GetBytes(text);

    private RecordHeader[] Headers(string text, int number) => [.. _headersSeparator.Split(text).Select(pair =>
    {
        var at = pair.IndexOf(_headerKeySeparator, StringComparison.Ordinal);
        if (at < 0)
        {
            return _ignoresErrors ? new RecordHeader(pair, null)
                : throw new JavaException(KafkaException, $"No header key separator found in pair '{pair}' on line number {number}");
        }

        return pair[..at] == _nullMarker
            ? throw new JavaException(
                KafkaException, $"Header keys should not be equal to the null marker '{_nullMarker}' as they can't be null")
            : new RecordHeader(pair[..at], BytesOf(pair[(at + _headerKeySeparator.Length)..]));
    })];
}
