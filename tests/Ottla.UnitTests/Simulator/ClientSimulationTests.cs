using Ottla.Simulator.Library;

namespace Ottla.UnitTests.Simulator;

/// <summary>A few seeds of the simulation of the client library; <c>./dev sim client</c> runs more.</summary>
public sealed class ClientSimulationTests
{
    /// <summary>One seed of each kind of work.</summary>
    [Theory]
    [InlineData(3)]
    [InlineData(7)]
    [InlineData(8)]
    public void Nothing_is_lost_doubled_or_reordered_and_every_call_ends(ulong seed) => new ClientSimulation().Run(seed);

    /// <summary>
    /// 1: a consumer that had records at hand asked for the next one while its group wanted to rebalance, and spun for ever. 2: a record
    /// that waited for metadata came into no transaction, or into the next one. 4: the second batch of a producer was written without the
    /// first one, by a leader that did not know the producer. 12: a static member that waited for its instance id left out what a first
    /// heartbeat has to say.
    /// </summary>
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(12)]
    public void Seeds_that_once_failed_pass(ulong seed) => new ClientSimulation().Run(seed);
}
