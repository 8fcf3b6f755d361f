using Ottla.Kernel;

namespace Ottla.Client.Consumers.Processing;

/// <summary>A record that is to be processed.</summary>
/// <param name="result">The record.</param>
internal sealed class WorkItem<TKey, TValue>(ConsumeResult<TKey, TValue> result)
{
    /// <summary>The record.</summary>
    public ConsumeResult<TKey, TValue> Result { get; } = result;

    /// <summary>When its processing began; null before.</summary>
    public Instant? StartedAt { get; set; }

    /// <summary>Whether it was processed.</summary>
    public bool IsDone { get; set; }
}

/// <summary>
/// The records of one partition that wait, are processed, or are done behind one that is not. Guarded by the processor's lock.
/// </summary>
/// <param name="partition">The partition.</param>
internal sealed class PartitionWork<TKey, TValue>(TopicPartition partition)
{
    private readonly Queue<WorkItem<TKey, TValue>> _inOrder = new();

    /// <summary>The partition.</summary>
    public TopicPartition Partition { get; } = partition;

    /// <summary>The records that are processed one after another, by lane: each lane's next one waits for the one before.</summary>
    public Dictionary<int, Queue<WorkItem<TKey, TValue>>> Lanes { get; } = [];

    /// <summary>Records that wait, are processed, or are done behind one that is not.</summary>
    public int Count => _inOrder.Count;

    /// <summary>Records that are processed now.</summary>
    public int Running { get; set; }

    /// <summary>What is processed now, unless the partition is lost: its places in the list of all that is.</summary>
    public HashSet<LinkedListNode<WorkItem<TKey, TValue>>> RunningItems { get; } = [];

    /// <summary>Whether the consumer returns no records of it for now.</summary>
    public bool IsHeld { get; set; }

    /// <summary>Whether the partition is given up: what waits is dropped.</summary>
    public bool IsGone { get; set; }

    /// <summary>Told to what is processed: the partition is lost.</summary>
    public CancellationTokenSource Lost { get; } = new();

    /// <summary>Completes when nothing is processed any more; null when nobody waits for it.</summary>
    public TaskCompletionSource? Idle { get; set; }

    /// <summary>The offset of the first record that was not processed; null when there is none.</summary>
    public long? FirstOpen => _inOrder.TryPeek(out var first) ? first.Result.Offset : null;

    /// <summary>Takes a record in.</summary>
    public void Add(WorkItem<TKey, TValue> item) => _inOrder.Enqueue(item);

    /// <summary>The offset up to which everything is processed, if it has moved; takes these records out.</summary>
    public PartitionOffset? TakePrefix()
    {
        PartitionOffset? prefix = null;
        while (_inOrder.TryPeek(out var first) && first.IsDone)
        {
            prefix = first.Result.Next;
            _inOrder.Dequeue();
        }

        return prefix;
    }
}
