using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Replication;
using Ottla.Storage.Log;
using static Ottla.UnitTests.Replication.FollowerBed;

namespace Ottla.UnitTests.Replication;

/// <summary>What a follower allocates for a replicated batch: counted, not timed.</summary>
public sealed class FollowerAllocationTests
{
    private const int Rounds = 2000;

    [Fact]
    public void A_fetch_of_changing_partitions_allocates_nothing()
    {
        const int partitions = 20;
        var machine = new FetcherMachine<object>(new FetcherOptions(3, 1000, 500, 1, 10485760, 1048576));
        var (request, response, now, random) = (new FetchRequest(), new FetchResponse(), new Instant(1000), new Prng(1));
        for (var i = 0; i < partitions; i++)
            machine.Follow(new TopicIdPartition(Topic, i), this, 0, new FetcherPosition(0, -1, 0));
        machine.TryFillRequest(request, 18, 1, false, now);
        Answer(0, partitions);
        var bytes = new long[Rounds];
        for (var round = 0; round < Rounds; round++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            machine.TryFillRequest(request, 18, 1, false, now);
            var first = random.NextInt(partitions);
            Answer(first, 1 + random.NextInt(partitions - first));
            bytes[round] = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Array.Sort(bytes);
        Assert.Equal(0, bytes[Rounds / 2]);

        void Answer(int first, int count)
        {
            response.Reset();
            response.SessionId = 7;
            var topic = response.TakeResponses(1)[0];
            topic.TopicId = Topic;
            var index = first;
            foreach (var data in topic.TakePartitions(count))
                data.PartitionIndex = index++;
            machine.TryAccept(response, now, out _);
            foreach (var data in topic.Partitions)
            {
                if (machine.Judge(Topic, data, now, out var partition) == FetchVerdict.Append)
                    machine.OnAppended(partition!, new FetcherPosition(partition!.FetchOffset + 1, 0, 0), 0);
            }
        }
    }

    [Fact]
    public async Task A_batch_that_is_taken_over_allocates_nothing()
    {
        await using var bed = new FollowerBed();
        await bed.FollowAsync();
        var replica = bed.Replica();
        var batches = Enumerable.Range(0, Rounds).Select(i => Stored(i, 0)).ToArray();
        var bytes = new long[Rounds];
        for (var i = 0; i < Rounds; i++)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            replica.TakeFetched(new FetchedBatches(batches[i], 0, i, i, 0), bed.Now, out _);
            bytes[i] = GC.GetAllocatedBytesForCurrentThread() - before;
        }

        Array.Sort(bytes);
        Assert.Equal(0, bytes[Rounds / 2]);
        Assert.Equal(Rounds, replica.Log.LogEndOffset);
    }
}
