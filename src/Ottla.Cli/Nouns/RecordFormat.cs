using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Storage.Inspection;

namespace Ottla.Cli.Nouns;

/// <summary>Writes records as bytes: by a pattern of verbs, or as JSON. It allocates nothing for a record. Used by one command.</summary>
internal sealed class RecordFormat
{
    private static readonly JsonWriterOptions JsonOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly List<(char Verb, byte[] Text)> _parts = [];
    private readonly ArrayBufferWriter<byte> _buffer = new();
    private readonly Utf8JsonWriter? _json;
    private byte[] _lineStart = [];
    private RecordDecoding? _decoding;

    private RecordFormat(bool isJson) => _json = isJson ? new Utf8JsonWriter(_buffer, JsonOptions) : null;

    /// <summary>An object a record, each on a line. 'ottla produce --input json' reads it.</summary>
    /// <param name="decoding">Which records of an internal topic are shown, decoded; null for all records as they are.</param>
    public static RecordFormat Json(RecordDecoding? decoding = null) => new(isJson: true) { _decoding = decoding };

    /// <summary>The same as a list in YAML, which contains JSON.</summary>
    /// <inheritdoc cref="Json"/>
    public static RecordFormat Yaml(RecordDecoding? decoding = null) =>
        new(isJson: true) { _decoding = decoding, _lineStart = "- "u8.ToArray() };

    /// <summary>A pattern: <c>%t %p %o %k %v %h %d %e</c> and others, and <c>\n \t \\ \0</c>.</summary>
    /// <exception cref="ConfigException">There is no such verb.</exception>
    public static RecordFormat Of(string pattern)
    {
        var format = new RecordFormat(isJson: false);
        var text = new StringBuilder();
        for (var i = 0; i < pattern.Length; i++)
        {
            if (pattern[i] is not ('%' or '\\') || i + 1 == pattern.Length)
            {
                text.Append(pattern[i]);
                continue;
            }

            var verb = pattern[++i];
            if (pattern[i - 1] == '\\')
            {
                text.Append(verb switch { 'n' => '\n', 't' => '\t', 'r' => '\r', '0' => '\0', _ => verb });
            }
            else if (verb == '%')
            {
                text.Append('%');
            }
            else if ("tpokvhdDeKVH".Contains(verb))
            {
                format._parts.Add(('\0', Encoding.UTF8.GetBytes(text.ToString())));
                format._parts.Add((verb, []));
                text.Clear();
            }
            else
            {
                throw new ConfigException(
                    $"--print: there is no %{verb}. There are %t topic, %p partition, %o offset, %k key, %v value, %h headers, %d time in "
                        + $"ms "
                        + "since 1970, %D time, %e leader epoch, %K %V lengths of key and value, %H number of headers, and %%.");
            }
        }

        format._parts.Add(('\0', Encoding.UTF8.GetBytes(text.ToString())));
        return format;
    }

    /// <summary>Writes a record.</summary>
    /// <param name="partition">Its partition.</param>
    /// <param name="topic">The topic's name in UTF-8.</param>
    /// <param name="record">The record.</param>
    /// <param name="leaderEpoch">The epoch of the leader that wrote it.</param>
    /// <param name="output">Where to.</param>
    /// <returns>Whether it is one that is shown.</returns>
    /// <exception cref="ProtocolException">It cannot be decoded.</exception>
    public bool Write(TopicPartition partition, byte[] topic, in RawRecord record, int leaderEpoch, Stream output)
    {
        if (_decoding is not null && !_decoding.Shows(record))
            return false;
        if (_json is not null)
        {
            WriteJson(partition, record);
            output.Write(_lineStart);
            output.Write(_buffer.WrittenSpan);
            return true;
        }

        foreach (var (verb, text) in _parts)
        {
            switch (verb)
            {
                case '\0':
                    output.Write(text);
                    break;
                case 't':
                    output.Write(topic);
                    break;
                case 'p':
                    Number(output, partition.Partition);
                    break;
                case 'o':
                    Number(output, record.Offset);
                    break;
                case 'k':
                    output.Write(record.Key.Span);
                    break;
                case 'v':
                    output.Write(record.Value.Span);
                    break;
                case 'h':
                    WriteHeaders(record.Headers, output);
                    break;
                case 'd':
                    Number(output, record.TimestampMs);
                    break;
                case 'D':
                    output.Write(Encoding.ASCII.GetBytes(TimeOf(record.TimestampMs)));
                    break;
                case 'e':
                    Number(output, leaderEpoch);
                    break;
                case 'K':
                    Number(output, record.HasKey ? record.Key.Length : -1);
                    break;
                case 'V':
                    Number(output, record.HasValue ? record.Value.Length : -1);
                    break;
                default:
                    Number(output, record.Headers.Count);
                    break;
            }
        }

        return true;
    }

    private static string TimeOf(long timestampMs) => DateTimeOffset.FromUnixTimeMilliseconds(
        Math.Clamp(timestampMs, 0, DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()))
        .ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private static void Number(Stream output, long number)
    {
        Span<byte> digits = stackalloc byte[20];
        Utf8Formatter.TryFormat(number, digits, out var count);
        output.Write(digits[..count]);
    }

    private static void WriteHeaders(in ConsumedHeaders headers, Stream output)
    {
        var isFirst = true;
        foreach (var header in headers)
        {
            if (!isFirst)
                output.WriteByte((byte)',');
            isFirst = false;
            output.Write(header.Key);
            output.WriteByte((byte)'=');
            output.Write(header.Value);
        }
    }

    private void WriteJson(TopicPartition partition, in RawRecord record)
    {
        var json = _json!;
        _buffer.ResetWrittenCount();
        json.Reset();
        json.WriteStartObject();
        json.WriteString("topic"u8, partition.Topic);
        json.WriteNumber("partition"u8, partition.Partition);
        json.WriteNumber("offset"u8, record.Offset);
        json.WriteNumber("timestamp"u8, record.TimestampMs);
        WriteKeyAndValue(json, record);
        if (record.Headers.Count > 0)
        {
            json.WriteStartArray("headers"u8);
            foreach (var header in record.Headers)
            {
                json.WriteStartObject();
                json.WriteString("name"u8, header.Key);
                Bytes(json, "value", "valueBase64", header.HasValue, header.Value);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }

        json.WriteEndObject();
        json.Flush();
        _buffer.Write("\n"u8);
    }

    private void WriteKeyAndValue(Utf8JsonWriter json, in RawRecord record)
    {
        if (_decoding is not null)
        {
            RecordJson.WriteRecord(json, _decoding.Decoder, record.Key.Span, record.Value.Span, isDeletion: !record.HasValue);
            return;
        }

        Bytes(json, "key", "keyBase64", record.HasKey, record.Key.Span);
        Bytes(json, "value", "valueBase64", record.HasValue, record.Value.Span);
    }

    /// <summary>Text as it is, other bytes in Base64 under another name, null for none.</summary>
    private static void Bytes(Utf8JsonWriter json, string name, string base64Name, bool isThere, ReadOnlySpan<byte> bytes)
    {
        if (!isThere)
            json.WriteNull(name);
        else if (Utf8.IsValid(bytes))
            json.WriteString(name, bytes);
        else
            json.WriteBase64String(base64Name, bytes);
    }
}
