namespace Ottla.SystemTests.Wire;

/// <summary>Reads offsets and values of uncompressed record batches (magic 2).</summary>
public static class RecordBatchReader
{
    private const int ControlAttribute = 0x20;
    private const int CompressionAttributes = 0x07;

    /// <summary>The records of all whole batches; those of control batches are left out.</summary>
    public static List<(long Offset, byte[] Value)> Read(byte[] batches)
    {
        const int lengthFields = sizeof(long) + sizeof(int);
        var records = new List<(long, byte[])>();
        var reader = new WireReader(batches);
        while (reader.Remaining > lengthFields)
        {
            var baseOffset = reader.Int64();
            var length = reader.Int32();
            if (length > reader.Remaining)
                break; // cut off by the limit of the fetch
            ReadBatch(new WireReader(reader.Bytes(length)), baseOffset, records);
        }

        return records;
    }

    private static void ReadBatch(WireReader batch, long baseOffset, List<(long Offset, byte[] Value)> records)
    {
        batch.Bytes(sizeof(int) + 1 + sizeof(int)); // leader epoch, magic, CRC
        var attributes = batch.Int16();
        Assert.Equal(0, attributes & CompressionAttributes);
        batch.Bytes(sizeof(int) + (2 * sizeof(long)) + sizeof(long) + sizeof(short) + sizeof(int)); // last delta, timestamps, producer
        for (var count = batch.Int32(); count > 0; count--)
        {
            var record = new WireReader(batch.Bytes(batch.Varint()));
            record.Int8(); // attributes
            record.SkipVarint(); // timestamp
            var offset = baseOffset + record.Varint();
            record.Bytes(record.Varint()); // key
            var value = record.Bytes(record.Varint());
            if ((attributes & ControlAttribute) == 0)
                records.Add((offset, value));
        }
    }
}
