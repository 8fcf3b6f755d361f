using Ottla.Kernel;
using Ottla.StateMachines.Share;

namespace Ottla.UnitTests.Share;

/// <summary>Batches laid over others, against one entry for each offset.</summary>
public sealed class DeliveryBatchTests
{
    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 200).Select(seed => (ulong)seed)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void What_follows_is_the_higher_of_all_at_each_offset(ulong seed)
    {
        var prng = new Prng(seed);
        var known = Draw(prng);
        var changes = Draw(prng);
        var startOffset = prng.NextInt(-1, 15);
        var combined = DeliveryBatch.Combine(known, changes, startOffset);

        var model = new SortedDictionary<long, (short Count, DeliveryState State)>();
        foreach (var batch in known.Concat(changes))
        {
            for (var offset = batch.FirstOffset; offset <= batch.LastOffset; offset++)
            {
                var value = (batch.DeliveryCount, batch.State);
                if (offset >= startOffset && (!model.TryGetValue(offset, out var higher) || value.CompareTo(higher) > 0))
                    model[offset] = value;
            }
        }

        Assert.Equal(model, combined.SelectMany(batch => Offsets(batch)
            .Select(offset => KeyValuePair.Create(offset, (batch.DeliveryCount, batch.State)))));
        Assert.All(combined.Zip(combined.Skip(1)), pair => Assert.True(
            pair.First.LastOffset + 1 < pair.Second.FirstOffset
                || (pair.First.State, pair.First.DeliveryCount) != (pair.Second.State, pair.Second.DeliveryCount)));
    }

    private static IEnumerable<long> Offsets(DeliveryBatch batch)
    {
        for (var offset = batch.FirstOffset; offset <= batch.LastOffset; offset++)
            yield return offset;
    }

    private static List<DeliveryBatch> Draw(Prng prng)
    {
        var batches = new List<DeliveryBatch>();
        for (var i = prng.NextInt(6); i > 0; i--)
        {
            var first = prng.NextInt(30);
            batches.Add(new DeliveryBatch(
                first, first + prng.NextInt(-1, 8), (DeliveryState)prng.NextInt(5), (short)prng.NextInt(1, 4)));
        }

        return batches;
    }
}
