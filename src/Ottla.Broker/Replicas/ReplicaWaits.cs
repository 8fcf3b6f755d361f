namespace Ottla.Broker.Replicas;

/// <summary>Counts the requests that wait for a change of replicas.</summary>
/// <remarks>
/// Any thread counts, without a lock; lives as long as the broker. Appends that wait for followers are counted by
/// <see cref="CommitDeadlines"/>.
/// </remarks>
internal sealed class ReplicaWaits
{
    private int _fetches;
    private int _deletions;

    /// <summary>Fetches, of consumers and of followers, that wait for records.</summary>
    public int Fetches => Volatile.Read(ref _fetches);

    /// <summary>Deletions of records that wait until the other replicas have followed.</summary>
    public int Deletions => Volatile.Read(ref _deletions);

    /// <summary>Counts a fetch until the end of the scope.</summary>
    public Scope CountFetch() => new(this, isFetch: true);

    /// <summary>Counts a deletion of records until the end of the scope.</summary>
    public Scope CountDeletion() => new(this, isFetch: false);

    /// <summary>Ends what was counted.</summary>
    public readonly struct Scope : IDisposable
    {
        private readonly ReplicaWaits _waits;
        private readonly bool _isFetch;

        internal Scope(ReplicaWaits waits, bool isFetch)
        {
            (_waits, _isFetch) = (waits, isFetch);
            Interlocked.Increment(ref Count);
        }

        /// <inheritdoc/>
        public void Dispose() => Interlocked.Decrement(ref Count);

        private ref int Count => ref _isFetch ? ref _waits._fetches : ref _waits._deletions;
    }
}
