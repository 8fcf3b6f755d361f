using Ottla.Protocol.Messages;

namespace Ottla.UnitTests.Protocol;

/// <summary>The elements that a message of the hot path keeps for its next use.</summary>
public sealed class ReusablePartsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(65)]
    [InlineData(300)]
    [InlineData(1024)]
    public void A_request_of_the_same_shape_allocates_nothing(int partitions)
    {
        var request = new FetchRequest();
        Fill(request, partitions);
        Assert.Equal(0, Allocated(() => Fill(request, partitions)));
    }

    [Fact]
    public void A_few_lengths_in_turn_allocate_nothing()
    {
        var request = new FetchRequest();
        int[] lengths = [700, 90, 3, 600, 64, 650];
        foreach (var length in lengths)
            Fill(request, length);
        Assert.Equal(0, Allocated(() => Fill(request, 600)));
        foreach (var length in lengths)
            Assert.Equal(0, Allocated(() => Fill(request, length)));
    }

    [Fact]
    public void A_request_that_is_too_large_is_not_kept()
    {
        var request = new FetchRequest();
        var first = Fill(request, 1025)[0];
        Assert.NotSame(first, Fill(request, 1025)[0]);
        Assert.NotEqual(0, Allocated(() => Fill(request, 1025)));
    }

    [Fact]
    public void Elements_are_as_new_and_arrays_have_the_length_that_was_wanted()
    {
        var request = new FetchRequest();
        foreach (var length in (int[])[100, 64, 65, 200, 100, 1, 66, 67, 68, 69, 100])
        {
            var partitions = Fill(request, length);
            Assert.Equal(length, partitions.Length);
            Assert.Equal(length, partitions.Distinct().Count());
            foreach (var partition in partitions)
            {
                Assert.Equal((0, 0L), (partition.Partition, partition.FetchOffset));
                (partition.Partition, partition.FetchOffset) = (5, 7);
            }
        }
    }

    [Fact]
    public void What_is_not_wanted_for_long_is_let_go()
    {
        var request = new FetchRequest();
        var first = Fill(request, 1000)[0];
        for (var i = 0; i < 10; i++)
            Fill(request, 3);
        Assert.Same(first, Fill(request, 1000)[0]); // now and then
        for (var i = 0; i < 100; i++)
            Fill(request, 3);
        Assert.NotSame(first, Fill(request, 1000)[0]);
    }

    private static FetchRequest.FetchPartition[] Fill(FetchRequest request, int partitions)
    {
        request.Reset();
        return request.TakeTopics(1)[0].TakePartitions(partitions);
    }

    private static long Allocated(Action action)
    {
        action();
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
