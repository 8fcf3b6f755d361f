using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Client;

/// <summary>The metadata of a client, asked from a whole node.</summary>
public sealed class ClusterMetadataTests
{
    [Fact]
    public async Task Knows_the_topics_that_somebody_wants()
    {
        await using var bed = await ClientBed.StartAsync("a", "b");
        var metadata = bed.Client.Metadata;
        using var interest = metadata.OpenInterest();
        interest.Add("a");
        var topic = await bed.RunAsync(metadata.TopicAsync("a", default));
        Assert.Single(topic.Partitions);
        Assert.NotNull(metadata.Current.LeaderOf(new TopicPartition("a", 0)));
        Assert.Null(metadata.Current.Topic("b"));
        interest.WantsAll = true;
        var image = await bed.RunAsync(metadata.RefreshAsync(default));
        Assert.NotNull(image.Topic("b"));
        interest.WantsAll = false;
        interest.Set(["b"]);
        image = await bed.RunAsync(metadata.RefreshAsync(default));
        Assert.Equal("b", Assert.Single(image.Topics).Key);
    }

    [Fact]
    public async Task Waits_for_a_topic_that_is_created_meanwhile()
    {
        await using var bed = await ClientBed.StartAsync();
        using var interest = bed.Client.Metadata.OpenInterest();
        interest.Add("late");
        var waiting = bed.Client.Metadata.TopicAsync("late", default);
        await bed.RunAsync(Waiting.UntilAsync(() => bed.Client.Metadata.Current.Topic("late") is not null));
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, bed.Client.Metadata.Current.Topic("late")!.Error);
        Assert.False(waiting.IsCompleted);
        await using (var connection = await bed.Node.ConnectAsync())
            await connection.CreateTopicAsync("late");
        Assert.Equal("late", (await bed.RunAsync(waiting)).Name);
    }

    [Fact]
    public async Task Says_at_once_that_a_name_is_invalid()
    {
        await using var bed = await ClientBed.StartAsync();
        using var interest = bed.Client.Metadata.OpenInterest();
        interest.Add("in/valid");
        var refusal = await Assert.ThrowsAsync<KafkaException>(() => bed.RunAsync(bed.Client.Metadata.TopicAsync("in/valid", default)));
        Assert.Equal((ErrorCode.InvalidTopicException, false), (refusal.ErrorCode, refusal.IsRetriable));
    }

    [Fact]
    public async Task Asks_anew_when_it_is_old()
    {
        await using var bed = await ClientBed.StartAsync("a");
        await bed.RunAsync(bed.Client.Metadata.RefreshAsync(default));
        var version = bed.Client.Metadata.Current.Version;
        var newer = bed.Client.Metadata.WaitForNewerAsync(version, default);
        bed.Node.Clock.AdvanceMs((long)TimeSpan.FromMinutes(4).TotalMilliseconds);
        Assert.False(newer.IsCompleted);
        Assert.True((await bed.RunAsync(newer, stepMs: 1000)).Version > version);
    }

    [Fact]
    public async Task Begins_anew_with_the_bootstrap_servers_when_no_known_node_can_be_reached()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var first = await bed.RunAsync(bed.Client.Metadata.RefreshAsync(default));
        await bed.Node.RestartAsync();
        var second = await bed.RunAsync(bed.Client.Metadata.RefreshAsync(default), stepMs: 10);
        Assert.True(second.Version > first.Version);
    }

    [Fact]
    public async Task A_call_without_any_server_ends_in_time_and_says_why()
    {
        var clock = new TestClock();
        await using var client = new OttlaClient(new OttlaClientOptions
        {
            BootstrapServers = "10.0.0.9:1",
            TimeProvider = clock,
            Transport = new Ottla.Network.Transport.InMemoryTransport(),
            Seed = 1,
        });
        var finding = client.Calls.Coordinators.FindAsync(
            Ottla.Client.Calls.CoordinatorType.Group, "g", Ottla.Client.Calls.CallOptions.Default, default).AsTask();
        var failure = await Assert.ThrowsAsync<KafkaTimeoutException>(() => clock.AdvanceUntilAsync(finding, 1000));
        Assert.Contains("10.0.0.9:1", failure.Message);
        Assert.True(failure.IsRetriable);
    }

    [Fact]
    public async Task A_closed_client_ends_all_waits()
    {
        await using var bed = await ClientBed.StartAsync();
        using var interest = bed.Client.Metadata.OpenInterest();
        interest.Add("never");
        var waiting = bed.Client.Metadata.TopicAsync("never", default);
        await bed.RunAsync(bed.Client.DisposeAsync().AsTask());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => bed.Client.Metadata.RefreshAsync(default));
    }
}
