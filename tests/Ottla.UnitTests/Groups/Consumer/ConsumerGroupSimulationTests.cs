namespace Ottla.UnitTests.Groups.Consumer;

/// <summary>Many histories of a group, each from its seed. To look at one that fails, run its seed alone.</summary>
public sealed class ConsumerGroupSimulationTests
{
    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 150).Select(seed => (ulong)seed)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void No_partition_has_two_owners_and_all_have_one_when_it_settles(ulong seed)
    {
        var simulation = new ConsumerGroupSimulation(seed, membersMax: 8);
        for (var round = 0; round < 3; round++)
        {
            simulation.RunWild(200);
            simulation.Settle();
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_storm_of_members_settles_too(ulong seed)
    {
        var simulation = new ConsumerGroupSimulation(seed, membersMax: 100);
        simulation.RunWild(2_000);
        simulation.Settle();
    }
}
