using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Calls;

/// <summary>What has a coordinator: the key types of FindCoordinator.</summary>
internal enum CoordinatorType : sbyte
{
    /// <summary>A group, by its id.</summary>
    Group = 0,

    /// <summary>A transactional id.</summary>
    Transaction = 1,

    /// <summary>A partition of a share group: <c>group:topicId:partition</c>.</summary>
    Share = 2,
}

/// <summary>Where coordinators are: asked for by FindCoordinator, kept until somebody finds that they have moved. Thread-safe.</summary>
/// <param name="calls">Sends the requests.</param>
internal sealed class Coordinators(ClusterCalls calls)
{
    private const short FirstVersionWithManyKeys = 4;
    private const short FirstVersionWithTypes = 1;

    private readonly Lock _lock = new();
    private readonly Dictionary<(CoordinatorType Type, string Key), NodeAddress> _known = [];

    /// <summary>The coordinator of a key; asks for it if it is not known.</summary>
    /// <param name="type">What the key names.</param>
    /// <param name="key">The key.</param>
    /// <param name="options">How the request is sent.</param>
    /// <param name="cancellation">Ends the call.</param>
    /// <exception cref="KafkaException">The cluster refuses to say, or does not know in time.</exception>
    public async ValueTask<NodeAddress> FindAsync(
        CoordinatorType type, string key, CallOptions options, CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_known.TryGetValue((type, key), out var node))
                return node;
        }

        var found = await AskAsync(type, [key], options, cancellation);
        return found[key].Node ?? throw new KafkaException(found[key].Error.Code, found[key].Error.Message);
    }

    /// <summary>Where a coordinator was last; null when nobody has asked, or it has moved.</summary>
    public NodeAddress? Known(CoordinatorType type, string key)
    {
        lock (_lock)
            return _known.GetValueOrDefault((type, key));
    }

    /// <summary>The coordinators of many keys, in one request where the cluster can answer it (KIP-699).</summary>
    /// <returns>By key: the node, or an error that a new attempt does not mend.</returns>
    /// <exception cref="KafkaException">The cluster refuses to say, or does not know in time.</exception>
    public async Task<IReadOnlyDictionary<string, (NodeAddress? Node, ApiError Error)>> FindAllAsync(
        CoordinatorType type, IReadOnlyCollection<string> keys, CallOptions options, CancellationToken cancellation)
    {
        var all = new Dictionary<string, (NodeAddress?, ApiError)>();
        lock (_lock)
        {
            foreach (var key in keys)
            {
                if (_known.TryGetValue((type, key), out var node))
                    all[key] = (node, ApiError.None);
            }
        }

        string[] unknown = [.. keys.Where(key => !all.ContainsKey(key)).Distinct()];
        if (unknown.Length > 0)
        {
            foreach (var (key, found) in await AskAsync(type, unknown, options, cancellation))
                all[key] = found;
        }

        return all;
    }

    /// <summary>Forgets where a coordinator was: it said that it is not it, or cannot be reached.</summary>
    public void Forget(CoordinatorType type, string key)
    {
        lock (_lock)
            _known.Remove((type, key));
    }

    private async Task<Dictionary<string, (NodeAddress? Node, ApiError Error)>> AskAsync(
        CoordinatorType type, string[] keys, CallOptions options, CancellationToken cancellation)
    {
        var found = new Dictionary<string, (NodeAddress?, ApiError)>();
        while (found.Count < keys.Length)
        {
            string[] open = [.. keys.Where(key => !found.ContainsKey(key))];
            string[] asked = open;
            var answer = await calls.ToAnyNodeAsync<FindCoordinatorRequest, FindCoordinatorResponse>(
                version => RequestOf(type, asked = version < FirstVersionWithManyKeys ? open[..1] : open, version),
                answer => ErrorOf(answer, options), options, cancellation);
            if (answer.Coordinators.Length == 0)
            {
                Take(asked[0], answer.NodeId, answer.Host, answer.Port, ApiError.None);
                continue;
            }

            foreach (var each in answer.Coordinators)
                Take(each.Key, each.NodeId, each.Host, each.Port, new ApiError((ErrorCode)each.ErrorCode, each.ErrorMessage));
            foreach (var missing in asked.Where(key => !found.ContainsKey(key)))
                found[missing] = (null, new ApiError(ErrorCode.UnknownServerError, $"The answer does not name {missing}"));
        }

        return found;

        void Take(string key, int nodeId, string host, int port, ApiError error)
        {
            if (error.IsFailure)
            {
                found[key] = (null, error);
                return;
            }

            var node = new NodeAddress(nodeId, host, port);
            found[key] = (node, ApiError.None);
            lock (_lock)
                _known[(type, key)] = node;
        }
    }

    private static FindCoordinatorRequest RequestOf(CoordinatorType type, string[] keys, short version)
    {
        if (version < FirstVersionWithTypes && type != CoordinatorType.Group)
            throw new UnsupportedVersionException("The cluster is too old for transactions: FindCoordinator 1 is needed.");
        var hasMany = version >= FirstVersionWithManyKeys;
        return new FindCoordinatorRequest
        {
            KeyType = (sbyte)type,
            Key = hasMany ? "" : keys[0],
            CoordinatorKeys = hasMany ? keys : [],
        };
    }

    /// <summary>The error of the answer: of one key alone, or one that is tried again.</summary>
    private static ApiError ErrorOf(FindCoordinatorResponse answer, CallOptions options)
    {
        if (answer.Coordinators.Length == 0)
            return new ApiError((ErrorCode)answer.ErrorCode, answer.ErrorMessage);
        var isRetriable = options.IsRetriable ?? ErrorKinds.IsRetriable;
        var failed = answer.Coordinators.Where(each => each.ErrorCode != 0).ToList();
        var decisive = failed.Find(each => isRetriable((ErrorCode)each.ErrorCode))
            ?? (answer.Coordinators.Length == 1 ? failed.FirstOrDefault() : null);
        return decisive is null ? ApiError.None : new ApiError((ErrorCode)decisive.ErrorCode, decisive.ErrorMessage);
    }
}
