using Ottla.Protocol.Batches;

namespace Ottla.UnitTests.Protocol.Batches;

/// <summary>The batches of Kafka's logs and snapshots.</summary>
internal static class GoldenBatches
{
    /// <summary>Those of every partition.</summary>
    public static IEnumerable<byte[]> All() =>
        Directory.GetDirectories(GoldenData.CleanDirectory).Order().SelectMany(directory => Of(Path.GetFileName(directory)));

    /// <summary>Those of one partition, in the order of its files.</summary>
    public static IEnumerable<byte[]> Of(string partition) =>
        Directory.GetFiles(Path.Combine(GoldenData.CleanDirectory, partition))
            .Where(file => file.EndsWith(".log", StringComparison.Ordinal) || file.EndsWith(".checkpoint", StringComparison.Ordinal))
            .Order()
            .SelectMany(Split);

    private static List<byte[]> Split(string file)
    {
        var batches = new List<byte[]>();
        var bytes = File.ReadAllBytes(file);
        for (var position = 0; RecordBatchView.TryReadSize(bytes.AsSpan(position), out var size, out var magic)
            && size <= bytes.Length - position; position += size)
        {
            Assert.Equal(RecordBatchLayout.CurrentMagic, magic);
            batches.Add(bytes[position..(position + size)]);
        }

        return batches;
    }
}
