using Ottla.Client;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>One behaviour that is documented of Kafka's Java client, and a program that shows it.</summary>
/// <param name="Name">What is shown; unique in its area.</param>
/// <param name="RunAsync">The program. It throws when the client behaves otherwise.</param>
internal sealed record Behaviour(string Name, Func<BehaviourRun, Task> RunAsync);

/// <summary>All behaviours, by areas that share a cluster.</summary>
internal static class BehaviourCatalog
{
    /// <summary>The areas.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<Behaviour>> Areas { get; } = new Dictionary<string, IReadOnlyList<Behaviour>>
    {
        ["producer"] = [.. ProducerBehaviours.All],
        ["transactions"] = [.. TransactionBehaviours.All],
        [OlderTransactions] = [.. TransactionBehaviours.All],
        ["consumer"] = [.. ConsumerBehaviours.All],
        ["classic group"] = [.. GroupBehaviours.Of(GroupProtocol.Classic)],
        ["consumer group"] = [.. GroupBehaviours.Of(GroupProtocol.Consumer)],
        ["admin"] = [.. AdminBehaviours.All],
    };

    /// <summary>The area whose cluster has the first version of transactions only.</summary>
    public const string OlderTransactions = "transactions, version 1";
}
