using Ottla.Simulator.Faults;
using Ottla.UnitTests.Client.Errors;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>
/// The client's behaviours, on one node and on three, while nothing goes wrong and under each fault. Nothing that was acknowledged is lost,
/// doubled or reordered.
/// </summary>
public sealed class BehaviourSuiteTests
{
    /// <summary>A lost answer is waited for in vain, and must not cost a member its place.</summary>
    private static (string Name, string Value)[] LongSessions =>
        [("group.consumer.session.timeout.ms", "15000"), ("group.consumer.max.session.timeout.ms", "15000")];

    public static TheoryData<int, string, string> Cases()
    {
        var cases = new TheoryData<int, string, string>();
        foreach (var nodes in new[] { 1, 3 })
        {
            foreach (var area in BehaviourCatalog.Areas.Keys)
            {
                foreach (var fault in FaultSwitch.All.Keys)
                    cases.Add(nodes, area, fault);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_client_behaves_as_it_should(int nodes, string area, string fault)
    {
        List<string> failures = [];
        ClientWorld.Run(nodes, async (world, director) =>
        {
            var host = new BehaviourHost(world, director, nodes, FaultSwitch.All[fault]);
            if (area == BehaviourCatalog.OlderTransactions)
                await host.DowngradeTransactionsAsync();
            failures = await host.ShowAsync(BehaviourCatalog.Areas[area]);
        }, seed: 11, LongSessions);
        Assert.True(failures.Count == 0, string.Join("\n\n", failures));
    }

    /// <summary>Behaviours that send every kind of request, each with every single fault.</summary>
    public static TheoryData<int, string, string, string> SingleFaults()
    {
        var cases = new TheoryData<int, string, string, string>();
        foreach (var nodes in new[] { 1, 3 })
        {
            foreach (var fault in new[] { "cut", "cut after", "drop", "delay", "restart" })
            {
                cases.Add(nodes, "producer", "batches of 1 bytes, 5 in flight, linger 0 ms: the order is kept", fault);
                cases.Add(nodes, "transactions", "offsets are committed with their transaction", fault);
                cases.Add(nodes, "classic group", "a member goes on where the one before has committed", fault);
                cases.Add(nodes, "consumer group", "a member goes on where the one before has committed", fault);
            }
        }

        return cases;
    }

    /// <summary>
    /// Each behaviour is shown as often as it sends requests, and each time another one of them meets a fault: first the first one, then
    /// the second, and so on.
    /// </summary>
    [Theory]
    [MemberData(nameof(SingleFaults))]
    public void A_behaviour_is_not_disturbed_by_one_fault_whichever_request_meets_it(int nodes, string area, string name, string fault)
    {
        const int requestsMax = 500;
        var behaviour = BehaviourCatalog.Areas[area].Single(each => each.Name == name);
        ClientWorld.Run(nodes, async (world, director) =>
        {
            var hasMet = true;
            for (var number = 1; hasMet; number++)
            {
                Assert.True(number < requestsMax, "it sends more and more requests");
                hasMet = false;
                var single = new FaultSwitch(fault, (run, _) =>
                {
                    if (hasMet || run.Faults.Seen.Count != number)
                        return null;
                    hasMet = true;
                    if (fault == "restart")
                        run.Restart(1 + (number % nodes));
                    return FaultOf(fault);
                });
                var failures = await new BehaviourHost(world, director, nodes, single).ShowAsync([behaviour]);
                Assert.True(failures.Count == 0, $"request {number}: {string.Join("\n\n", failures)}");
            }
        }, seed: 7, LongSessions);
    }

    [Fact]
    public void Each_behaviour_has_a_name_of_its_own()
    {
        foreach (var (area, behaviours) in BehaviourCatalog.Areas)
            Assert.True(behaviours.DistinctBy(each => each.Name).Count() == behaviours.Count, $"two behaviours of {area} have one name");
    }

    private static RequestFault? FaultOf(string fault) => fault switch
    {
        "cut" => new RequestFault.Cut(),
        "cut after" => new RequestFault.CutAfter(),
        "drop" => new RequestFault.Drop(),
        "delay" => new RequestFault.Delay(FaultSwitch.Late),
        _ => null,
    };
}
