using System.Net;
using Ottla.Client;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Client;

/// <summary>A client and the node that it talks to, in memory and on one clock. Made and disposed by one test.</summary>
internal sealed class ClientBed : IAsyncDisposable
{
    private ClientBed(TestNode node, OttlaClient client)
    {
        Node = node;
        Client = client;
    }

    public TestNode Node { get; }

    public OttlaClient Client { get; }

    /// <summary>Starts a node with topics of one partition each, and a client of it.</summary>
    public static Task<ClientBed> StartAsync(params string[] topics) => StartAsync(null, topics);

    /// <summary>As <see cref="StartAsync(string[])"/>, with other options of the client.</summary>
    public static async Task<ClientBed> StartAsync(Func<OttlaClientOptions, OttlaClientOptions>? change, params string[] topics)
    {
        var node = await TestNode.StartAsync(TransactionCalls.FewPartitions);
        node.Network.NameHost("localhost", IPAddress.Loopback);
        await using (var connection = await node.ConnectAsync())
        {
            foreach (var topic in topics)
                await connection.CreateTopicAsync(topic);
        }

        var options = OptionsFor(node);
        return new ClientBed(node, new OttlaClient(change is null ? options : change(options)));
    }

    /// <summary>As <see cref="StartAsync(string[])"/>, with other configs of the node and no topic.</summary>
    public static async Task<ClientBed> StartConfiguredAsync(params (string Name, string Value)[] configs)
    {
        var node = await TestNode.StartAsync([.. TransactionCalls.FewPartitions, .. configs]);
        node.Network.NameHost("localhost", IPAddress.Loopback);
        return new ClientBed(node, new OttlaClient(OptionsFor(node)));
    }

    public static OttlaClientOptions OptionsFor(TestNode node) => new()
    {
        BootstrapServers = node.Node.EndPoints[0].ToString(),
        TimeProvider = node.Clock,
        Transport = node.Network,
        Seed = 42,
    };

    /// <summary>Moves the clock until a task is done, and returns its result.</summary>
    public async Task<T> RunAsync<T>(Task<T> task, long stepMs = 1)
    {
        await Node.Clock.AdvanceUntilAsync(task, stepMs);
        return await task;
    }

    /// <summary>Moves the clock until a task is done.</summary>
    public Task RunAsync(Task task, long stepMs = 1) => Node.Clock.AdvanceUntilAsync(task, stepMs);

    public async ValueTask DisposeAsync()
    {
        await RunAsync(Client.DisposeAsync().AsTask(), stepMs: 100);
        await Node.DisposeAsync();
    }
}
