using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Ottla.Client;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Client;

/// <summary>Traces, metrics and event ids. Listeners are of the whole process, so each test looks at a topic of its own.</summary>
public sealed partial class TelemetryTests
{
    [Fact]
    public async Task A_trace_goes_with_a_record_from_its_sender_to_its_handler()
    {
        const string topic = "traced-records";
        await using var bed = await ClientBed.StartAsync(topic);
        using var listener = Listen(topic, out var ended);
        await using var producer = bed.Client.CreateProducer<string, string>();
        await bed.RunAsync(producer.ProduceAsync(topic, "k", "v"));
        var send = Assert.Single(ended, activity => activity.OperationName == $"send {topic}");
        Assert.Equal(ActivityKind.Producer, send.Kind);
        Assert.Equal("kafka", send.GetTagItem("messaging.system"));
        Assert.Equal(topic, send.GetTagItem("messaging.destination.name"));
        Assert.Equal("0", send.GetTagItem("messaging.destination.partition.id"));
        Assert.Equal(0L, send.GetTagItem("messaging.kafka.offset"));
        Assert.Null(Activity.Current);

        await using var consumer = bed.Client.CreateConsumer<string, string>(
            new ConsumerOptions { GroupId = "traced", OffsetReset = OffsetReset.Earliest });
        consumer.Subscribe([topic]);
        using var stop = new CancellationTokenSource();
        Activity? within = null;
        var processing = consumer.ProcessAsync(
            (record, _) =>
            {
                Assert.True(record.Headers.TryGetLast("traceparent", out var parent));
                Assert.Equal(send.Id, Encoding.UTF8.GetString(parent));
                within = Activity.Current;
                stop.Cancel();
                return ValueTask.CompletedTask;
            },
            cancellation: stop.Token);
        await bed.RunAsync(Assert.ThrowsAnyAsync<OperationCanceledException>(() => processing));
        var process = Assert.Single(ended, activity => activity.OperationName == $"process {topic}");
        Assert.Same(process, within);
        Assert.Equal((send.TraceId, send.SpanId), (process.TraceId, process.ParentSpanId));
        Assert.Equal("traced", process.GetTagItem("messaging.consumer.group.name"));
    }

    [Fact]
    public async Task Records_that_are_read_are_linked_to_their_senders()
    {
        const string topic = "linked-records";
        await using var bed = await ClientBed.StartAsync(topic);
        using var listener = Listen(topic, out var ended);
        await using var producer = bed.Client.CreateProducer<string, string>();
        for (var i = 0; i < 3; i++)
            await bed.RunAsync(producer.ProduceAsync(topic, null, "v"));
        var senders = ended.Select(send => send.Context.SpanId).ToList();

        await using var consumer = bed.Client.CreateConsumer<string, string>(new ConsumerOptions { OffsetReset = OffsetReset.Earliest });
        consumer.Assign([new(topic, 0)]);
        Assert.NotNull(await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask()));
        var one = Assert.Single(ended, activity => activity.OperationName == $"poll {topic}");
        Assert.Equal((ActivityKind.Client, "receive"), (one.Kind, one.GetTagItem("messaging.operation.type")));
        Assert.Equal((0L, null), (one.GetTagItem("messaging.kafka.offset"), one.GetTagItem("messaging.batch.message_count")));
        Assert.Equal(senders[..1], one.Links.Select(link => link.Context.SpanId));
        Assert.True(one.Duration >= TimeSpan.Zero);

        ended.Clear();
        await using var batches = consumer.ConsumeBatchesAsync().GetAsyncEnumerator();
        var linked = new List<ActivitySpanId>();
        while (linked.Count < 2)
        {
            Assert.True(await bed.RunAsync(batches.MoveNextAsync().AsTask()));
            var poll = Assert.Single(ended);
            Assert.Equal(batches.Current.Records.Count, poll.GetTagItem("messaging.batch.message_count"));
            linked.AddRange(poll.Links.Select(link => link.Context.SpanId));
            ended.Clear();
        }

        Assert.Equal(senders[1..], linked);
        Assert.Null(Activity.Current);
    }

    [Fact]
    public async Task A_record_that_fails_ends_its_activity_with_the_error()
    {
        const string topic = "traced-failures";
        await using var bed = await ClientBed.StartAsync(topic);
        using var listener = Listen(topic, out var ended);
        await using var producer = bed.Client.CreateProducer<string, byte[]>();
        await Assert.ThrowsAsync<KafkaException>(
            () => bed.RunAsync(producer.ProduceAsync(topic, "k", new byte[new ProducerOptions().RequestBytesMax])));
        var send = Assert.Single(ended);
        Assert.Equal((ActivityStatusCode.Error, "MESSAGE_TOO_LARGE"), (send.Status, send.GetTagItem("error.type")));
    }

    [Fact]
    public async Task Counts_what_is_sent_and_consumed()
    {
        const string topic = "counted-records";
        await using var bed = await ClientBed.StartAsync(topic);
        var counted = new ConcurrentDictionary<string, long>();
        var timed = new ConcurrentDictionary<string, int>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Meter.Name == ClientTelemetry.Name)
                    self.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) =>
        {
            if (Tag(tags, "messaging.destination.name") == topic)
                counted.AddOrUpdate(instrument.Name, value, (_, before) => before + value);
        });
        listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) =>
            timed.AddOrUpdate($"{instrument.Name} {Tag(tags, "messaging.operation.name")}", 1, (_, before) => before + 1));
        listener.Start();
        await using var producer = bed.Client.CreateProducer<string, string>();
        for (var i = 0; i < 5; i++)
            await bed.RunAsync(producer.ProduceAsync(topic, null, i.ToString(CultureInfo.InvariantCulture)));
        await using var consumer = bed.Client.CreateConsumer<string, string>(new ConsumerOptions { OffsetReset = OffsetReset.Earliest });
        consumer.Assign([new(topic, 0)]);
        for (var i = 0; i < 5; i++)
            Assert.NotNull(await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask()));
        Assert.Equal((5, 5), (counted["messaging.client.sent.messages"], counted["messaging.client.consumed.messages"]));
        Assert.True(timed["messaging.client.operation.duration send"] > 0);
        Assert.True(timed["messaging.client.operation.duration poll"] > 0);
    }

    [Fact]
    public void Every_log_message_has_an_id_of_its_own_which_the_documentation_names()
    {
        var document = File.ReadAllText(RepositoryFiles.Path("docs/client/telemetry.md"));
        var ids = new HashSet<string>();
        foreach (var project in new[] { "src/Ottla.Client", "src/Ottla.Extensions.Hosting" })
        {
            foreach (var file in RepositoryFiles.Find(project, "*.cs"))
            {
                foreach (Match message in LogMessage().Matches(File.ReadAllText(file)))
                {
                    var id = EventId().Match(message.Value);
                    Assert.True(id.Success, $"{RepositoryFiles.Relative(file)}: a log message has no event id");
                    Assert.True(ids.Add(id.Groups[1].Value), $"two messages have the id {id.Groups[1].Value}");
                    Assert.Contains($"| {id.Groups[1].Value} |", document, StringComparison.Ordinal);
                }
            }
        }

        Assert.NotEmpty(ids);
    }

    /// <summary>Notes the activities of a topic as they end.</summary>
    private static ActivityListener Listen(string topic, out ConcurrentQueue<Activity> ended)
    {
        var noted = ended = new ConcurrentQueue<Activity>();
        var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == ClientTelemetry.Name,
            Sample = (ref ActivityCreationOptions<ActivityContext> options) =>
                options.Name.EndsWith(topic, StringComparison.Ordinal)
                    ? ActivitySamplingResult.AllDataAndRecorded
                    : ActivitySamplingResult.None,
            ActivityStopped = noted.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    private static string? Tag(ReadOnlySpan<KeyValuePair<string, object?>> tags, string name)
    {
        foreach (var (key, value) in tags)
        {
            if (key == name)
                return value as string;
        }

        return null;
    }

    [GeneratedRegex(@"\[LoggerMessage\([^\]]*\]")]
    private static partial Regex LogMessage();

    [GeneratedRegex(@"EventId = (\d+)")]
    private static partial Regex EventId();
}
