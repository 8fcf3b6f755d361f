using System.Net;
using Ottla.Kernel;

namespace Ottla.Broker.Server;

/// <summary>
/// The open connections, counted against their limits. Used by accept loops, connections and the idle sweep: one lock, held briefly.
/// </summary>
internal sealed class ConnectionRegistry
{
    private readonly Lock _lock = new();
    private readonly HashSet<Connection> _connections = [];
    private readonly Dictionary<IPAddress, int> _countByAddress = [];
    private readonly Dictionary<IPAddress, LinkedList<Connection>> _loginsByAddress = [];
    private readonly Dictionary<Connection, LinkedListNode<Connection>> _logins = [];
    private TaskCompletionSource? _closed;

    /// <summary>Adds a connection, unless its address has as many as it may.</summary>
    /// <param name="connection">The connection.</param>
    /// <param name="addressLimit">The most connections of its address.</param>
    /// <param name="oldestLogin">
    /// The oldest connection of the address that is not logged in, if there are too many of them: the caller closes it. So somebody who
    /// only
    /// connects cannot keep others of the address out.
    /// </param>
    public bool TryAdd(Connection connection, int addressLimit, out Connection? oldestLogin)
    {
        oldestLogin = null;
        lock (_lock)
        {
            var address = connection.Info.ClientAddress;
            var count = _countByAddress.GetValueOrDefault(address);
            if (count >= addressLimit)
                return false;
            _countByAddress[address] = count + 1;
            _connections.Add(connection);
            if (connection.LoginsPerAddressMax is { } loginsMax)
                oldestLogin = AddLogin(connection, address, loginsMax);
            return true;
        }
    }

    /// <summary>Notes that a connection's client has proved who it is.</summary>
    public void NoteLogin(Connection connection)
    {
        lock (_lock)
            RemoveLogin(connection);
    }

    /// <summary>Removes a connection that ended.</summary>
    public void Remove(Connection connection)
    {
        TaskCompletionSource? closed;
        lock (_lock)
        {
            _connections.Remove(connection);
            RemoveLogin(connection);
            var address = connection.Info.ClientAddress;
            var count = _countByAddress[address] - 1;
            if (count == 0)
                _countByAddress.Remove(address);
            else
                _countByAddress[address] = count;
            closed = _closed;
            _closed = null;
        }

        closed?.SetResult();
    }

    /// <summary>The open connections at this moment.</summary>
    public Connection[] Snapshot()
    {
        lock (_lock)
            return [.. _connections];
    }

    /// <summary>Waits until there are fewer than <paramref name="limit"/> connections.</summary>
    public async ValueTask WaitUntilBelowAsync(int limit, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task closed;
            lock (_lock)
            {
                if (_connections.Count < limit)
                    return;
                _closed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                closed = _closed.Task;
            }

            await closed.UntilCanceled(cancellationToken);
        }
    }

    /// <summary>Called under the lock.</summary>
    private Connection? AddLogin(Connection connection, IPAddress address, int loginsMax)
    {
        if (!_loginsByAddress.TryGetValue(address, out var logins))
            _loginsByAddress[address] = logins = new LinkedList<Connection>();
        var oldest = logins.Count >= loginsMax ? logins.First!.Value : null;
        if (oldest is not null)
        {
            logins.RemoveFirst();
            _logins.Remove(oldest);
        }

        _logins[connection] = logins.AddLast(connection);
        return oldest;
    }

    /// <summary>Called under the lock.</summary>
    private void RemoveLogin(Connection connection)
    {
        if (!_logins.Remove(connection, out var node))
            return;
        var logins = node.List!;
        logins.Remove(node);
        if (logins.Count == 0)
            _loginsByAddress.Remove(connection.Info.ClientAddress);
    }
}
