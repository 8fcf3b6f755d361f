using System.Globalization;
using System.Text;
using System.Text.Json;
using Ottla.Protocol.Batches;

namespace Ottla.Storage.Inspection;

/// <summary>The output of a dump: one line for each batch, record or entry. Owned by one dump.</summary>
internal abstract class DumpOutput
{
    /// <summary>Begins a file.</summary>
    public abstract void File(string path);

    /// <summary>Begins a line of a kind.</summary>
    public abstract void Begin(string kind);

    public abstract void Add(string name, long value);

    public abstract void Add(string name, bool value);

    /// <summary>Adds a number that may be missing.</summary>
    public abstract void Add(string name, long? value);

    public abstract void Add(string name, string value);

    public abstract void Add(string name, IReadOnlyList<string> values);

    /// <summary>Adds a timestamp in milliseconds since the epoch.</summary>
    public abstract void Add(TimestampType type, long timestampMs);

    /// <summary>Adds bytes that a client wrote.</summary>
    public abstract void AddBytes(string name, ReadOnlySpan<byte> bytes);

    /// <summary>Adds a decoded value.</summary>
    /// <param name="name">The name of the value.</param>
    /// <param name="json">The JSON of the value.</param>
    /// <param name="separator">The text between name and JSON in the text form.</param>
    public abstract void AddJson(string name, string json, string separator = ": ");

    /// <summary>Prints a sentence about the whole file. The JSON form has the facts only.</summary>
    public abstract void Summary(string kind, string sentence, params ReadOnlySpan<(string Name, long Value)> facts);

    /// <summary>Prints a problem of the file.</summary>
    public abstract void Problem(long? position, string problem);

    /// <summary>Ends the line.</summary>
    public abstract void End();

    /// <summary>Leaves the line as it is: what is to come cannot be shown.</summary>
    public abstract void Break();
}

/// <summary>Prints the same lines as Kafka's kafka-dump-log, so that the same parsers read them.</summary>
internal sealed class TextDumpOutput(TextWriter writer) : DumpOutput
{
    private readonly StringBuilder _line = new();

    public override void File(string path) => writer.WriteLine($"Dumping {path}");

    public override void Begin(string kind) => _line.Append(kind == DumpKinds.Record ? "|" : "");

    public override void Add(string name, long value) => Fact(name).Append(CultureInfo.InvariantCulture, $"{value}");

    public override void Add(string name, bool value) => Fact(name).Append(value ? "true" : "false");

    public override void Add(string name, long? value) =>
        Fact(name).Append(CultureInfo.InvariantCulture, $"{(value is { } known ? $"OptionalLong[{known}]" : "OptionalLong.empty")}");

    public override void Add(string name, string value) => Fact(name).Append(value);

    public override void Add(string name, IReadOnlyList<string> values) => Fact(name).Append('[').AppendJoin(',', values).Append(']');

    public override void Add(TimestampType type, long timestampMs) => Add(type.ToString(), timestampMs);

    public override void AddBytes(string name, ReadOnlySpan<byte> bytes) => Fact(name).Append(Encoding.UTF8.GetString(bytes));

    public override void AddJson(string name, string json, string separator) => Fact(name, separator).Append(json);

    public override void Summary(string kind, string sentence, params ReadOnlySpan<(string Name, long Value)> facts) =>
        writer.WriteLine(sentence);

    public override void Problem(long? position, string problem) =>
        writer.WriteLine(position is { } known ? $"Problem at position {known}: {problem}" : $"Problem: {problem}");

    public override void End()
    {
        writer.WriteLine(_line);
        _line.Clear();
    }

    public override void Break()
    {
        writer.Write(_line);
        _line.Clear();
    }

    private StringBuilder Fact(string name, string separator = ": ") =>
        _line.Append(_line.Length > 0 ? " " : "").Append(name).Append(separator);
}

/// <summary>One JSON object per line: <c>file</c>, <c>kind</c> and the facts.</summary>
internal sealed class JsonDumpOutput(TextWriter writer) : DumpOutput, IDisposable
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly MemoryStream _bytes = new();
    private string _path = "";
    private Utf8JsonWriter? _json;

    public override void File(string path) => _path = path;

    public override void Begin(string kind)
    {
        _bytes.SetLength(0);
        _json ??= new Utf8JsonWriter(_bytes, RecordJson.Options);
        _json.Reset(_bytes);
        _json.WriteStartObject();
        _json.WriteString("file", _path);
        _json.WriteString("kind", kind);
    }

    public override void Add(string name, long value) => _json!.WriteNumber(name, value);

    public override void Add(string name, bool value) => _json!.WriteBoolean(name, value);

    public override void Add(string name, long? value)
    {
        if (value is { } known)
            _json!.WriteNumber(name, known);
        else
            _json!.WriteNull(name);
    }

    public override void Add(string name, string value) => _json!.WriteString(name, value);

    public override void Add(string name, IReadOnlyList<string> values)
    {
        _json!.WriteStartArray(name);
        foreach (var value in values)
            _json.WriteStringValue(value);
        _json.WriteEndArray();
    }

    public override void Add(TimestampType type, long timestampMs)
    {
        _json!.WriteString("timestampType", type.ToString());
        _json.WriteNumber("timestamp", timestampMs);
    }

    public override void AddBytes(string name, ReadOnlySpan<byte> bytes)
    {
        try
        {
            _json!.WriteString(name, Strict.GetString(bytes));
        }
        catch (DecoderFallbackException)
        {
            _json!.WriteBase64String(name + "Base64", bytes);
        }
    }

    public override void AddJson(string name, string json, string separator)
    {
        _json!.WritePropertyName(name);
        _json.WriteRawValue(json);
    }

    public override void Summary(string kind, string sentence, params ReadOnlySpan<(string Name, long Value)> facts)
    {
        Begin(kind);
        foreach (var (name, value) in facts)
            Add(name, value);
        End();
    }

    public override void Problem(long? position, string problem)
    {
        Begin("problem");
        if (position is { } known)
            Add("position", known);
        Add("problem", problem);
        End();
    }

    public override void End()
    {
        _json!.WriteEndObject();
        _json.Flush();
        writer.WriteLine(Encoding.UTF8.GetString(_bytes.GetBuffer().AsSpan(0, (int)_bytes.Length)));
    }

    public override void Break() => End();

    public void Dispose()
    {
        _json?.Dispose();
        _bytes.Dispose();
    }
}

/// <summary>The kinds of lines.</summary>
internal static class DumpKinds
{
    public const string Segment = "segment";
    public const string Snapshot = "snapshot";
    public const string Batch = "batch";
    public const string Record = "record";
    public const string Contents = "contents";
    public const string OffsetIndexEntry = "offsetIndexEntry";
    public const string TimeIndexEntry = "timeIndexEntry";
    public const string AbortedTransaction = "abortedTransaction";
    public const string Producer = "producer";
    public const string LeaderEpoch = "leaderEpoch";
    public const string PartitionOffset = "partitionOffset";
    public const string Properties = "properties";
}
