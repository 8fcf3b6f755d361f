using System.Globalization;
using System.Text;
using Ottla.Client;
using Ottla.Protocol.Batches;

namespace Ottla.Cli.KafkaTools.Records;

/// <summary>Prints records as Kafka's <c>DefaultMessageFormatter</c> does.</summary>
internal sealed class RecordFormatter
{
    private readonly bool _timestamp;
    private readonly bool _partition;
    private readonly bool _offset;
    private readonly bool _delivery;
    private readonly bool _epoch;
    private readonly bool _headers;
    private readonly bool _key;
    private readonly bool _value;
    private readonly byte[] _separator;
    private readonly byte[] _lineEnd;
    private readonly byte[] _headersSeparator;
    private readonly byte[] _nullText;
    private readonly Func<byte[], string>? _keyText;
    private readonly Func<byte[], string>? _valueText;
    private readonly Func<byte[], string>? _headerText;

    /// <param name="properties">The formatter's properties.</param>
    public RecordFormatter(IReadOnlyDictionary<string, string> properties)
    {
        _timestamp = Is("print.timestamp");
        _partition = Is("print.partition");
        _offset = Is("print.offset");
        _delivery = Is("print.delivery");
        _epoch = Is("print.epoch");
        _headers = Is("print.headers");
        _key = Is("print.key");
        _value = Is("print.value", otherwise: true);
        _separator = Bytes("key.separator", "\t");
        _lineEnd = Bytes("line.separator", "\n");
        _headersSeparator = Bytes("headers.separator", ",");
        _nullText = Bytes("null.literal", "null");
        _keyText = Deserializer("key.deserializer");
        _valueText = Deserializer("value.deserializer");
        _headerText = Deserializer("headers.deserializer");

        bool Is(string name, bool otherwise = false) => properties.TryGetValue(name, out var value)
            ? string.Equals(value.Trim(), "true", StringComparison.OrdinalIgnoreCase) : otherwise;

        byte[] Bytes(string name, string otherwise) => Encoding.UTF8.GetBytes(properties.GetValueOrDefault(name, otherwise));

        Func<byte[], string>? Deserializer(string name) =>
            properties.TryGetValue(name, out var @class) ? JavaDeserializer.Find(@class) : null;
    }

    /// <summary>Prints a record.</summary>
    /// <exception cref="JavaException">A deserializer cannot read it.</exception>
    public void Write(in ConsumeResult<byte[], byte[]> record, Stream output)
    {
        var cells = new List<byte[]>();
        if (_timestamp)
            cells.Add(Ascii(TimestampText(record)));
        if (_partition)
            cells.Add(Ascii($"Partition:{record.Partition}"));
        if (_offset)
            cells.Add(Ascii($"Offset:{record.Offset}"));
        if (_delivery)
            cells.Add(Ascii("Delivery:NOT_PRESENT"));
        if (_epoch)
            cells.Add(Ascii("Epoch:NOT_PRESENT")); // Kafka's console consumer does not hand it to the formatter
        if (_headers)
            cells.Add(HeadersOf(record.Headers));
        if (_key)
            cells.Add(Shown(record.HasKey ? record.Key : null, _keyText));
        if (_value)
            cells.Add(Shown(record.HasValue ? record.Value : null, _valueText));
        for (var i = 0; i < cells.Count; i++)
        {
            output.Write(cells[i]);
            output.Write(i + 1 < cells.Count ? _separator : _lineEnd);
        }
    }

    private static string TimestampText(in ConsumeResult<byte[], byte[]> record) => record.TimestampMs < 0 ? "NO_TIMESTAMP"
        : string.Create(
            CultureInfo.InvariantCulture,
            $"{(record.TimestampType == TimestampType.LogAppendTime ? "LogAppendTime" : "CreateTime")}:{record.TimestampMs}");

    private byte[] HeadersOf(ConsumedHeaders headers)
    {
        if (headers.Count == 0)
            return Ascii("NO_HEADERS");
        var text = new MemoryStream();
        foreach (var header in headers.ToList())
        {
            if (text.Length > 0)
                text.Write(_headersSeparator);
            text.Write(header.Key.Span);
            text.WriteByte((byte)':');
            text.Write(Shown(header.Value?.ToArray(), _headerText));
        }

        return text.ToArray();
    }

    private byte[] Shown(byte[]? bytes, Func<byte[], string>? text)
    {
        var shown = bytes ?? _nullText;
        return text is null ? shown : Encoding.UTF8.GetBytes(text(shown));
    }

    private static byte[] Ascii(string text) => Encoding.ASCII.GetBytes(text);
}
