namespace Ottla.Broker.Shared;

/// <summary>
/// The epoch of a broker's registration (KIP-631), which tells its incarnations apart. Lives as long as the node; thread-safe.
/// </summary>
public sealed class BrokerEpoch
{
    private long _value = -1;

    /// <summary>The epoch that the controller gave this incarnation; -1 before it has.</summary>
    public long Value
    {
        get => Interlocked.Read(ref _value);
        set => Interlocked.Exchange(ref _value, value);
    }
}
