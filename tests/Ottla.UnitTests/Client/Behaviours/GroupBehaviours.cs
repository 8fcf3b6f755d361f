using Ottla.Client;
using Ottla.Kernel;
using Ottla.Simulator.Library;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>What members of groups do, by either protocol.</summary>
internal static class GroupBehaviours
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(500);

    /// <summary>The behaviours of one protocol.</summary>
    public static IEnumerable<Behaviour> Of(GroupProtocol protocol) =>
    [
        .. Reading(protocol), .. Sharing(protocol), .. Changing(protocol), .. Committing(protocol),
    ];

    private static IEnumerable<Behaviour> Reading(GroupProtocol protocol) =>
    [
        new("a member goes on where the one before has committed", async run =>
        {
            await run.CreateTopicAsync();
            var sent = await run.FeedAsync(6);
            foreach (var (start, count) in new[] { (0, 2), (2, 4) })
            {
                await using var member = Join(run, protocol);
                Assert.Equal(sent.Skip(start).Take(count), await run.ReadAsync(member.Consumer, count, member.Readings));
                await run.EndsAsync(member.Consumer.CommitAsync());
                await run.EndsAsync(member.Consumer.CloseAsync());
            }
        }),
        new("what was not committed is read again", async run =>
        {
            await run.CreateTopicAsync();
            var sent = await run.FeedAsync(3);
            for (var i = 0; i < 2; i++)
            {
                await using var member = Join(run, protocol);
                Assert.Equal(sent, await run.ReadAsync(member.Consumer, 3, member.Readings));
                await run.EndsAsync(member.Consumer.CloseAsync());
            }
        }),
        new("a group that has committed nothing begins where it is told to", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(2);
            await using var member = Join(run, protocol, options => options with { OffsetReset = OffsetReset.None });
            var refused = await Assert.ThrowsAsync<OffsetResetException>(() => run.ReadOneAsync(member.Consumer));
            Assert.Equal(run.Partition(), refused.Partition);
        }),
        new("a member goes back when it is told to", async run =>
        {
            await run.CreateTopicAsync();
            var sent = await run.FeedAsync(4);
            await using var member = Join(run, protocol);
            await run.ReadAsync(member.Consumer, 4, member.Readings);
            member.Consumer.Seek(run.Partition(), 1);
            Assert.Equal(sent.Skip(1), await run.ReadAsync(member.Consumer, 3));
        }),
        new("a member may be told where to begin while it is given a partition", async run =>
        {
            await run.CreateTopicAsync();
            var sent = await run.FeedAsync(4);
            await using var consumer = run.NewConsumer(options => options with { GroupId = run.Group, GroupProtocol = protocol });
            consumer.Subscribe([run.Topic], new Seeking(consumer, 2));
            Assert.Equal(sent.Skip(2), await run.ReadAsync(consumer, 2));
        }),
        new("a paused partition stays with its member, and returns nothing", async run =>
        {
            await run.CreateTopicAsync();
            await using var member = Join(run, protocol);
            await run.PollUntilAsync("the assignment", () => member.Consumer.Assignment.Count == 1, member);
            member.Consumer.Pause([run.Partition()]);
            var sent = await run.FeedAsync(2);
            await run.ReadNothingAsync(member.Consumer);
            member.Consumer.Resume(member.Consumer.Assignment);
            Assert.Equal(sent, await run.ReadAsync(member.Consumer, 2, member.Readings));
        }),
        new("a group without a topic waits for it", async run =>
        {
            await using var member = Join(run, protocol);
            await run.ReadNothingAsync(member.Consumer);
            await run.CreateTopicAsync();
            var sent = await run.FeedAsync(2);
            Assert.Equal(sent, await run.ReadAsync(member.Consumer, 2, member.Readings));
        }),
        new("records are processed side by side and committed without a gap", async run =>
        {
            await run.CreateTopicAsync(2);
            var sent = (await run.FeedAsync(5, 0)).Concat(await run.FeedAsync(5, 1)).ToList();
            var done = new HashSet<long>();
            await using (var member = Join(run, protocol, CommittingByItself))
            {
                using var stop = new CancellationTokenSource();
                var processing = member.Consumer.ProcessAsync(
                    async (record, _) =>
                    {
                        await Task.Yield();
                        if (done.Add(record.Value) && done.Count == sent.Count)
                            stop.Cancel();
                    },
                    new ProcessingOptions { Order = ProcessingOrder.None }, stop.Token);
                await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run.EndsAsync(processing));
                await run.EndsAsync(member.Consumer.CloseAsync());
            }

            Assert.Equal(sent, done.Order());
            await CommittedAsync(run, 5, 5);
        }),
    ];

    private static IEnumerable<Behaviour> Sharing(GroupProtocol protocol) =>
    [
        .. from assignor in protocol == GroupProtocol.Classic
               ? new[] { "range", "roundrobin", "sticky", "cooperative-sticky" }
               : ["uniform", "range"]
           select new Behaviour($"two members share partitions by {assignor}, and who stays gets all", async run =>
           {
               await run.CreateTopicAsync(4);
               await using var first = Join(run, protocol, options => By(options, assignor));
               await run.PollUntilAsync("all is the first one's", () => first.Consumer.Assignment.Count == 4, first);
               await using (var second = Join(run, protocol, options => By(options, assignor)))
               {
                   await run.PollUntilAsync(
                       "each has two", () => (first.Consumer.Assignment.Count, second.Consumer.Assignment.Count) == (2, 2), first, second);
                   Assert.Empty(first.Consumer.Assignment.Intersect(second.Consumer.Assignment));
                   await run.EndsAsync(second.Consumer.CloseAsync());
                   Assert.Empty(second.Readings.Partitions);
               }

               await run.PollUntilAsync("all is the first one's again", () => first.Consumer.Assignment.Count == 4, first);
           }),
        new("every record is read while members come and go", async run =>
        {
            await run.CreateTopicAsync(3);
            var read = new HashSet<long>();
            var sent = new HashSet<long>();
            await using var first = Join(run, protocol, CommittingByItself);
            for (var round = 0; round < 2; round++)
            {
                for (var partition = 0; partition < 3; partition++)
                    sent.UnionWith(await run.FeedAsync(3, partition));
                await using var second = Join(run, protocol, CommittingByItself);
                await run.PollUntilAsync("all is read", () => sent.IsSubsetOf(read), Noting(first), Noting(second));
                await run.EndsAsync(second.Consumer.CloseAsync());
            }

            Assert.Equal(sent, read);

            Member Noting(Member member)
            {
                member.Readings.Taken = record => read.Add(record.Value);
                return member;
            }
        }),
        new("a static member keeps its partitions over a restart", async run =>
        {
            await run.CreateTopicAsync(2);
            await using var stays = Join(run, protocol, options => options with { GroupInstanceId = "stays" });
            IReadOnlyCollection<TopicPartition> before;
            await using (var restarts = Join(run, protocol, options => options with { GroupInstanceId = "restarts" }))
            {
                await run.PollUntilAsync(
                    "each has one", () => (stays.Consumer.Assignment.Count, restarts.Consumer.Assignment.Count) == (1, 1), stays, restarts);
                before = restarts.Consumer.Assignment;
                await run.EndsAsync(restarts.Consumer.CloseAsync());
            }

            await using var again = Join(run, protocol, options => options with { GroupInstanceId = "restarts" });
            await run.PollUntilAsync("it has one again", () => again.Consumer.Assignment.Count == 1, again, stays);
            if (run.IsCalm)
                Assert.Equal(before, again.Consumer.Assignment);
        }),
        new("a member that asks for nothing loses its partitions", async run =>
        {
            await run.CreateTopicAsync();
            await using var idle = Join(run, protocol, options => options with { MaxPollInterval = TimeSpan.FromSeconds(4) });
            await run.PollUntilAsync("it has the partition", () => idle.Consumer.Assignment.Count == 1, idle);
            await run.DelayAsync(TimeSpan.FromSeconds(15));
            await using var other = Join(run, protocol);
            await run.PollUntilAsync("the other has it", () => other.Consumer.Assignment.Count == 1, other);
            await run.EndsAsync(idle.Consumer.ConsumeOneAsync(TimeSpan.FromMilliseconds(1)).AsTask());
        }),
    ];

    private static IEnumerable<Behaviour> Changing(GroupProtocol protocol) =>
    [
        new("a member is told of what it is given and of what it gives up", async run =>
        {
            await run.CreateTopicAsync(2);
            var member = Join(run, protocol);
            await run.PollUntilAsync("the assignment", () => member.Readings.Partitions.Count == 2, member);
            await run.EndsAsync(member.Consumer.CloseAsync());
            Assert.Empty(member.Readings.Partitions);
        }),
        new("a member that unsubscribes gives all up, and may subscribe again", async run =>
        {
            await run.CreateTopicAsync();
            await using var member = Join(run, protocol);
            await run.PollUntilAsync("the assignment", () => member.Consumer.Assignment.Count == 1, member);
            await run.EndsAsync(member.Consumer.UnsubscribeAsync());
            Assert.Empty(member.Consumer.Assignment);
            member.Consumer.Subscribe([run.Topic], member.Readings);
            await run.PollUntilAsync("the assignment", () => member.Consumer.Assignment.Count == 1, member);
        }),
        new("a member subscribes to more, and to others", async run =>
        {
            await run.CreateTopicAsync();
            var other = await run.CreateTopicAsync(suffix: "-other");
            await using var member = Join(run, protocol);
            await run.PollUntilAsync("one topic", () => member.Consumer.Assignment.Count == 1, member);
            member.Consumer.Subscribe([run.Topic, other], member.Readings);
            await run.PollUntilAsync("both topics", () => member.Consumer.Assignment.Count == 2, member);
            member.Consumer.Subscribe([other], member.Readings);
            await run.PollUntilAsync(
                "the other topic", () => member.Consumer.Assignment.SequenceEqual([new TopicPartition(other, 0)]), member);
        }),
        new("a pattern covers topics of the future", async run =>
        {
            await run.CreateTopicAsync();
            await using var consumer = run.NewConsumer(options => options with { GroupId = run.Group, GroupProtocol = protocol });
            var readings = run.NewReadings();
            consumer.SubscribePattern($"{run.Topic}(-.*)?", readings);
            await run.PollUntilAsync("one topic", () => consumer.Assignment.Count == 1, (consumer, readings));
            var later = await run.CreateTopicAsync(suffix: "-later");
            await run.EndsAsync(run.Client.Metadata.RefreshAsync(default));
            await run.PollUntilAsync(
                "both topics", () => consumer.Assignment.Contains(new TopicPartition(later, 0)), (consumer, readings));
        }),
        new("partitions that are added are given to somebody", async run =>
        {
            await run.CreateTopicAsync();
            await using var member = Join(run, protocol);
            await run.PollUntilAsync("one partition", () => member.Consumer.Assignment.Count == 1, member);
            await run.AddPartitionsAsync(3);
            await run.EndsAsync(run.Client.Metadata.RefreshAsync(default));
            await run.PollUntilAsync("three partitions", () => member.Consumer.Assignment.Count == 3, member);
        }),
        new("the group's metadata names the member", async run =>
        {
            await run.CreateTopicAsync();
            await using var member = Join(run, protocol);
            await run.PollUntilAsync("the assignment", () => member.Consumer.Assignment.Count == 1, member);
            var metadata = member.Consumer.GroupMetadata!;
            Assert.Equal(run.Group, metadata.GroupId);
            Assert.NotEmpty(metadata.MemberId);
            Assert.True(metadata.GenerationId > 0);
        }),
    ];

    private static IEnumerable<Behaviour> Committing(GroupProtocol protocol) =>
    [
        new("what is processed is committed when the consumer is closed", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(3);
            await using (var member = Join(run, protocol, options => options with { EnableAutoCommit = true }))
            {
                await run.ReadAsync(member.Consumer, 3, member.Readings);
                await run.ReadNothingAsync(member.Consumer); // the third one is processed
                await run.EndsAsync(member.Consumer.CloseAsync());
            }

            await CommittedAsync(run, 3);
        }),
        new("what is processed is committed from time to time", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(3);
            await using var member = Join(run, protocol, CommittingByItself);
            await run.ReadAsync(member.Consumer, 3, member.Readings);
            await run.ReadNothingAsync(member.Consumer);
            await CommittedAsync(run, 3);
        }),
        new("what is stored is committed, and nothing else", async run =>
        {
            await run.CreateTopicAsync();
            await run.FeedAsync(4);
            await using var member = Join(run, protocol, CommittingByItself);
            await run.ReadAsync(member.Consumer, 1, member.Readings);
            member.Consumer.StoreOffset(new PartitionOffset(run.Topic, 0, 1));
            await CommittedAsync(run, 1);
        }),
        new("offsets are committed as they are given", async run =>
        {
            await run.CreateTopicAsync(2);
            await using var member = Join(run, protocol);
            await run.PollUntilAsync("the assignment", () => member.Consumer.Assignment.Count == 2, member);
            await run.EndsAsync(member.Consumer.CommitAsync([new PartitionOffset(run.Topic, 0, 5), new PartitionOffset(run.Topic, 1, 6)]));
            await CommittedAsync(run, 5, 6);
        }),
        new("a commit of positions names every partition", async run =>
        {
            await run.CreateTopicAsync(2);
            await run.FeedAsync(2, 0);
            await run.FeedAsync(3, 1);
            await using var member = Join(run, protocol);
            await run.ReadAsync(member.Consumer, 5, member.Readings);
            await run.EndsAsync(member.Consumer.CommitAsync());
            await CommittedAsync(run, 2, 3);
        }),
        new("many commits in a row leave the last one", async run =>
        {
            await run.CreateTopicAsync();
            await using var member = Join(run, protocol);
            await run.PollUntilAsync("the assignment", () => member.Consumer.Assignment.Count == 1, member);
            for (var offset = 1; offset <= 6; offset++)
            {
                await run.EndsAsync(member.Consumer.CommitAsync([new PartitionOffset(run.Topic, 0, offset)]));
                await run.ReadNothingAsync(member.Consumer); // a member that does not poll leaves, and commits that are late take long
            }

            await CommittedAsync(run, 6);
        }),
        new("a member that leaves without a word is replaced after its session", async run =>
        {
            await run.CreateTopicAsync();
            await using var left = Join(run, protocol);
            await run.PollUntilAsync("the assignment", () => left.Consumer.Assignment.Count == 1, left);
            await run.EndsAsync(left.Consumer.CloseAsync(leaveGroup: false));
            await using var next = Join(run, protocol);
            await run.PollUntilAsync("the next one has the partition", () => next.Consumer.Assignment.Count == 1, next);
        }),
    ];

    private static ConsumerOptions CommittingByItself(ConsumerOptions options) =>
        options with { EnableAutoCommit = true, AutoCommitInterval = s_interval };

    private static ConsumerOptions By(ConsumerOptions options, string assignor) => options.GroupProtocol == GroupProtocol.Classic
        ? options with { Assignors = [assignor] } : options with { RemoteAssignor = assignor };

    private static Member Join(BehaviourRun run, GroupProtocol protocol, Func<ConsumerOptions, ConsumerOptions>? change = null)
    {
        var consumer = run.NewConsumer(options =>
        {
            options = options with { GroupId = run.Group, GroupProtocol = protocol };
            return change is null ? options : change(options);
        });
        var readings = run.NewReadings();
        consumer.Subscribe([run.Topic], readings);
        return new Member(consumer, readings);
    }

    /// <summary>Waits until the group has committed these offsets of the partitions of its topic.</summary>
    private static async Task CommittedAsync(BehaviourRun run, params long[] offsets)
    {
        await using var consumer = run.NewConsumer(options => options with { GroupId = run.Group });
        var partitions = offsets.Select((_, index) => run.Partition(index)).ToList();
        for (var attempt = 0; ; attempt++)
        {
            var committed = await run.EndsAsync(consumer.CommittedAsync(partitions));
            var found = partitions.Select(partition => committed[partition]?.Offset ?? -1).ToList();
            if (found.SequenceEqual(offsets))
                return;
            Assert.True(attempt < 200, $"{string.Join(' ', found)} is committed, and not {string.Join(' ', offsets)}");
            await run.DelayAsync(TimeSpan.FromMilliseconds(100));
        }
    }

    /// <summary>Has a partition begin elsewhere.</summary>
    private sealed class Seeking(Consumer<byte[], long> consumer, long offset) : IRebalanceListener
    {
        public ValueTask OnAssignedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation)
        {
            foreach (var partition in partitions)
                consumer.Seek(partition, offset);
            return ValueTask.CompletedTask;
        }

        public ValueTask OnRevokedAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) => default;

        public ValueTask OnLostAsync(IReadOnlyList<TopicPartition> partitions, CancellationToken cancellation) => default;
    }
}

/// <summary>A member of a group, and what it reads.</summary>
internal sealed record Member(Consumer<byte[], long> Consumer, MemberReadings Readings) : IAsyncDisposable
{
    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Consumer.DisposeAsync();
}
