using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Coordinators;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>Reads the key or the value of a record whose type is known.</summary>
public delegate IRecordMessage RecordMessageReader(short recordKey, short version, ref WireReader reader);

/// <summary>The records of coordinators' logs: a key is its type and its fields, a value its version and its fields. Stateless.</summary>
public sealed class CoordinatorRecordSerde(RecordMessageReader readKey, RecordMessageReader readValue)
{
    /// <summary>Every key has one version only; the number before its fields is the record type.</summary>
    private const short KeyVersion = 0;

    /// <summary>The records of <c>__consumer_offsets</c>.</summary>
    public static CoordinatorRecordSerde Groups { get; } = new(GroupRecords.ReadKey, GroupRecords.ReadValue);

    /// <summary>The records of <c>__transaction_state</c>.</summary>
    public static CoordinatorRecordSerde Transactions { get; } = new(TransactionRecords.ReadKey, TransactionRecords.ReadValue);

    /// <summary>The records of <c>__share_group_state</c>.</summary>
    public static CoordinatorRecordSerde Shares { get; } = new(ShareRecords.ReadKey, ShareRecords.ReadValue);

    /// <summary>Appends the bytes of a key.</summary>
    /// <exception cref="ProtocolException">A field cannot be written.</exception>
    public static void EncodeKey(IRecordMessage key, WireBuffer output) => Encode(key.RecordKey, key, KeyVersion, output);

    /// <summary>Appends the bytes of a value.</summary>
    /// <exception cref="ProtocolException">The version cannot carry it.</exception>
    public static void EncodeValue(IRecordMessage value, short version, WireBuffer output) => Encode(version, value, version, output);

    /// <summary>Reads a record; all of its bytes must belong to it.</summary>
    /// <exception cref="UnknownRecordTypeException">The key is of no known type.</exception>
    /// <exception cref="ProtocolException">The version is not known, or the bytes are not such a record.</exception>
    public CoordinatorRecord Decode(in Record record)
    {
        if (!record.HasKey)
            throw new MalformedMessageException("A record of a coordinator has no key.");
        var keyReader = new WireReader(record.Key.ToArray());
        var recordKey = keyReader.ReadInt16();
        var key = readKey(recordKey, KeyVersion, ref keyReader);
        CheckEnd(keyReader, "key", recordKey);
        if (!record.HasValue)
            return CoordinatorRecord.Tombstone(key);

        var valueReader = new WireReader(record.Value.ToArray());
        var version = valueReader.ReadInt16();
        var value = readValue(recordKey, version, ref valueReader);
        CheckEnd(valueReader, "value", recordKey);
        return new CoordinatorRecord(key, value, version);
    }

    private static void Encode(short prefix, IRecordMessage message, short version, WireBuffer output)
    {
        var writer = new WireWriter(output);
        writer.WriteInt16(prefix);
        message.Write(ref writer, version);
        writer.Flush();
    }

    private static void CheckEnd(in WireReader reader, string part, short recordKey)
    {
        if (reader.Remaining > 0)
            throw new MalformedMessageException($"{reader.Remaining} bytes of garbage follow the {part} of a record of type {recordKey}.");
    }
}
