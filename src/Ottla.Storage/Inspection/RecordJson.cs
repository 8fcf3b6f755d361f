using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.Protocol.Wire;

namespace Ottla.Storage.Inspection;

/// <summary>Turns keys and values of internal topics into the JSON that Kafka's tools print. Stateless.</summary>
public static class RecordJson
{
    /// <summary>Escapes no more than JSON needs: people and parsers read the output, not browsers.</summary>
    internal static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private const string ConsumerProtocolType = "consumer";
    private const short KeyVersion = 0;

    /// <summary>The states of a transaction by their numbers in the log.</summary>
    private static readonly string[] TransactionStates =
        ["Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence"];

    /// <summary>The decoder of a topic's records.</summary>
    internal static RecordDecoder DecoderOf(string topic) => topic switch
    {
        "__cluster_metadata" => RecordDecoder.Metadata,
        "__consumer_offsets" => RecordDecoder.Offsets,
        "__transaction_state" => RecordDecoder.Transactions,
        "__share_group_state" => RecordDecoder.Share,
        _ => RecordDecoder.None,
    };

    /// <summary>The value of a record of the metadata log.</summary>
    /// <exception cref="ProtocolException">The bytes are not such a record.</exception>
    internal static string OfMetadata(ReadOnlySpan<byte> value)
    {
        var record = MetadataRecordSerde.Decode(value);
        return Write(json =>
        {
            json.WriteString("type", MetadataRecords.NameOf(record.Message.RecordKey));
            json.WriteNumber("version", record.Version);
            json.WritePropertyName("data");
            record.Message.WriteJson(json, record.Version);
        });
    }

    /// <summary>The key of a coordinator's record.</summary>
    /// <exception cref="ProtocolException">The bytes are not such a record.</exception>
    internal static string OfKey(RecordDecoder decoder, ReadOnlySpan<byte> key)
    {
        var type = TypeOf(key);
        var message = ReadKey(decoder, key);
        return Write(json =>
        {
            json.WriteString("type", type.ToString(CultureInfo.InvariantCulture));
            json.WritePropertyName("data");
            message.WriteJson(json, KeyVersion);
        });
    }

    /// <summary>The value of a coordinator's record that has the given key.</summary>
    /// <param name="decoder">The kind of records.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value.</param>
    /// <param name="namesStates">Whether states of transactions have their names, and not their numbers.</param>
    /// <exception cref="ProtocolException">The bytes are not such a record.</exception>
    internal static string OfValue(RecordDecoder decoder, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool namesStates)
    {
        var version = TypeOf(value);
        var message = ReadValue(decoder, key, value);
        return Write(json =>
        {
            json.WriteString("version", version.ToString(CultureInfo.InvariantCulture));
            json.WritePropertyName("data");
            if (message is GroupMetadataValue { ProtocolType: ConsumerProtocolType })
                WriteWithConsumerProtocol(json, message, version);
            else
                WriteValue(json, message, version, namesStates);
        });
    }

    /// <summary>The type of a coordinator's record.</summary>
    /// <param name="key">The record's key.</param>
    /// <exception cref="ProtocolException">The key is too short to have one.</exception>
    public static short TypeOf(ReadOnlySpan<byte> key) =>
        key.Length >= sizeof(short)
            ? BinaryPrimitives.ReadInt16BigEndian(key)
            : throw new MalformedMessageException($"A record of {key.Length} bytes has no type.");

    /// <summary>A coordinator's record, key and value, as Kafka's message formatters write it.</summary>
    /// <param name="decoder">The kind of records: of groups, transactions or share groups.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value; empty for a record that deletes.</param>
    /// <param name="isDeletion">Whether the record has no value.</param>
    /// <exception cref="ProtocolException">The bytes are not such a record.</exception>
    public static string OfRecord(RecordDecoder decoder, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool isDeletion)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            WriteRecord(json, decoder, key, value, isDeletion);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Writes the properties <c>key</c> and <c>value</c> of a coordinator's record into an object.</summary>
    /// <inheritdoc cref="OfRecord"/>
    public static void WriteRecord(
        Utf8JsonWriter json, RecordDecoder decoder, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool isDeletion)
    {
        ArgumentNullException.ThrowIfNull(json);
        var keyMessage = ReadKey(decoder, key);
        var valueMessage = isDeletion ? null : ReadValue(decoder, key, value);
        json.WriteStartObject("key");
        json.WriteNumber("type", TypeOf(key));
        json.WritePropertyName("data");
        keyMessage.WriteJson(json, KeyVersion);
        json.WriteEndObject();
        if (valueMessage is null)
        {
            json.WriteNull("value");
            return;
        }

        json.WriteStartObject("value");
        json.WriteNumber("version", TypeOf(value));
        json.WritePropertyName("data");
        WriteValue(json, valueMessage, TypeOf(value), namesStates: true);
        json.WriteEndObject();
    }

    /// <summary>The value of a control record of the Raft log, and Kafka's name for it.</summary>
    /// <exception cref="ProtocolException">The bytes are not such a record.</exception>
    internal static (string Name, string Json) OfRaftControl(ControlRecordType type, ReadOnlySpan<byte> value)
    {
        var message = MetadataBatch.DecodeControl(type, value);
        var version = TypeOf(value);
        return (type.ToString(), WriteBare(json => message.WriteJson(json, version)));
    }

    private static IJsonMessage ReadKey(RecordDecoder decoder, ReadOnlySpan<byte> key)
    {
        var type = TypeOf(key);
        var reader = new WireReader(key[sizeof(short)..].ToArray());
        return decoder switch
        {
            RecordDecoder.Offsets => GroupRecords.ReadKey(type, KeyVersion, ref reader),
            RecordDecoder.Transactions => TransactionRecords.ReadKey(type, KeyVersion, ref reader),
            _ => ShareRecords.ReadKey(type, KeyVersion, ref reader),
        };
    }

    private static IJsonMessage ReadValue(RecordDecoder decoder, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        var type = TypeOf(key);
        var version = TypeOf(value);
        var reader = new WireReader(value[sizeof(short)..].ToArray());
        return decoder switch
        {
            RecordDecoder.Offsets => GroupRecords.ReadValue(type, version, ref reader),
            RecordDecoder.Transactions => TransactionRecords.ReadValue(type, version, ref reader),
            _ => ShareRecords.ReadValue(type, version, ref reader),
        };
    }

    private static void WriteValue(Utf8JsonWriter json, IJsonMessage message, short version, bool namesStates)
    {
        if (namesStates && message is TransactionLogValue { TransactionStatus: var status } && (uint)status < TransactionStates.Length)
            WriteWithState(json, message, version, TransactionStates[status]);
        else
            message.WriteJson(json, version);
    }

    private static string Write(Action<Utf8JsonWriter> properties) => WriteBare(json =>
    {
        json.WriteStartObject();
        properties(json);
        json.WriteEndObject();
    });

    private static string WriteBare(Action<Utf8JsonWriter> value)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, Options))
            value(json);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    /// <summary>Writes a classic group's members with decoded subscriptions and assignments, which brokers do not decode.</summary>
    private static void WriteWithConsumerProtocol(Utf8JsonWriter json, IJsonMessage message, short version)
    {
        using var document = JsonDocument.Parse(WriteBare(plain => message.WriteJson(plain, version)));
        json.WriteStartObject();
        foreach (var property in document.RootElement.EnumerateObject())
        {
            if (!property.NameEquals("members"))
            {
                property.WriteTo(json);
                continue;
            }

            json.WriteStartArray(property.Name);
            foreach (var member in property.Value.EnumerateArray())
                WriteMember(json, member);
            json.WriteEndArray();
        }

        json.WriteEndObject();
    }

    private static void WriteWithState(Utf8JsonWriter json, IJsonMessage message, short version, string state)
    {
        using var document = JsonDocument.Parse(WriteBare(plain => message.WriteJson(plain, version)));
        json.WriteStartObject();
        foreach (var property in document.RootElement.EnumerateObject())
        {
            if (property.NameEquals("transactionStatus"))
                json.WriteString(property.Name, state);
            else
                property.WriteTo(json);
        }

        json.WriteEndObject();
    }

    private static void WriteMember(Utf8JsonWriter json, JsonElement member)
    {
        json.WriteStartObject();
        foreach (var property in member.EnumerateObject())
        {
            if (property.Name is not ("subscription" or "assignment")
                || !property.Value.TryGetBytesFromBase64(out var bytes)
                || !TryReadConsumerProtocol(property.Name, bytes, out var protocol, out var version))
            {
                property.WriteTo(json);
                continue;
            }

            json.WritePropertyName(property.Name);
            protocol!.WriteJson(json, version);
        }

        json.WriteEndObject();
    }

    private static bool TryReadConsumerProtocol(string name, byte[] bytes, out IJsonMessage? message, out short version)
    {
        message = null;
        version = 0;
        if (bytes.Length < sizeof(short))
            return false;
        try
        {
            // A member may have a newer version, whose first fields are those of the newest known one.
            version = Math.Min(TypeOf(bytes), ConsumerProtocolSubscription.HighestVersion);
            var reader = new WireReader(bytes.AsMemory(sizeof(short)));
            message = name == "subscription"
                ? ConsumerProtocolSubscription.Read(ref reader, version)
                : ConsumerProtocolAssignment.Read(ref reader, version);
            return true;
        }
        catch (ProtocolException)
        {
            return false; // another format under the consumers' name: printed as bytes
        }
    }
}
