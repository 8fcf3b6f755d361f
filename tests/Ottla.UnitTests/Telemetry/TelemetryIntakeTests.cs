using System.Collections.Immutable;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Batches;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Telemetry;

namespace Ottla.UnitTests.Telemetry;

/// <summary>Who is asked for what, and how often clients may ask and push, as Kafka has it.</summary>
public sealed class TelemetryIntakeTests
{
    private const int IntervalMs = 10_000;
    private const int BytesMax = 100;

    private static readonly Uuid Id = new(0x1234, 0x5678);
    private static readonly TelemetryClient Client = new("app-1", "ottla", "1.2", "10.0.0.7", "40000");
    private static readonly Instant Start = new(1_000_000_000);

    [Fact]
    public void A_client_gets_the_metrics_of_all_subscriptions_that_select_it_at_the_shortest_interval()
    {
        var subscriptions = Subscriptions(
            ("all", "org.apache.kafka.producer.", "60000", ""),
            ("mine", "org.apache.kafka.consumer.,org.apache.kafka.producer.", "5000", "client_id=app-.*,client_source_address=10[.]0.*"),
            ("others", "*", "100", "client_software_name=librdkafka"),
            ("part", "*", "100", "client_id=app"));
        var wanted = subscriptions.For(Id, Client);
        Assert.Equal(["org.apache.kafka.consumer.", "org.apache.kafka.producer."], wanted.Metrics.Order());
        Assert.Equal(5000, wanted.IntervalMs);
        var ofOther = subscriptions.For(Id, Client with { SoftwareName = "librdkafka" });
        Assert.Equal("*", Assert.Single(ofOther.Metrics));
        Assert.Equal(100, ofOther.IntervalMs);
    }

    [Fact]
    public void What_is_not_known_of_a_client_matches_nothing()
    {
        var subscriptions = Subscriptions(("s", "*", "100", "client_software_version=.*"));
        Assert.Empty(subscriptions.For(Id, Client with { SoftwareVersion = null }).Metrics);
        Assert.Single(subscriptions.For(Id, Client).Metrics);
    }

    [Fact]
    public void Without_a_subscription_nothing_is_wanted_every_five_minutes()
    {
        var wanted = TelemetrySubscriptions.None.For(Id, Client);
        Assert.Empty(wanted.Metrics);
        Assert.Equal(300_000, wanted.IntervalMs);

        // CRC-32C of "[]300000", and the halves of the id.
        Assert.Equal((int)Crc32C.Compute("[]300000"u8) ^ 0x1234 ^ 0x5678, wanted.Id);
    }

    [Fact]
    public void A_subscription_that_cannot_be_read_selects_nobody_and_is_told()
    {
        var told = new List<string>();
        var subscriptions = TelemetrySubscriptions.From(
            Configs(("possessive", "*", "100", "client_id=a*+b"), ("good", "a.", "100", "")), (name, _) => told.Add(name));
        Assert.Equal((1, "possessive"), (subscriptions.Count, Assert.Single(told)));
    }

    [Fact]
    public void A_client_asks_once_in_an_interval()
    {
        var intake = Intake();
        intake.Subscribe(Id, Client, Start);
        Assert.Equal(ErrorCode.ThrottlingQuotaExceeded, ErrorOf(() => intake.Subscribe(Id, Client, After(IntervalMs - 1))));
        intake.Subscribe(Id, Client, After(IntervalMs));
        Assert.Equal(1, intake.ThrottledCount);
    }

    [Fact]
    public void The_first_push_after_a_question_may_come_at_any_time_and_the_next_one_after_an_interval()
    {
        var intake = Intake();
        var wanted = intake.Subscribe(Id, Client, Start);
        intake.Push(PushOf(wanted), Client, After(IntervalMs / 2));
        Assert.Equal(
            ErrorCode.ThrottlingQuotaExceeded, ErrorOf(() => intake.Push(PushOf(wanted), Client, After(IntervalMs * 3 / 2 - 1))));
        intake.Push(PushOf(wanted), Client, After(IntervalMs * 3 / 2));
    }

    [Fact]
    public void The_last_push_may_always_come_and_nothing_after_it()
    {
        var intake = Intake();
        var wanted = intake.Subscribe(Id, Client, Start);
        intake.Push(PushOf(wanted), Client, After(1));
        intake.Push(PushOf(wanted) with { IsTerminating = true }, Client, After(2));
        Assert.Equal(ErrorCode.InvalidRequest, ErrorOf(() => intake.Push(PushOf(wanted), Client, After(2 * IntervalMs))));
    }

    [Fact]
    public void A_push_of_what_is_not_asked_for_any_more_is_refused_and_the_client_may_ask_at_once()
    {
        var intake = Intake();
        var wanted = intake.Subscribe(Id, Client, Start);
        intake.Change(Subscriptions(("s", "other.", "10000", "")));
        Assert.Equal(ErrorCode.UnknownSubscriptionId, ErrorOf(() => intake.Push(PushOf(wanted), Client, After(IntervalMs))));
        var next = intake.Subscribe(Id, Client, After(IntervalMs + 1));
        Assert.NotEqual(wanted.Id, next.Id);
        Assert.Equal(1, intake.UnknownSubscriptionCount);
        Assert.Equal(ErrorCode.ThrottlingQuotaExceeded, ErrorOf(() => intake.Subscribe(Id, Client, After(IntervalMs + 2))));
    }

    [Fact]
    public void A_client_that_another_broker_has_asked_may_push_here()
    {
        var wanted = Intake().Subscribe(Id, Client, Start);
        Intake().Push(PushOf(wanted), Client, Start);
    }

    [Fact]
    public void A_push_is_refused_by_codec_size_and_id()
    {
        var intake = Intake();
        var wanted = intake.Subscribe(Id, Client, Start);
        Assert.Equal(
            ErrorCode.UnsupportedCompressionType, ErrorOf(() => intake.Push(PushOf(wanted) with { Compression = 5 }, Client, Start)));
        wanted = intake.Subscribe(Id, Client, After(1)); // asks at once, and is answered
        Assert.Equal(
            ErrorCode.TelemetryTooLarge,
            ErrorOf(() => intake.Push(PushOf(wanted) with { SizeBytes = BytesMax + 1 }, Client, After(IntervalMs))));
        intake.Push(PushOf(wanted) with { SizeBytes = BytesMax }, Client, After(2 * IntervalMs));
        foreach (var reserved in new[] { Uuid.Zero, Uuid.One })
            Assert.Equal(ErrorCode.InvalidRequest, ErrorOf(() => intake.Push(PushOf(wanted) with { Instance = reserved }, Client, Start)));
    }

    [Fact]
    public void The_oldest_client_is_forgotten_when_there_are_too_many_and_each_one_that_was_silent()
    {
        var intake = Intake();
        for (var i = 0; i <= TelemetryIntake.InstancesMax; i++)
            intake.Subscribe(new Uuid(7, (ulong)i + 2), Client, Start);
        Assert.Equal(TelemetryIntake.InstancesMax, intake.InstanceCount);
        Assert.False(intake.Knows(new Uuid(7, 2)));
        intake.Subscribe(Id, Client, After(60_000));
        Assert.Equal(1, intake.InstanceCount);
        intake.Forget(Id);
        intake.Subscribe(Id, Client, After(60_000));
    }

    private static TelemetryIntake Intake()
    {
        var intake = new TelemetryIntake(BytesMax);
        intake.Change(Subscriptions(("s", "*", "10000", "")));
        return intake;
    }

    private static TelemetryPush PushOf(WantedMetrics wanted) => new(Id, wanted.Id, (sbyte)CompressionType.None, 10, IsTerminating: false);

    private static Instant After(long milliseconds) => Start.AddMilliseconds(milliseconds);

    private static ErrorCode ErrorOf(Action action) => Assert.Throws<ApiException>(action).Error.Code;

    private static TelemetrySubscriptions Subscriptions(params (string Name, string Metrics, string Interval, string Match)[] all) =>
        TelemetrySubscriptions.From(Configs(all), (name, reason) => Assert.Fail($"{name}: {reason}"));

    private static ConfigsImage Configs(params (string Name, string Metrics, string Interval, string Match)[] all) => new(
        all.ToImmutableDictionary(
            each => new ConfigResource(ConfigResourceType.ClientMetrics, each.Name),
            each => ImmutableSortedDictionary<string, string>.Empty
                .Add("metrics", each.Metrics).Add("interval.ms", each.Interval).Add("match", each.Match)));
}
