using System.Net;
using Ottla.Kernel;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Library;

/// <summary>What goes wrong with clients: they stand still, and are cut off from nodes, one way or both.</summary>
/// <param name="session">Whose clients.</param>
/// <param name="nodes">The hosts of the nodes.</param>
internal sealed class ClientChaos(LibrarySession session, IReadOnlyList<IPAddress> nodes)
{
    private const int TroubleMsMax = 12_000;

    private readonly Prng _random = new(session.World.Random.NextUInt64());

    /// <summary>Makes things go wrong for a time; afterwards every client goes on.</summary>
    public async Task RunAsync(SimProcess director, TimeSpan duration)
    {
        if (session.Conditions.ClientQuietMsMax == 0)
            return;
        var end = director.Clock.GetUtcNow() + duration;
        while (director.Clock.GetUtcNow() < end)
        {
            await director.Delay(Within(session.Conditions.ClientQuietMsMax));
            if (session.LivingClients is not { Count: > 0 } clients)
                continue;
            var client = clients[_random.NextInt(clients.Count)];
            if (_random.NextChance(50))
                await StandStillAsync(director, client);
            else
                await CutAsync(director, client);
        }
    }

    private async Task StandStillAsync(SimProcess director, SimProcess client)
    {
        session.World.Tell("chaos", $"{client.Name} stands still");
        client.Pause();
        await director.Delay(Within(TroubleMsMax));
        session.World.Tell("chaos", $"{client.Name} goes on");
        client.Resume();
    }

    private async Task CutAsync(SimProcess director, SimProcess client)
    {
        var network = session.World.Network;
        var (isOneWay, areAll) = (_random.NextChance(30), _random.NextChance(30));
        var first = _random.NextInt(nodes.Count);
        foreach (var node in areAll ? nodes : [nodes[first]])
        {
            session.World.Tell("chaos", $"cuts {client.Name} from {node}{(isOneWay ? ", one way" : "")}");
            network.Cut(node, client.Address);
            if (!isOneWay)
                network.Cut(client.Address, node);
        }

        await director.Delay(Within(TroubleMsMax));
        network.Heal();
    }

    private TimeSpan Within(int maxMs) => TimeSpan.FromMilliseconds(_random.NextInt(1, maxMs));
}
