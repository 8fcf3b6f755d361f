using Ottla.Kernel;
using Ottla.Requests;

namespace Ottla.Client.Producing;

/// <summary>
/// A node as the sender's loop sees it: what is under way, and the request that is being put together. Owned by the loop.
/// </summary>
internal sealed class SenderNode
{
    private readonly HashSet<PartitionQueue> _queues = [];
    private readonly Queue<ProduceExchange> _exchanges = new();

    /// <summary>Where it listens.</summary>
    public NodeAddress Address { get; set; } = null!;

    /// <summary>Requests under way.</summary>
    public int InFlight => _exchanges.Count;

    /// <summary>Until when it wants no more requests, because of a quota; null for none.</summary>
    public Instant? BlockedUntil { get; set; }

    /// <summary>The connections that were made when the last request without an answer was sent; null before. Any thread.</summary>
    public int? ConnectionsMade { get; set; }

    /// <summary>The batches of the next request, each of another partition.</summary>
    public List<ProducerBatch> Planned { get; private set; } = [];

    /// <summary>Their bytes.</summary>
    public int PlannedBytes { get; private set; }

    /// <summary>Whether the request has a batch of a partition, or one had in this round: each has one batch of a partition.</summary>
    public bool HasPlanned(PartitionQueue queue) => _queues.Contains(queue);

    /// <summary>Takes note of a request that is sent.</summary>
    public void Begin(ProduceExchange exchange) => _exchanges.Enqueue(exchange);

    /// <summary>
    /// The next request that is over: in the order of the requests, in which a node answers, whatever order their answers are heard of.
    /// </summary>
    public bool TryTakeOver(out ProduceExchange exchange)
    {
        if (!_exchanges.TryPeek(out exchange!) || !exchange.IsOver)
            return false;
        _exchanges.Dequeue();
        return true;
    }

    /// <summary>Begins another round over the queues.</summary>
    public void BeginRound() => _queues.Clear();

    /// <summary>Adds a batch to the next request.</summary>
    public void Add(ProducerBatch batch)
    {
        _queues.Add(batch.Queue);
        Planned.Add(batch);
        PlannedBytes += batch.Wire.Length;
    }

    /// <summary>Takes the batches of the next request.</summary>
    public List<ProducerBatch> TakePlanned()
    {
        var planned = Planned;
        Planned = [];
        PlannedBytes = 0;
        return planned;
    }
}
