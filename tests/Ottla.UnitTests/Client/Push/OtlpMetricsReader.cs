using System.Buffers.Binary;
using System.Text;

namespace Ottla.UnitTests.Client.Push;

/// <summary>A metric as a receiver sees it.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Kind"><c>gauge</c>, or <c>sum monotonic delta</c> or <c>cumulative</c>.</param>
/// <param name="Labels">The attributes of its point.</param>
/// <param name="Resource">Those of its resource.</param>
/// <param name="StartNs">Since when; 0 for none.</param>
/// <param name="TimeNs">When.</param>
/// <param name="Value">The value.</param>
internal sealed record ReadMetric(
    string Name, string Kind, Dictionary<string, string> Labels, Dictionary<string, string> Resource, ulong StartNs, ulong TimeNs,
    double Value);

/// <summary>Reads OpenTelemetry's <c>MetricsData</c>, by the field numbers of its proto files.</summary>
internal static class OtlpMetricsReader
{
    public static List<ReadMetric> Read(byte[] bytes)
    {
        var metrics = new List<ReadMetric>();
        foreach (var (_, resourceMetrics) in Fields(bytes))
        {
            var fields = Fields(resourceMetrics.Bytes);
            var resource = fields.Where(each => each.Number == 1).SelectMany(each => Labels(each.Field.Bytes, 1))
                .ToDictionary(each => each.Key, each => each.Value);
            foreach (var (_, metric) in fields.Where(each => each.Number == 2).SelectMany(each => Fields(each.Field.Bytes)))
                metrics.Add(ReadMetric(metric.Bytes, resource));
        }

        return metrics;
    }

    private static ReadMetric ReadMetric(byte[] bytes, Dictionary<string, string> resource)
    {
        var fields = Fields(bytes);
        var (kind, data) = fields.Single(each => each.Number is 5 or 7);
        var parts = Fields(data.Bytes);
        var point = Fields(Assert.Single(parts, each => each.Number == 1).Field.Bytes);
        return new ReadMetric(
            Encoding.UTF8.GetString(fields.Single(each => each.Number == 1).Field.Bytes),
            kind == 5 ? "gauge" : $"sum {(Number(parts, 3) == 1 ? "monotonic" : "")} {(Number(parts, 2) == 1 ? "delta" : "cumulative")}",
            Labels(point, 7), resource, Number(point, 2), Number(point, 3),
            point.Exists(each => each.Number == 4) ? BitConverter.UInt64BitsToDouble(Number(point, 4)) : (long)Number(point, 6));
    }

    private static ulong Number(List<(int Number, Field Field)> fields, int number) =>
        fields.FirstOrDefault(each => each.Number == number).Field?.Value ?? 0;

    private static Dictionary<string, string> Labels(byte[] bytes, int number) => Labels(Fields(bytes), number);

    private static Dictionary<string, string> Labels(List<(int Number, Field Field)> fields, int number) =>
        fields.Where(each => each.Number == number).Select(each => Fields(each.Field.Bytes)).ToDictionary(
            label => Encoding.UTF8.GetString(label.Single(each => each.Number == 1).Field.Bytes),
            label => Encoding.UTF8.GetString(Fields(label.Single(each => each.Number == 2).Field.Bytes).Single().Field.Bytes));

    internal static List<(int Number, Field Field)> Fields(byte[] bytes)
    {
        var fields = new List<(int, Field)>();
        for (var at = 0; at < bytes.Length;)
        {
            var tag = (int)ReadVarint(bytes, ref at);
            switch (tag & 7)
            {
                case 0:
                    fields.Add((tag >> 3, new Field([], ReadVarint(bytes, ref at))));
                    break;
                case 1:
                    fields.Add((tag >> 3, new Field([], BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at)))));
                    at += 8;
                    break;
                case 2:
                    var length = (int)ReadVarint(bytes, ref at);
                    fields.Add((tag >> 3, new Field(bytes[at..(at + length)], 0)));
                    at += length;
                    break;
                default:
                    throw new FormatException($"A field has the wire type {tag & 7}.");
            }
        }

        return fields;
    }

    private static ulong ReadVarint(byte[] bytes, ref int at)
    {
        var value = 0UL;
        for (var shift = 0; ; shift += 7)
        {
            var next = bytes[at++];
            value |= (ulong)(next & 0x7f) << shift;
            if (next < 0x80)
                return value;
        }
    }

    internal sealed record Field(byte[] Bytes, ulong Value);
}
