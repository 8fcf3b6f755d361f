namespace Ottla.Broker.Server;

/// <summary>
/// The one list of the APIs that a listener serves. It dispatches requests, and ApiVersions and docs/protocol.md are made from it. Each
/// entry has what all requests of its API share: versions, listeners, required operations, quota, metrics, error response.
/// </summary>
/// <remarks>
/// ApiVersions does not offer an API that is not in the list, and a request for it closes the connection. Immutable once built.
/// </remarks>
public sealed class ApiTable
{
    private readonly ApiEntry?[] _byKey;

    /// <summary>Makes the table of a kind of listener.</summary>
    /// <exception cref="ArgumentException">An API is listed twice, or Kafka does not serve it on such a listener.</exception>
    /// <param name="listener">The kind of listener.</param>
    /// <param name="entries">The APIs.</param>
    /// <param name="authorizer">Says what the senders of requests may do; null allows everything.</param>
    public ApiTable(ApiListeners listener, IEnumerable<ApiEntry> entries, Authorizer? authorizer = null)
    {
        Listener = listener;
        Entries = [.. entries.OrderBy(entry => entry.Key)];
        _byKey = new ApiEntry?[Entries.Count == 0 ? 0 : (int)Entries[^1].Key + 1];
        foreach (var entry in Entries)
        {
            if (_byKey[(int)entry.Key] is not null)
                throw new ArgumentException($"{entry.Key} is listed twice.", nameof(entries));
            if (!entry.Listeners.HasFlag(listener))
                throw new ArgumentException($"{entry.Key} is not an API of {listener} listeners.", nameof(entries));
            entry.Guard(listener, authorizer ?? Authorizer.None);
            _byKey[(int)entry.Key] = entry;
        }
    }

    /// <summary>The kind of listener that serves the table.</summary>
    public ApiListeners Listener { get; }

    /// <summary>The entries, by key.</summary>
    public IReadOnlyList<ApiEntry> Entries { get; }

    /// <summary>The entry of an API; null when it is not served.</summary>
    public ApiEntry? Find(short key) => (uint)key < (uint)_byKey.Length ? _byKey[key] : null;
}
