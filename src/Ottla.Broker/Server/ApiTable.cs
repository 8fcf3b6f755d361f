namespace Ottla.Broker.Server;

/// <summary>The one list of what this broker serves: requests are dispatched by it, ApiVersions and docs/protocol.md are written from it.</summary>
/// <remarks>An API that is not in the list is not offered, and a request for it closes the connection. Immutable once built.</remarks>
public sealed class ApiTable
{
    private readonly ApiEntry?[] _byKey;

    /// <summary>Makes the table; every API may be listed once.</summary>
    public ApiTable(IEnumerable<ApiEntry> entries)
    {
        Entries = [.. entries.OrderBy(entry => entry.Key)];
        _byKey = new ApiEntry?[Entries.Count == 0 ? 0 : (int)Entries[^1].Key + 1];
        foreach (var entry in Entries)
        {
            if (_byKey[(int)entry.Key] is not null)
                throw new ArgumentException($"{entry.Key} is listed twice.", nameof(entries));
            _byKey[(int)entry.Key] = entry;
        }
    }

    /// <summary>The entries, by key.</summary>
    public IReadOnlyList<ApiEntry> Entries { get; }

    /// <summary>The entry of an API; null when it is not served.</summary>
    public ApiEntry? Find(short key) => (uint)key < (uint)_byKey.Length ? _byKey[key] : null;
}
