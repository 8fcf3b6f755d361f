using Ottla.Simulator.Faults;
using Ottla.Simulator.Worlds;

namespace Ottla.UnitTests.Client.Errors;

/// <summary>
/// Each program is run as often as it sends requests, and each time another one of them meets a fault: first the first one, then the
/// second, and so on. On one node and on three.
/// </summary>
public sealed class FaultAtEveryRequestTests
{
    private static readonly string[] s_faults = ["cut", "cut after", "drop", "delay", "restart"];

    public static TheoryData<int, string, string> Cases()
    {
        var cases = new TheoryData<int, string, string>();
        foreach (var nodes in new[] { 1, 3 })
        {
            foreach (var program in FaultPrograms.All.Keys)
            {
                foreach (var fault in s_faults)
                    cases.Add(nodes, program, fault);
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_program_is_not_disturbed_by_one_fault_whichever_request_meets_it(int nodes, string program, string fault)
    {
        const int requestsMax = 500;
        ClientWorld.Run(nodes, async (world, director) =>
        {
            var restarts = new List<Task>();
            var met = true;
            for (var number = 1; met; number++)
            {
                Assert.True(number < requestsMax, "the program sends more and more requests");
                met = await RunAsync(number);
                foreach (var restart in restarts)
                    await restart;
                restarts.Clear();
            }

            async Task<bool> RunAsync(int number)
            {
                var hasMet = false;
                try
                {
                    await world.WithClientAsync(
                        async run =>
                        {
                            run.Faults.Decide = request =>
                            {
                                if (hasMet || run.Faults.Seen.Count != number)
                                    return null;
                                hasMet = true;
                                if (fault == "restart")
                                    restarts.Add(RestartAsync(director, world.Cluster.Nodes[1 + (number % nodes)]));
                                return FaultOf(fault);
                            };
                            await FaultPrograms.All[program](run);
                        },
                        FaultPrograms.Patient);
                }
                catch (Exception e) when (e is not Ottla.Simulator.SimulationException)
                {
                    Assert.Fail($"request {number}: {e}");
                }

                return hasMet;
            }
        }, seed: 7);
    }

    private static RequestFault? FaultOf(string fault) => fault switch
    {
        "cut" => new RequestFault.Cut(),
        "cut after" => new RequestFault.CutAfter(),
        "drop" => new RequestFault.Drop(),
        "delay" => new RequestFault.Delay(TimeSpan.FromSeconds(3)), // longer than a request may take
        _ => null,
    };

    /// <summary>Leaders and coordinators move, where there are other nodes.</summary>
    private static Task RestartAsync(SimProcess director, SimNode node) => director.Start(async () =>
    {
        await node.StopAsync();
        await node.StartAsync();
    });
}
