using Ottla.Client.Admins;
using Ottla.Client.Calls;
using Ottla.Protocol;

namespace Ottla.Client;

/// <summary>Administers a cluster: see <see cref="IAdmin"/>. The client owns what it works with.</summary>
public sealed partial class Admin : IAdmin
{
    private const int NotAsked = int.MinValue; // the mark for authorized operations that were not asked for

    private readonly OttlaClient _client;
    private readonly ItemCalls _items;
    private bool _isClosed;

    /// <summary>See <see cref="OttlaClient.CreateAdmin"/>.</summary>
    internal Admin(OttlaClient client)
    {
        _client = client;
        _items = new ItemCalls(client);
    }

    private ClusterCalls Calls
    {
        get
        {
            ThrowIfClosed();
            return _client.Calls;
        }
    }

    private ItemCalls Items
    {
        get
        {
            ThrowIfClosed();
            return _items;
        }
    }

    /// <summary>Ends it: further calls throw, and those under way go on to their end. It takes no time.</summary>
    public ValueTask DisposeAsync()
    {
        Volatile.Write(ref _isClosed, true);
        _client.Remove(this);
        return ValueTask.CompletedTask;
    }

    private void ThrowIfClosed() => ObjectDisposedException.ThrowIf(Volatile.Read(ref _isClosed), this);

    private int RequestTimeoutMs => (int)_client.Options.RequestTimeout.TotalMilliseconds;

    private NodeRoute<TKey> ToController<TKey>() => new(_client, _ => null, othersToController: true);

    private static ApiError ErrorOf(short code, string? message = null) => new((ErrorCode)code, message);

    private static int Milliseconds(TimeSpan time) => (int)Math.Clamp(time.TotalMilliseconds, 1, int.MaxValue);

    /// <summary>The results of items without values.</summary>
    private static AdminResults<TKey> Outcomes<TKey>(Dictionary<TKey, AdminResult<Done>> results)
        where TKey : notnull => new(results.ToDictionary(each => each.Key, AdminResult (each) => each.Value));

    private static AdminResults<TKey, TValue> Results<TKey, TValue>(Dictionary<TKey, AdminResult<TValue>> results)
        where TKey : notnull => new(results);

    /// <summary>The operations whose bits are set; null when they were not asked for (KIP-430).</summary>
    private static HashSet<AclOperation>? Operations(int bits) =>
        bits == NotAsked ? null : [.. Enum.GetValues<AclOperation>().Where(operation => (bits & (1 << (int)operation)) != 0)];

    /// <summary>The value of an item that is done and has none.</summary>
    private readonly record struct Done;
}
