namespace Ottla.Client.Producing;

/// <summary>Who wants to know the outcome of a record: a task, a handler, or nobody.</summary>
internal readonly record struct RecordCallback
{
    private readonly object? _target;

    /// <summary>Nobody.</summary>
    public RecordCallback()
    {
    }

    /// <summary>Who waits for a task.</summary>
    public RecordCallback(TaskCompletionSource<RecordMetadata> task) => _target = task;

    /// <summary>A handler; null for nobody.</summary>
    public RecordCallback(Action<DeliveryResult>? handler) => _target = handler;

    /// <summary>One of many records whose outcomes are waited for together.</summary>
    /// <param name="outcomes">The outcomes.</param>
    /// <param name="slot">Which of them.</param>
    public RecordCallback(DeliveryOutcomes outcomes, int slot) => (_target, Slot) = (outcomes, slot);

    /// <summary>Who wants to know, and the activity that ends with the outcome.</summary>
    public RecordCallback(TracedDelivery traced) => _target = traced;

    /// <summary>Which of the outcomes that are waited for together.</summary>
    public int Slot { get; }

    /// <summary>The record's place in its batch.</summary>
    public int Index { get; init; }

    /// <summary>The record's timestamp, in milliseconds since the epoch.</summary>
    public long Timestamp { get; init; }

    /// <summary>Whether nobody wants to know.</summary>
    public bool IsEmpty => _target is null;

    /// <summary>Tells the outcome. A handler may throw.</summary>
    public void Tell(RecordMetadata metadata, KafkaException? error)
    {
        if (_target is TaskCompletionSource<RecordMetadata> task)
        {
            if (error is null)
                task.TrySetResult(metadata);
            else
                task.TrySetException(error);
        }
        else if (_target is Action<DeliveryResult> handler)
        {
            handler(new DeliveryResult(metadata, error));
        }
        else if (_target is DeliveryOutcomes outcomes)
        {
            outcomes.Set(Slot, new DeliveryResult(metadata, error));
        }
        else if (_target is TracedDelivery traced)
        {
            traced.Tell(metadata, error);
        }
    }
}
