using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Controller;

/// <summary>Chooses brokers for the replicas of new partitions. Lives for one placement.</summary>
/// <remarks>
/// Replicas are striped: each partition starts one rack and one broker after the previous one, from a random start, so that leaders and
/// followers are spread evenly. Replicas are on different racks as long as there are enough. The first replica, the leader, is on an
/// unfenced broker; a fenced broker is used only when its rack has no other. When every unfenced broker has been the first replica once,
/// all lists are shuffled, so that the pattern does not repeat.
/// </remarks>
internal sealed class ReplicaPlacer
{
    private readonly Prng _random;
    private readonly List<Rack> _racks;
    private readonly int _unfencedCount;
    private readonly int _totalCount;
    private int _round;
    private int _firstRack;

    public ReplicaPlacer(ClusterImage cluster, Prng random)
    {
        _random = random;
        var usable = cluster.Brokers.Values.Where(broker => !broker.InControlledShutdown && broker.HasUncordonedDirs).ToList();
        _totalCount = usable.Count;
        _unfencedCount = usable.Count(broker => !broker.Fenced);
        _racks =
        [
            .. usable.GroupBy(broker => broker.Rack)
                .OrderBy(group => group.Key, StringComparer.Ordinal)
                .Select(group => new Rack(
                    new Stripe([.. group.Where(broker => !broker.Fenced).Select(broker => broker.Id)], random),
                    new Stripe([.. group.Where(broker => broker.Fenced).Select(broker => broker.Id)], random))),
        ];
        _firstRack = _racks.Count == 0 ? 0 : random.NextInt(_racks.Count);
    }

    /// <summary>Chooses replicas for <paramref name="partitions"/> partitions, each with its preferred leader first.</summary>
    /// <exception cref="ApiException">INVALID_REPLICATION_FACTOR: there are not enough brokers.</exception>
    public List<int[]> Place(int partitions, int replicationFactor)
    {
        if (replicationFactor <= 0)
            throw Invalid($"Invalid replication factor {replicationFactor}: the replication factor must be positive.");
        if (_unfencedCount == 0)
            throw Invalid("All brokers are currently fenced, or have all their log directories cordoned.");
        if (replicationFactor > _totalCount)
        {
            throw Invalid(
                $"The target replication factor of {replicationFactor} cannot be reached because only {_totalCount} broker(s) are "
                + "registered "
                + "or some brokers have all their log directories cordoned.");
        }

        var result = new List<int[]>(partitions);
        for (var i = 0; i < partitions; i++)
            result.Add(PlaceOne(replicationFactor));
        return result;
    }

    private static ApiException Invalid(string message) => new(ErrorCode.InvalidReplicationFactor, message);

    private int[] PlaceOne(int replicationFactor)
    {
        if (_round == _unfencedCount && _unfencedCount > 1)
        {
            Shuffle(_racks, _random);
            foreach (var rack in _racks)
            {
                Shuffle(rack.Unfenced.Brokers, _random);
                Shuffle(rack.Fenced.Brokers, _random);
            }

            _round = 0;
        }

        var replicas = new int[replicationFactor];
        var start = _firstRack % _racks.Count;
        var leaderRack = start;
        while (!_racks[leaderRack].Unfenced.TryNext(_round, out replicas[0]))
            leaderRack = (leaderRack + 1) % _racks.Count;

        var next = start;
        var skipLeaderRack = true;
        for (var i = 1; i < replicationFactor; next = (next + 1) % _racks.Count)
        {
            // In the first round the leader's rack already has its replica.
            if (skipLeaderRack && next == leaderRack)
                skipLeaderRack = false;
            else if (_racks[next].TryNext(_round, out replicas[i]))
                i++;
        }

        _round++;
        _firstRack = start + 1;
        return replicas;
    }

    private static void Shuffle<T>(IList<T> items, Prng random)
    {
        for (var i = items.Count - 1; i > 0; i--)
        {
            var j = random.NextInt(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    private sealed record Rack(Stripe Unfenced, Stripe Fenced)
    {
        public bool TryNext(int round, out int broker) => Unfenced.TryNext(round, out broker) || Fenced.TryNext(round, out broker);
    }

    /// <summary>A ring of brokers. Each round starts one broker later and returns every broker once.</summary>
    private sealed class Stripe(int[] brokers, Prng random)
    {
        private int _offset = brokers.Length == 0 ? 0 : random.NextInt(brokers.Length);
        private int _round;
        private int _taken;

        public int[] Brokers => brokers;

        public bool TryNext(int round, out int broker)
        {
            broker = -1;
            if (brokers.Length == 0)
                return false;
            if (round != _round)
            {
                _round = round;
                _taken = 0;
                _offset = (_offset + 1) % brokers.Length;
            }

            if (_taken >= brokers.Length)
                return false;
            broker = brokers[(_taken++ + _offset) % brokers.Length];
            return true;
        }
    }
}
