using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.StateMachines.Replication;

namespace Ottla.UnitTests.Replication;

public sealed class ReplicationQuotaTests
{
    private static readonly Instant Start = new(1_000_000);

    private readonly ReplicationQuota _quota = new(windows: 11, windowSeconds: 1);

    [Fact]
    public void The_average_of_the_windows_counts_and_at_least_one_of_them()
    {
        Assert.False(_quota.IsExceeded(0, Start));
        _quota.Record(1000, Start);
        Assert.False(_quota.IsExceeded(1000, Start)); // as if it had come within a second
        Assert.True(_quota.IsExceeded(999, Start));
        Assert.False(_quota.IsExceeded(100, Start.AddMilliseconds(10_000)));
        _quota.Record(1000, Start.AddMilliseconds(5000));
        Assert.True(_quota.IsExceeded(399, Start.AddMilliseconds(5000)));
        Assert.False(_quota.IsExceeded(400, Start.AddMilliseconds(5000)));
    }

    [Fact]
    public void What_is_older_than_all_windows_is_forgotten()
    {
        _quota.Record(1_000_000, Start);
        Assert.True(_quota.IsExceeded(1, Start.AddMilliseconds(10_999)));
        Assert.False(_quota.IsExceeded(1, Start.AddMilliseconds(11_000)));
    }

    [Fact]
    public void More_windows_than_there_are_take_the_place_of_the_oldest()
    {
        for (var second = 0; second < 30; second++)
            _quota.Record(1000, Start.AddMilliseconds(second * 1000));
        var now = Start.AddMilliseconds(29_000);
        Assert.True(_quota.IsExceeded(1099, now)); // eleven windows within the ten seconds since the oldest began
        Assert.False(_quota.IsExceeded(1100, now));
    }

    [Fact]
    public void A_clock_that_is_set_back_throttles_nobody_for_long()
    {
        _quota.Record(1_000_000, Start);
        Assert.False(_quota.IsExceeded(1, Start.AddMilliseconds(-3_600_000)));
    }

    [Theory]
    [InlineData("*", true)]
    [InlineData("", false)]
    [InlineData("3:1", true)]
    [InlineData("3:2,2:1", false)]
    [InlineData("1:1,3:1", true)]
    [InlineData("13:1,3:11", false)]
    public void A_list_names_replicas_by_partition_and_broker(string list, bool expected) =>
        Assert.Equal(expected, ReplicationThrottle.Names(list.Split(','), partition: 3, brokerId: 1));
}
