using Ottla.Client.Push;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Client.Push;

/// <summary>When a client asks and pushes, as the recorded Java client does after each error.</summary>
public sealed class TelemetryMachineTests
{
    private const int IntervalMs = 10_000;

    private static readonly Instant s_start = new(1_000_000);

    [Fact]
    public void Asks_at_once_and_pushes_at_a_random_part_of_the_interval_and_then_every_interval()
    {
        var machine = Subscribed(out var now);
        var first = machine.NextDeadline!.Value.MillisecondsSince(now);
        Assert.InRange(first, IntervalMs / 2, IntervalMs * 3 / 2);
        Assert.Equal(TelemetryStep.Wait, machine.Advance(now.AddMilliseconds(first - 1)));
        now = now.AddMilliseconds(first);
        Assert.Equal(TelemetryStep.Push, machine.Advance(now));
        Assert.Equal(TelemetryStep.Wait, machine.Advance(now.AddMilliseconds(100 * IntervalMs))); // one at a time
        Assert.True(machine.OnPushed(now, ErrorCode.None));
        Assert.Equal(now.AddMilliseconds(IntervalMs), machine.NextDeadline);
    }

    [Fact]
    public void Clients_that_start_together_do_not_push_together()
    {
        var parts = Enumerable.Range(1, 100).Select(id =>
        {
            var machine = new TelemetryMachine(s_start);
            machine.Advance(s_start);
            machine.OnSubscription(s_start, Answer(new Uuid(0, (ulong)id)));
            return machine.NextDeadline!.Value.MillisecondsSince(s_start);
        }).ToList();
        Assert.All(parts, part => Assert.InRange(part, IntervalMs / 2, IntervalMs * 3 / 2));
        Assert.True(parts.Distinct().Count() > 90);
        Assert.InRange(parts.Average(), IntervalMs * 0.85, IntervalMs * 1.15);
    }

    [Theory]
    [InlineData(ErrorCode.UnknownSubscriptionId, 0)]
    [InlineData(ErrorCode.UnsupportedCompressionType, 0)]
    [InlineData(ErrorCode.TelemetryTooLarge, IntervalMs)]
    [InlineData(ErrorCode.ThrottlingQuotaExceeded, IntervalMs)]
    [InlineData(ErrorCode.InvalidRequest, -1)]
    [InlineData(ErrorCode.InvalidRecord, -1)]
    [InlineData(ErrorCode.UnsupportedVersion, -1)]
    [InlineData(ErrorCode.UnknownServerError, -1)]
    public void A_push_that_is_refused_is_followed_by_a_new_subscription_or_by_nothing(ErrorCode error, int afterMs)
    {
        var machine = Pushing(out var now);
        Assert.False(machine.OnPushed(now, error));
        if (afterMs < 0)
        {
            Assert.Equal((true, error, null), (machine.IsOver, machine.EndedBy, machine.NextDeadline));
            Assert.Equal(TelemetryStep.End, machine.Advance(now.AddMilliseconds(100 * IntervalMs)));
            return;
        }

        Assert.Equal(now.AddMilliseconds(afterMs), machine.NextDeadline);
        Assert.Equal(TelemetryStep.Subscribe, machine.Advance(now.AddMilliseconds(afterMs)));
        Assert.Equal(Id, machine.ClientInstanceId); // it keeps its id
    }

    [Theory]
    [InlineData(ErrorCode.UnknownSubscriptionId)]
    [InlineData(ErrorCode.ThrottlingQuotaExceeded)]
    public void A_subscription_that_is_refused_is_never_asked_for_without_a_pause(ErrorCode error)
    {
        var machine = new TelemetryMachine(s_start);
        machine.Advance(s_start);
        machine.OnSubscription(s_start, new GetTelemetrySubscriptionsResponse { ErrorCode = (short)error });
        Assert.Equal(s_start.AddMilliseconds(TelemetrySubscription.DefaultIntervalMs), machine.NextDeadline);
    }

    [Fact]
    public void A_subscription_without_an_id_ends_the_push()
    {
        var machine = new TelemetryMachine(s_start);
        machine.Advance(s_start);
        machine.OnSubscription(s_start, Answer(Uuid.Zero));
        Assert.True(machine.IsOver);
    }

    [Fact]
    public void Asks_again_after_the_interval_while_nothing_is_wanted_and_after_a_request_without_an_answer()
    {
        var machine = new TelemetryMachine(s_start);
        machine.Advance(s_start);
        var nothing = Answer(Id);
        nothing.RequestedMetrics = [];
        machine.OnSubscription(s_start, nothing);
        var now = s_start.AddMilliseconds(IntervalMs);
        Assert.Equal(TelemetryStep.Subscribe, machine.Advance(now));
        machine.OnNoAnswer(now);
        Assert.Equal(now.AddMilliseconds(IntervalMs), machine.NextDeadline);
        Assert.Equal(TelemetryStep.Subscribe, machine.Advance(now.AddMilliseconds(IntervalMs)));
        machine.OnUnsupported(now);
        Assert.Equal(now.AddMilliseconds(TelemetrySubscription.DefaultIntervalMs), machine.NextDeadline);
    }

    [Fact]
    public void Is_silent_as_long_as_the_cluster_says()
    {
        var machine = Pushing(out var now);
        machine.OnPushed(now, ErrorCode.UnknownSubscriptionId, throttleMs: 300);
        Assert.Equal(now.AddMilliseconds(300), machine.NextDeadline);
    }

    [Fact]
    public void Takes_the_first_compression_type_of_the_cluster_that_it_has_not_refused()
    {
        var machine = Pushing(out var now, CompressionType.Zstd, CompressionType.Lz4);
        Assert.Equal(CompressionType.Zstd, machine.Compression);
        machine.OnPushed(now, ErrorCode.UnsupportedCompressionType);
        Assert.Equal(CompressionType.Lz4, machine.Compression);
        Assert.Equal(CompressionType.None, Pushing(out _).Compression);
    }

    [Fact]
    public void Pushes_once_more_when_it_is_closed_if_it_knows_what()
    {
        var machine = Pushing(out var now);
        machine.OnClose();
        Assert.Equal(TelemetryStep.Wait, machine.Advance(now)); // a push is under way
        machine.OnPushed(now, ErrorCode.None);
        Assert.Equal(TelemetryStep.PushLast, machine.Advance(now));
        machine.OnPushed(now, ErrorCode.None);
        Assert.Equal((TelemetryStep.End, null), (machine.Advance(now), machine.NextDeadline));

        var early = new TelemetryMachine(s_start);
        early.OnClose();
        Assert.Equal(TelemetryStep.End, early.Advance(s_start));

        var refused = Pushing(out now);
        refused.OnPushed(now, ErrorCode.InvalidRequest);
        refused.OnClose();
        Assert.Equal(TelemetryStep.End, refused.Advance(now));
    }

    [Theory]
    [InlineData("org.apache.kafka.producer.connection", true)]
    [InlineData("org.apache.kafka.producer.connection.creation.total", true)]
    [InlineData("", true)]
    [InlineData("org.apache.kafka.consumer", false)]
    [InlineData("producer.connection", false)]
    public void A_name_is_wanted_by_its_beginning(string prefix, bool isWanted)
    {
        var answer = Answer(Id);
        answer.RequestedMetrics = ["nothing", prefix];
        Assert.Equal(isWanted, new TelemetrySubscription(answer).Wants("org.apache.kafka.producer.connection.creation.total"));
    }

    [Fact]
    public void Values_that_cannot_be_are_those_of_the_protocol()
    {
        var subscription = new TelemetrySubscription(new GetTelemetrySubscriptionsResponse
        {
            PushIntervalMs = -1,
            TelemetryMaxBytes = 0,
            AcceptedCompressionTypes = [9, -1, 4],
            RequestedMetrics = [],
        });
        Assert.Equal((300_000, 1024 * 1024, false), (subscription.IntervalMs, subscription.BytesMax, subscription.WantsAny));
        Assert.Equal([CompressionType.Zstd], subscription.Compressions);
    }

    private static Uuid Id => new(1, 2);

    private static TelemetryMachine Subscribed(out Instant now, params CompressionType[] compressions)
    {
        now = s_start;
        var machine = new TelemetryMachine(now);
        Assert.Equal(TelemetryStep.Subscribe, machine.Advance(now));
        var answer = Answer(Id);
        answer.AcceptedCompressionTypes = [.. compressions.Select(type => (sbyte)type)];
        machine.OnSubscription(now, answer);
        return machine;
    }

    private static TelemetryMachine Pushing(out Instant now, params CompressionType[] compressions)
    {
        var machine = Subscribed(out _, compressions);
        now = machine.NextDeadline!.Value;
        Assert.Equal(TelemetryStep.Push, machine.Advance(now));
        return machine;
    }

    private static GetTelemetrySubscriptionsResponse Answer(Uuid id) => new()
    {
        ClientInstanceId = id,
        SubscriptionId = 1,
        AcceptedCompressionTypes = [],
        PushIntervalMs = IntervalMs,
        TelemetryMaxBytes = 1024 * 1024,
        DeltaTemporality = true,
        RequestedMetrics = ["*"],
    };
}
