using Ottla.Client;
using Ottla.Kernel;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Client.Consumer.ConsumerBed;

namespace Ottla.UnitTests.Client.Consumer;

/// <summary>Consumers that share a group of a whole node, by both protocols.</summary>
public sealed class ConsumerGroupTests
{
    public static TheoryData<GroupProtocol> Protocols => [GroupProtocol.Classic, GroupProtocol.Consumer];

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_group_goes_on_where_it_was(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 3);
        var listener = new NotingListener();
        var first = bed.Open("g", protocol);
        first.Subscribe(["t"], listener);
        Assert.Equal("0 1 2", Values(await bed.ReadAsync(first, 3)));
        var metadata = first.GroupMetadata!;
        Assert.Equal("g", metadata.GroupId);
        Assert.True(metadata.GenerationId > 0 && metadata.MemberId.Length > 0);
        await bed.RunAsync(first.CloseAsync());
        Assert.Equal(["assigned t-0", "revoked t-0"], listener.Notes);

        await bed.WriteNumbersAsync(3, 2);
        var second = bed.Open("g", protocol);
        second.Subscribe(["t"]);
        Assert.Equal("3 4", Values(await bed.ReadAsync(second, 2)));
        Assert.Equal(3, (await bed.RunAsync(second.CommittedAsync([Partition()])))[Partition()]!.Value.Offset);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_record_that_is_being_processed_is_not_committed(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 3);
        var first = bed.Open("g", protocol);
        first.Subscribe(["t"]);
        await bed.RunAsync(first.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask());
        await bed.RunAsync(first.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask());
        await bed.RunAsync(first.CloseAsync());
        var second = bed.Open("g", protocol);
        second.Subscribe(["t"]);
        Assert.Equal("1 2", Values(await bed.ReadAsync(second, 2)));
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Offsets_are_committed_by_hand(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 3);
        var consumer = bed.Open("g", protocol, options => options with { EnableAutoCommit = false });
        consumer.Subscribe(["t"]);
        await bed.ReadAsync(consumer, 3);
        Assert.Null((await bed.RunAsync(consumer.CommittedAsync([Partition()])))[Partition()]);
        await bed.RunAsync(consumer.CommitAsync([new PartitionOffset(Partition(), new CommitOffset(1, 0, "note"))]));
        Assert.Equal(new CommitOffset(1, 0, "note"), (await bed.RunAsync(consumer.CommittedAsync([Partition()])))[Partition()]);
        await bed.RunAsync(consumer.CommitAsync());
        Assert.Equal(3, (await bed.RunAsync(consumer.CommittedAsync([Partition()])))[Partition()]!.Value.Offset);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Offsets_are_committed_by_themselves(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 3);
        var consumer = bed.Open("g", protocol);
        consumer.Subscribe(["t"]);
        await bed.ReadAsync(consumer, 3);
        Assert.Null(await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromSeconds(6)).AsTask()));
        Assert.Equal(3, (await bed.RunAsync(consumer.CommittedAsync([Partition()])))[Partition()]!.Value.Offset);
    }

    [Theory]
    [InlineData(GroupProtocol.Classic, "range")]
    [InlineData(GroupProtocol.Classic, "cooperative-sticky")]
    [InlineData(GroupProtocol.Classic, "roundrobin")]
    [InlineData(GroupProtocol.Classic, "sticky")]
    [InlineData(GroupProtocol.Consumer, "range")]
    public async Task Members_share_partitions(GroupProtocol protocol, string assignor)
    {
        await using var bed = await ConsumerBed.StartAsync(partitions: 4);
        for (var partition = 0; partition < 4; partition++)
            await bed.WriteNumbersAsync(partition * 10, 3, partition);
        var first = bed.Open("g", protocol, options => options with { Assignors = [assignor] });
        first.Subscribe(["t"]);
        var read = await bed.ReadAsync(first, 12);
        Assert.Equal(4, first.Assignment.Count);

        var second = bed.Open("g", protocol, options => options with { Assignors = [assignor] });
        second.Subscribe(["t"]);
        Assert.Empty(await bed.PollUntilAsync(
            () => first.Assignment.Count == 2 && second.Assignment.Count == 2 && !first.Assignment.Intersect(second.Assignment).Any(),
            first, second));
        for (var partition = 0; partition < 4; partition++)
            await bed.WriteNumbersAsync((partition * 10) + 3, 1, partition);
        var more = new List<ConsumeResult<string, string>>();
        var step = await bed.PollUntilAsync(
            () => first.Assignment.Concat(second.Assignment).All(Position4), first, second);
        more.AddRange(step);
        Assert.Equal(["13", "23", "3", "33"], more.Select(record => record.Value!).Order(StringComparer.Ordinal));

        // A record counts as processed when the next one is asked for.
        Assert.Null(await bed.RunAsync(second.ConsumeOneAsync(TimeSpan.FromMilliseconds(20)).AsTask()));
        await bed.RunAsync(second.CloseAsync());
        Assert.Empty(await bed.PollUntilAsync(() => first.Assignment.Count == 4, first));

        bool Position4(TopicPartition partition) =>
            (first.Assignment.Contains(partition) ? first.Position(partition) : second.Position(partition)) == 4;
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Members_find_topics_that_are_created_later(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        var consumer = bed.Open("g", protocol);
        consumer.Subscribe(["later"]);
        Assert.Null(await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromSeconds(3)).AsTask()));
        await bed.Writer.CreateTopicAsync("later", 2);
        await bed.WriteAsync(["x"], topic: "later");
        Assert.Equal("x", (await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(20)).AsTask(), stepMs: 50))!.Value.Value);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_pattern_is_resolved(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.Writer.CreateTopicAsync("t2");
        await bed.Writer.CreateTopicAsync("other");
        await bed.WriteAsync(["a"]);
        await bed.WriteAsync(["b"], topic: "t2");
        await bed.WriteAsync(["c"], topic: "other");
        var consumer = bed.Open("g", protocol);
        consumer.SubscribePattern("t.*");
        var records = new List<ConsumeResult<string, string>>();
        while (records.Count < 2)
            records.Add((await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(20)).AsTask(), stepMs: 50))!.Value);
        Assert.Equal(["a", "b"], records.Select(record => record.Value!).Order());
        Assert.Null(await bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromSeconds(1)).AsTask()));
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task What_a_listener_throws_ends_the_call_and_the_partitions_are_assigned(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["a"]);
        var consumer = bed.Open("g", protocol);
        var listener = new NotingListener { Then = (_, _) => throw new FormatException("no") };
        consumer.Subscribe(["t"], listener);
        await Assert.ThrowsAsync<FormatException>(() => bed.RunAsync(consumer.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask()));
        listener.Then = null;
        Assert.Equal("a", Values(await bed.ReadAsync(consumer, 1)));
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_listener_chooses_where_to_begin(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 5);
        var consumer = bed.Open("g", protocol);
        consumer.Subscribe(["t"], new NotingListener
        {
            Then = (what, partitions) =>
            {
                if (what == "assigned")
                    consumer.Seek(partitions[0], 3);
                return ValueTask.CompletedTask;
            },
        });
        Assert.Equal("3 4", Values(await bed.ReadAsync(consumer, 2)));
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Who_does_not_come_back_in_time_loses_its_partitions(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 2);
        var listener = new NotingListener();
        var slow = bed.Open("g", protocol, options => options with { MaxPollInterval = TimeSpan.FromSeconds(8) });
        slow.Subscribe(["t"], listener);
        await bed.RunAsync(slow.ConsumeOneAsync(TimeSpan.FromMinutes(1)).AsTask());

        var other = bed.Open("g", protocol);
        other.Subscribe(["t"]);
        var taken = other.ConsumeOneAsync(TimeSpan.FromMinutes(10)).AsTask();
        Assert.Equal("0", (await bed.RunAsync(taken, stepMs: 20))!.Value.Value);
        Assert.Equal(["assigned t-0"], listener.Notes);
        await bed.RunAsync(slow.ConsumeOneAsync(TimeSpan.FromSeconds(1)).AsTask());
        Assert.Equal(["assigned t-0", "lost t-0"], listener.Notes.Take(2));
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task A_static_member_keeps_its_partitions_over_a_restart(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync(partitions: 2);
        var one = bed.Open("g", protocol, options => options with { GroupInstanceId = "one" });
        var two = bed.Open("g", protocol, options => options with { GroupInstanceId = "two" });
        one.Subscribe(["t"]);
        two.Subscribe(["t"]);
        await bed.PollUntilAsync(() => one.Assignment.Count == 1 && two.Assignment.Count == 1, one, two);
        var before = one.Assignment.Single();
        await bed.RunAsync(one.CloseAsync());
        var again = bed.Open("g", protocol, options => options with { GroupInstanceId = "one" });
        again.Subscribe(["t"]);
        await bed.PollUntilAsync(() => again.Assignment.Count == 1, again, two);
        Assert.Equal(before, again.Assignment.Single());
        Assert.Single(two.Assignment);
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Unsubscribing_leaves_the_group(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteNumbersAsync(0, 2);
        var listener = new NotingListener();
        var consumer = bed.Open("g", protocol);
        consumer.Subscribe(["t"], listener);
        await bed.ReadAsync(consumer, 2);
        await bed.RunAsync(consumer.UnsubscribeAsync());
        Assert.Empty(consumer.Assignment);
        Assert.Equal(["assigned t-0", "revoked t-0"], listener.Notes);
        consumer.Assign([Partition()]);
        await bed.WriteNumbersAsync(2, 1);
        Assert.Equal("2", Values(await bed.ReadAsync(consumer, 1)));
    }

    [Theory]
    [MemberData(nameof(Protocols))]
    public async Task Closing_ends_in_time_when_nobody_answers(GroupProtocol protocol)
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["a"]);
        var consumer = bed.Open("g", protocol);
        consumer.Subscribe(["t"]);
        await bed.ReadAsync(consumer, 1);
        await bed.Bed.Node.StopAsync();
        var before = bed.Bed.Node.Clock.NowMs;
        await bed.RunAsync(consumer.CloseAsync(), stepMs: 100);
        Assert.InRange(bed.Bed.Node.Clock.NowMs - before, 0, 31_000);
    }

    [Fact]
    public async Task The_newer_protocol_is_used_where_the_cluster_has_it()
    {
        await using var bed = await ConsumerBed.StartAsync();
        await bed.WriteAsync(["a"]);
        var consumer = bed.Open("g");
        consumer.Subscribe(["t"]);
        await bed.ReadAsync(consumer, 1);
        var described = await bed.Writer.CallAsync<
            Ottla.Protocol.Messages.ConsumerGroupDescribeRequest, Ottla.Protocol.Messages.ConsumerGroupDescribeResponse>(
            new Ottla.Protocol.Messages.ConsumerGroupDescribeRequest { GroupIds = ["g"] });
        Assert.Equal((0, "Stable"), (described.Groups[0].ErrorCode, described.Groups[0].GroupState));
    }
}
