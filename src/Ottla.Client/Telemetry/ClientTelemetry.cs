using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;

namespace Ottla.Client;

/// <summary>Traces and metrics of all clients of the process, by OpenTelemetry's conventions for messaging.</summary>
/// <remarks>
/// Nothing is measured while nobody listens. Names and tags are those of the semantic conventions 1.44, which call them a draft: they may
/// change with them.
/// </remarks>
public static class ClientTelemetry
{
    /// <summary>
    /// The name of the <see cref="ActivitySource"/> and of the <see cref="Meter"/>: give it to <c>AddSource</c> and <c>AddMeter</c>.
    /// </summary>
    public const string Name = "Ottla.Client";

    private const string TraceParent = "traceparent";
    private const string TraceState = "tracestate";
    private const string Kafka = "kafka";

    private static readonly byte[] TraceParentKey = Encoding.UTF8.GetBytes(TraceParent);
    private static readonly ActivitySource Source = new(Name);
    private static readonly Meter Meter = new(Name);

    private static readonly Counter<long> Sent = Meter.CreateCounter<long>(
        "messaging.client.sent.messages", "{message}", "Records that were sent, with error.type where they failed.");

    private static readonly Counter<long> Consumed = Meter.CreateCounter<long>(
        "messaging.client.consumed.messages", "{message}", "Records that the application has taken.");

    private static readonly Histogram<double> OperationDuration = Meter.CreateHistogram<double>(
        "messaging.client.operation.duration", "s", "How long requests with records took.");

    private static readonly Histogram<double> ProcessDuration = Meter.CreateHistogram<double>(
        "messaging.process.duration", "s", "How long handlers of records took.");

    /// <summary>Whether somebody listens to traces.</summary>
    internal static bool IsTraced => Source.HasListeners();

    /// <summary>Whether somebody counts what is consumed.</summary>
    internal static bool CountsConsumed => Consumed.Enabled;

    /// <summary>Whether somebody wants to know how long requests take.</summary>
    internal static bool TimesOperations => OperationDuration.Enabled;

    /// <summary>
    /// Starts the activity of processing a record, a child of the one that has sent it; null when nobody listens, or it is not sampled.
    /// Dispose it when the record is processed.
    /// </summary>
    /// <param name="record">The record.</param>
    /// <param name="group">The consumer's group; null for none.</param>
    public static Activity? StartProcessing<TKey, TValue>(in ConsumeResult<TKey, TValue> record, string? group = null)
    {
        if (!IsTraced)
            return null;
        TryExtract(record.Headers, out var sender);
        var activity = Source.StartActivity($"process {record.Topic}", ActivityKind.Consumer, sender);
        if (activity is null)
            return null;
        Describe(activity, "process", "process", record.Topic, record.Partition);
        activity.SetTag("messaging.kafka.offset", record.Offset);
        if (group is not null)
            activity.SetTag("messaging.consumer.group.name", group);
        if (!record.HasValue)
            activity.SetTag("messaging.kafka.message.tombstone", true);
        return activity;
    }

    /// <summary>Notes that the application was given records, with links to who has sent them.</summary>
    /// <param name="partition">The partition.</param>
    /// <param name="group">The consumer's group; null for none.</param>
    /// <param name="records">The records; none where they are not decoded.</param>
    /// <param name="batchCount">How many there are, if they are given as a batch; null for a single one.</param>
    /// <param name="time">When the call began, and when it ends.</param>
    internal static void NoteReceived<TKey, TValue>(
        TopicPartition partition, string? group, ReadOnlySpan<ConsumeResult<TKey, TValue>> records, int? batchCount,
        (DateTimeOffset Begin, DateTimeOffset End) time)
    {
        var links = new List<ActivityLink>();
        foreach (ref readonly var record in records)
        {
            if (record.Headers.Count > 0 && TryExtract(record.Headers, out var sender))
                links.Add(new ActivityLink(sender));
        }

        using var activity = Source.StartActivity(
            $"poll {partition.Topic}", ActivityKind.Client, parentContext: default, tags: null, links, time.Begin);
        if (activity is null)
            return;
        Describe(activity, "poll", "receive", partition.Topic, partition.Partition);
        if (group is not null)
            activity.SetTag("messaging.consumer.group.name", group);
        if (batchCount is { } count)
            activity.SetTag("messaging.batch.message_count", count);
        else if (records.Length > 0)
            activity.SetTag("messaging.kafka.offset", records[0].Offset);
        activity.SetEndTime(time.End.UtcDateTime);
    }

    /// <summary>The context of who has sent a record, out of its headers (W3C Trace Context).</summary>
    /// <returns>False when there is none that can be read.</returns>
    public static bool TryExtract(in ConsumedHeaders headers, out ActivityContext sender)
    {
        sender = default;
        if (!headers.TryGetLast(TraceParent, out var parent))
            return false;
        var state = headers.TryGetLast(TraceState, out var bytes) ? Encoding.UTF8.GetString(bytes) : null;
        return ActivityContext.TryParse(Encoding.UTF8.GetString(parent), state, isRemote: true, out sender);
    }

    /// <summary>
    /// Starts the activity of sending a record, and puts its context into the record's headers. The caller's stays current.
    /// </summary>
    /// <returns>Null when it is not sampled; the headers are those of the caller's activity then, if there is one.</returns>
    internal static Activity? StartSending(string topic, ref ReadOnlyMemory<RecordHeader> headers)
    {
        var current = Activity.Current;
        var activity = Source.StartActivity($"send {topic}", ActivityKind.Producer);
        Activity.Current = current;
        activity?.SetTag("messaging.system", Kafka);
        if ((activity ?? current) is { IdFormat: ActivityIdFormat.W3C, Id: { } id } context && !HasContext(headers.Span))
            headers = WithContext(headers, id, context.TraceStateString);
        return activity;
    }

    /// <summary>Ends the activity of sending a record.</summary>
    internal static void EndSending(Activity activity, in RecordMetadata metadata, KafkaException? error)
    {
        Describe(activity, "send", "send", metadata.Topic, metadata.Partition);
        if (metadata.Offset >= 0)
            activity.SetTag("messaging.kafka.offset", metadata.Offset);
        if (error is not null)
        {
            activity.SetTag("error.type", error.ErrorCode.ToKafkaName());
            activity.SetStatus(ActivityStatusCode.Error, error.Message);
        }

        activity.Dispose();
    }

    /// <summary>Counts records that were sent, or failed.</summary>
    internal static void CountSent(TopicPartition partition, int records, ErrorCode error)
    {
        if (!Sent.Enabled)
            return;
        var tags = TagsOf("send", partition);
        if (error != ErrorCode.None)
            tags.Add("error.type", error.ToKafkaName());
        Sent.Add(records, tags);
    }

    /// <summary>Counts records that the application has taken.</summary>
    internal static void CountConsumed(TopicPartition partition, string? group, int records)
    {
        var tags = TagsOf("poll", partition);
        if (group is not null)
            tags.Add("messaging.consumer.group.name", group);
        Consumed.Add(records, tags);
    }

    /// <summary>Notes how long a request with records took.</summary>
    internal static void NoteOperation(string operation, string host, int port, TimeSpan duration, string? error)
    {
        var tags = new TagList
        {
            { "messaging.system", Kafka },
            { "messaging.operation.name", operation },
            { "server.address", host },
            { "server.port", port },
        };
        if (error is not null)
            tags.Add("error.type", error);
        OperationDuration.Record(duration.TotalSeconds, tags);
    }

    /// <summary>Notes how long a handler took.</summary>
    internal static void NoteProcessing(TopicPartition partition, string? group, TimeSpan duration, Exception? error)
    {
        if (!ProcessDuration.Enabled)
            return;
        var tags = TagsOf("process", partition);
        if (group is not null)
            tags.Add("messaging.consumer.group.name", group);
        if (error is not null)
            tags.Add("error.type", error is KafkaException known ? known.ErrorCode.ToKafkaName() : error.GetType().FullName);
        ProcessDuration.Record(duration.TotalSeconds, tags);
    }

    private static TagList TagsOf(string operation, TopicPartition partition) => new()
    {
        { "messaging.system", Kafka },
        { "messaging.operation.name", operation },
        { "messaging.destination.name", partition.Topic },
        { "messaging.destination.partition.id", partition.Partition.ToString(System.Globalization.CultureInfo.InvariantCulture) },
    };

    private static void Describe(Activity activity, string operation, string type, string topic, int partition)
    {
        activity.SetTag("messaging.system", Kafka);
        activity.SetTag("messaging.operation.name", operation);
        activity.SetTag("messaging.operation.type", type);
        activity.SetTag("messaging.destination.name", topic);
        if (partition >= 0)
        {
            activity.SetTag(
                "messaging.destination.partition.id", partition.ToString(System.Globalization.CultureInfo.InvariantCulture));
        }
    }

    /// <summary>Whether the application has put a context there itself.</summary>
    private static bool HasContext(ReadOnlySpan<RecordHeader> headers)
    {
        foreach (var header in headers)
        {
            if (header.Key.Span.SequenceEqual(TraceParentKey))
                return true;
        }

        return false;
    }

    private static RecordHeader[] WithContext(ReadOnlyMemory<RecordHeader> headers, string id, string? state)
    {
        var more = new RecordHeader[headers.Length + (state is null ? 1 : 2)];
        headers.CopyTo(more);
        more[headers.Length] = new RecordHeader(TraceParent, Encoding.ASCII.GetBytes(id));
        if (state is not null)
            more[^1] = new RecordHeader(TraceState, Encoding.UTF8.GetBytes(state));
        return more;
    }
}
