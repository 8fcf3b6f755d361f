using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Producing;

/// <summary>One request of a producer, from its sending to what came of it. Owned by the sender's loop once it is over.</summary>
/// <param name="Node">Whom it was sent to.</param>
/// <param name="Address">Where that listened.</param>
/// <param name="Topics">The batches, by topic.</param>
internal sealed record ProduceExchange(SenderNode Node, NodeAddress Address, ProducedTopic[] Topics)
{
    /// <summary>The answer; null when there is none.</summary>
    public ProduceResponse? Answer { get; set; }

    /// <summary>Why there is no answer.</summary>
    public RequestFailedException? Failure { get; set; }

    /// <summary>Whether there is an answer, or will be none.</summary>
    public bool IsOver => Answer is not null || Failure is not null;
}

/// <summary>The part of a request that belongs to a topic.</summary>
/// <param name="Name">The topic's name.</param>
/// <param name="Id">Its id; zero when it is not known.</param>
/// <param name="Batches">The batches, each of another partition.</param>
internal sealed record ProducedTopic(string Name, Uuid Id, ProducerBatch[] Batches);
