namespace Ottla.Client.Producing;

/// <summary>The outcomes of many records, which are waited for together. Thread-safe.</summary>
/// <param name="count">How many; at least one.</param>
internal sealed class DeliveryOutcomes(int count)
{
    private readonly DeliveryResult[] _results = new DeliveryResult[count];
    private readonly TaskCompletionSource<DeliveryResult[]> _all = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _missing = count;

    /// <summary>All outcomes, once all are there.</summary>
    public Task<DeliveryResult[]> All => _all.Task;

    /// <summary>Takes an outcome; each one once.</summary>
    public void Set(int slot, DeliveryResult result)
    {
        _results[slot] = result;
        if (Interlocked.Decrement(ref _missing) == 0)
            _all.TrySetResult(_results);
    }
}
