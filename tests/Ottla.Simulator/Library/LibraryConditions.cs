using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Simulator.Clusters;
using Ottla.Simulator.Replication;

namespace Ottla.Simulator.Library;

/// <summary>What a seed draws at its start, for clients of the library.</summary>
internal sealed record LibraryConditions
{
    /// <summary>A batch has to fit a segment; what the clients send while a partition cannot be written is one batch.</summary>
    private const int SegmentBytesMin = 20_000;

    /// <summary>The cluster and what goes wrong in it.</summary>
    public required ReplicationConditions Cluster { get; init; }

    /// <summary><see cref="OttlaClientOptions.RequestTimeout"/>.</summary>
    public required TimeSpan RequestTimeout { get; init; }

    /// <summary><see cref="OttlaClientOptions.ApiTimeout"/>.</summary>
    public required TimeSpan ApiTimeout { get; init; }

    /// <summary><see cref="ProducerOptions.DeliveryTimeout"/>.</summary>
    public required TimeSpan DeliveryTimeout { get; init; }

    /// <summary><see cref="ProducerOptions.Linger"/>.</summary>
    public required TimeSpan Linger { get; init; }

    /// <summary><see cref="ProducerOptions.BatchBytes"/>.</summary>
    public required int BatchBytes { get; init; }

    /// <summary><see cref="ProducerOptions.InFlightMax"/>.</summary>
    public required int InFlightMax { get; init; }

    /// <summary><see cref="ProducerOptions.Compression"/>.</summary>
    public required CompressionType Compression { get; init; }

    /// <summary><see cref="ConsumerOptions.Assignors"/> of all members of classic groups.</summary>
    public required IReadOnlyList<string> Assignors { get; init; }

    /// <summary>How many of a hundred members are static ones.</summary>
    public required int StaticPercent { get; init; }

    /// <summary>How long it is quiet between two faults of clients, at most; 0 for no such faults.</summary>
    public required int ClientQuietMsMax { get; init; }

    /// <summary>Whether a request may be carried out long after its client has repeated it.</summary>
    public bool HasLateRequests => Cluster.StallsPerThousand > 0 || ClientQuietMsMax > 0 || Cluster.Faults.Any(
        fault => fault is ClusterFault.Pause or ClusterFault.SlowLink or ClusterFault.Cut or ClusterFault.CutListener
            or ClusterFault.CutOff);

    /// <inheritdoc/>
    public override string ToString() =>
        $"request {RequestTimeout.TotalSeconds} s, API {ApiTimeout.TotalSeconds} s, delivery {DeliveryTimeout.TotalSeconds} s, linger "
            + $"{Linger.TotalMilliseconds} ms, batch {BatchBytes}, in flight {InFlightMax}, {Compression}, "
            + $"assignors {string.Join('+', Assignors)}, static {StaticPercent}%, client faults every {ClientQuietMsMax} ms; {Cluster}";

    /// <summary>The conditions of a seed: three nodes that are controllers and brokers, and three replicas of everything.</summary>
    public static LibraryConditions Draw(Prng random)
    {
        const string replicas = "3", minInSync = "2";
        var drawn = ReplicationConditions.Draw(random);
        var cluster = drawn with
        {
            Controllers = [1, 2, 3],
            Brokers = [1, 2, 3],
            ReplicationFactor = 3,
            MinInSync = 2,
            SegmentBytes = Math.Max(drawn.SegmentBytes, SegmentBytesMin),
            PowerLossPercent = random.NextChance(50) ? 60 : 0,
            Configs = new Dictionary<string, string>(drawn.Configs)
            {
                ["min.insync.replicas"] = minInSync,
                ["default.replication.factor"] = replicas,
                ["offsets.topic.replication.factor"] = replicas,
                ["transaction.state.log.replication.factor"] = replicas,
                ["transaction.state.log.min.isr"] = minInSync,
                ["group.min.session.timeout.ms"] = "1000",
            },
        };
        var requestTimeout = TimeSpan.FromSeconds(Pick(random, 2, 5, 30));
        return new LibraryConditions
        {
            Cluster = cluster,
            RequestTimeout = requestTimeout,
            ApiTimeout = requestTimeout * Pick(random, 2, 4),
            DeliveryTimeout = requestTimeout + TimeSpan.FromSeconds(Pick(random, 1, 30, 300, 300)),
            Linger = TimeSpan.FromMilliseconds(Pick(random, 0, 5, 100)),
            BatchBytes = Pick(random, 1, 300, 262_144),
            InFlightMax = Pick(random, 1, 2, 5, 5),
            Compression = (CompressionType)Pick(random, 0, 0, 1, 2, 3, 4),
            Assignors = random.NextInt(5) switch
            {
                0 => ["range"],
                1 => ["roundrobin"],
                2 => ["sticky"],
                3 => ["cooperative-sticky"],
                _ => ["range", "cooperative-sticky"],
            },
            StaticPercent = Pick(random, 0, 0, 50),
            ClientQuietMsMax = Pick(random, 0, 0, 6_000),
        };
    }

    private static int Pick(Prng random, params ReadOnlySpan<int> values) => values[random.NextInt(values.Length)];
}
