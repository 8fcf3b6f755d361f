namespace Ottla.Client.Producing;

/// <summary>
/// How often each partition is to be chosen: the longer its queue, the more seldom (KIP-794). Immutable; made anew by who sends.
/// </summary>
internal sealed class PartitionLoads
{
    private readonly int[] _partitions;
    private readonly int[] _upTo;

    private PartitionLoads(int[] partitions, int[] upTo)
    {
        _partitions = partitions;
        _upTo = upTo;
    }

    /// <summary>Makes a table from the lengths of queues.</summary>
    /// <param name="queueLengths">By partition that has a leader: batches that wait.</param>
    /// <param name="partitions">Their indexes.</param>
    /// <param name="areAllAvailable">Whether no other partition was left out because its leader takes nothing.</param>
    /// <returns>Null when all partitions that have a leader are as good as each other.</returns>
    public static PartitionLoads? Of(ReadOnlySpan<int> queueLengths, ReadOnlySpan<int> partitions, bool areAllAvailable)
    {
        if (queueLengths.IsEmpty || (areAllAvailable && queueLengths.IndexOfAnyExcept(queueLengths[0]) < 0))
            return null;
        var longest = 0;
        foreach (var length in queueLengths)
            longest = Math.Max(longest, length);
        var upTo = new int[queueLengths.Length];
        var sum = 0;
        for (var i = 0; i < upTo.Length; i++)
            upTo[i] = sum += longest + 1 - queueLengths[i];
        return new PartitionLoads(partitions.ToArray(), upTo);
    }

    /// <summary>The partition for a random number that is not negative.</summary>
    public int Choose(int random)
    {
        var place = Array.BinarySearch(_upTo, (random % _upTo[^1]) + 1);
        return _partitions[place >= 0 ? place : ~place];
    }
}
