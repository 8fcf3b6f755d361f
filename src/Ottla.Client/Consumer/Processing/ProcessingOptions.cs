namespace Ottla.Client;

/// <summary>Which records are processed one after another.</summary>
public enum ProcessingOrder
{
    /// <summary>All of a partition.</summary>
    Partition,

    /// <summary>Those of a partition with the same key, and those without one.</summary>
    Key,

    /// <summary>None.</summary>
    None,
}

/// <summary>How <see cref="IConsumer{TKey, TValue}.ProcessAsync"/> works.</summary>
public sealed record ProcessingOptions
{
    /// <summary>Which records are processed one after another.</summary>
    public ProcessingOrder Order { get; init; } = ProcessingOrder.Partition;

    /// <summary>The most records that are processed at the same time, all partitions together.</summary>
    public int ParallelismMax { get; init; } = 16;

    /// <summary>The most records of a partition that wait or are processed. With more the partition rests, and others go on.</summary>
    public int BufferedRecordsMax { get; init; } = 500;

    internal void Validate()
    {
        if (!Enum.IsDefined(Order))
            throw new ArgumentException($"{nameof(Order)} has no value {Order}.");
        if (ParallelismMax < 1)
            throw new ArgumentException($"{nameof(ParallelismMax)} must be at least 1, and is {ParallelismMax}.");
        if (BufferedRecordsMax < 1)
            throw new ArgumentException($"{nameof(BufferedRecordsMax)} must be at least 1, and is {BufferedRecordsMax}.");
    }
}
