using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Clients;

/// <summary>
/// Which version of each API a client uses: any that is stable, as clients of all ages do. Chosen once per client and bounds.
/// </summary>
/// <param name="random">Chooses.</param>
/// <param name="bounds">The APIs of which not every version will do, and those that will.</param>
internal sealed class ClientVersions(Prng random, params (ApiKey Key, short Lowest, short Highest)[] bounds)
{
    private readonly Dictionary<ApiKey, short> _chosen = [];
    private (ApiKey Key, short Lowest, short Highest)[] _bounds = bounds;

    /// <summary>Chooses anew, from other versions.</summary>
    public void Rebind(params (ApiKey Key, short Lowest, short Highest)[] bounds)
    {
        _bounds = bounds;
        _chosen.Clear();
    }

    public short Of(ApiKey key)
    {
        if (_chosen.TryGetValue(key, out var version))
            return version;
        var schema = ClientFrames.SchemaOf(key);
        var (_, lowest, highest) = _bounds.Append((Key: key, schema.LowestVersion, schema.HighestStableVersion))
            .First(bound => bound.Key == key);
        return _chosen[key] = (short)random.NextInt(lowest, highest + 1);
    }
}
