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
    private TaskCompletionSource? _closed;

    /// <summary>Adds a connection, unless its address has as many as it may.</summary>
    public bool TryAdd(Connection connection, int addressLimit)
    {
        lock (_lock)
        {
            var address = connection.Info.ClientAddress;
            var count = _countByAddress.GetValueOrDefault(address);
            if (count >= addressLimit)
                return false;
            _countByAddress[address] = count + 1;
            _connections.Add(connection);
            return true;
        }
    }

    /// <summary>Removes a connection that ended.</summary>
    public void Remove(Connection connection)
    {
        TaskCompletionSource? closed;
        lock (_lock)
        {
            _connections.Remove(connection);
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
}
