using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Ottla.Client.Push;

/// <summary>A key and value of a resource or of a data point.</summary>
/// <param name="Key">The key.</param>
/// <param name="Value">The value.</param>
internal readonly record struct MetricLabel(string Key, string Value);

/// <summary>A data point: one metric has one, by its name and labels.</summary>
/// <param name="Name">The whole name of the metric.</param>
/// <param name="Labels">The labels.</param>
/// <param name="StartNs">For a sum, since when, in ns since the epoch; 0 for a gauge.</param>
/// <param name="TimeNs">When it was measured, in ns since the epoch.</param>
/// <param name="Value">The value.</param>
internal readonly record struct MetricPoint(string Name, MetricLabel[] Labels, ulong StartNs, ulong TimeNs, double Value);

/// <summary>
/// Writes metrics as OpenTelemetry's <c>MetricsData</c> (opentelemetry.proto.metrics.v1), by hand: of the message it needs a few fields.
/// </summary>
/// <remarks>
/// All metrics are in one scope of one resource. Lengths stand before what they are the length of, so each part is measured before it is
/// written. Not thread-safe.
/// </remarks>
internal sealed class OtlpMetricsWriter
{
    private const int Varint = 0;
    private const int Fixed64 = 1;
    private const int Bytes = 2;

    private const int TemporalityDelta = 1;
    private const int TemporalityCumulative = 2;

    private readonly ArrayBufferWriter<byte> _metrics = new();
    private readonly MetricLabel[] _resource;
    private readonly int _resourceSize;
    private readonly int _bytesMax;

    /// <param name="resource">Whose metrics they are.</param>
    /// <param name="bytesMax">The most bytes of the whole message.</param>
    public OtlpMetricsWriter(IEnumerable<MetricLabel> resource, int bytesMax)
    {
        _resource = [.. resource];
        _resourceSize = SizeOf(_resource);
        _bytesMax = bytesMax;
    }

    /// <summary>Metrics that did not fit.</summary>
    public int LeftOut { get; private set; }

    /// <summary>Adds a gauge.</summary>
    public void AddGauge(in MetricPoint point)
    {
        var body = PointSize(point);
        Add(point, field: 5, body, temporality: 0);
    }

    /// <summary>Adds a sum that only grows.</summary>
    /// <param name="point">The point.</param>
    /// <param name="isDelta">Whether it is the growth since the start time of the point, and earlier growth was told before.</param>
    public void AddSum(in MetricPoint point, bool isDelta) =>
        Add(point, field: 7, PointSize(point) + 4, isDelta ? TemporalityDelta : TemporalityCumulative);

    /// <summary>Writes the message.</summary>
    public void WriteTo(IBufferWriter<byte> output)
    {
        var scope = LengthSize(_metrics.WrittenCount);
        var resourceMetrics = LengthSize(_resourceSize) + scope;
        WriteLength(output, 1, resourceMetrics); // MetricsData.resource_metrics
        WriteLength(output, 1, _resourceSize); // ResourceMetrics.resource
        Write(output, 1, _resource); // Resource.attributes
        WriteLength(output, 2, _metrics.WrittenCount); // ResourceMetrics.scope_metrics
        output.Write(_metrics.WrittenSpan); // ScopeMetrics.metrics, each with its tag
    }

    private void Add(in MetricPoint point, int field, int dataSize, int temporality)
    {
        var nameSize = Encoding.UTF8.GetByteCount(point.Name);
        var metricSize = LengthSize(nameSize) + LengthSize(dataSize);
        const int outerSizeMax = 3 * (1 + 5);
        if ((long)_metrics.WrittenCount + LengthSize(metricSize) + _resourceSize + outerSizeMax > _bytesMax)
        {
            LeftOut++;
            return;
        }

        WriteLength(_metrics, 2, metricSize); // ScopeMetrics.metrics
        WriteText(_metrics, 1, point.Name, nameSize); // Metric.name
        WriteLength(_metrics, field, dataSize); // Metric.gauge or Metric.sum
        Write(_metrics, point); // data_points
        if (temporality == 0)
            return;
        WriteVarint(_metrics, 2, temporality); // Sum.aggregation_temporality
        WriteVarint(_metrics, 3, 1); // Sum.is_monotonic
    }

    private static int PointSize(in MetricPoint point) => LengthSize(PointBodySize(point));

    private static int PointBodySize(in MetricPoint point) =>
        (point.StartNs == 0 ? 0 : 1 + sizeof(ulong)) + 2 * (1 + sizeof(ulong)) + SizeOf(point.Labels);

    private static void Write(IBufferWriter<byte> output, in MetricPoint point)
    {
        WriteLength(output, 1, PointBodySize(point));
        if (point.StartNs != 0)
            WriteFixed(output, 2, point.StartNs); // start_time_unix_nano
        WriteFixed(output, 3, point.TimeNs); // time_unix_nano
        WriteFixed(output, 4, BitConverter.DoubleToUInt64Bits(point.Value)); // as_double
        Write(output, 7, point.Labels); // attributes
    }

    private static int SizeOf(MetricLabel[] labels)
    {
        var size = 0;
        foreach (var label in labels)
            size += LengthSize(LabelSize(label));
        return size;
    }

    private static int LabelSize(MetricLabel label) =>
        LengthSize(Encoding.UTF8.GetByteCount(label.Key)) + LengthSize(LengthSize(Encoding.UTF8.GetByteCount(label.Value)));

    private static void Write(IBufferWriter<byte> output, int field, MetricLabel[] labels)
    {
        foreach (var label in labels)
        {
            var valueSize = Encoding.UTF8.GetByteCount(label.Value);
            WriteLength(output, field, LabelSize(label));
            WriteText(output, 1, label.Key, Encoding.UTF8.GetByteCount(label.Key)); // KeyValue.key
            WriteLength(output, 2, LengthSize(valueSize)); // KeyValue.value
            WriteText(output, 1, label.Value, valueSize); // AnyValue.string_value
        }
    }

    /// <summary>The size of a field that has a length: with its tag, which is one byte for all fields here.</summary>
    private static int LengthSize(int size) => 1 + VarintSize(size) + size;

    private static int VarintSize(int value)
    {
        var size = 1;
        for (var rest = (uint)value >> 7; rest != 0; rest >>= 7)
            size++;
        return size;
    }

    private static void WriteText(IBufferWriter<byte> output, int field, string text, int size)
    {
        WriteLength(output, field, size);
        output.Advance(Encoding.UTF8.GetBytes(text, output.GetSpan(Math.Max(size, 1))));
    }

    private static void WriteLength(IBufferWriter<byte> output, int field, int size)
    {
        WriteTag(output, field, Bytes);
        WriteNumber(output, size);
    }

    private static void WriteVarint(IBufferWriter<byte> output, int field, int value)
    {
        WriteTag(output, field, Varint);
        WriteNumber(output, value);
    }

    private static void WriteFixed(IBufferWriter<byte> output, int field, ulong value)
    {
        WriteTag(output, field, Fixed64);
        BinaryPrimitives.WriteUInt64LittleEndian(output.GetSpan(sizeof(ulong)), value);
        output.Advance(sizeof(ulong));
    }

    private static void WriteTag(IBufferWriter<byte> output, int field, int wireType) => WriteNumber(output, (field << 3) | wireType);

    private static void WriteNumber(IBufferWriter<byte> output, int value)
    {
        var span = output.GetSpan(5);
        var count = 0;
        var rest = (uint)value;
        for (; rest >= 0x80; rest >>= 7)
            span[count++] = (byte)(rest | 0x80);
        span[count++] = (byte)rest;
        output.Advance(count);
    }
}
