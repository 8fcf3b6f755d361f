using System.Net;
using Microsoft.Extensions.Time.Testing;
using Ottla.Broker.Peers;
using Ottla.Network.Transport;
using Ottla.Requests;

namespace Ottla.UnitTests.Peers;

/// <summary>What proves that a process has ended, and what does not.</summary>
public sealed class ProcessProbeTests
{
    private static readonly IPAddress s_host = IPAddress.Parse("10.0.0.1");

    private readonly InMemoryTransport _network = new();
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task Process_whose_every_listener_refuses_has_ended() => Assert.True(await ProbeAsync(Address(1), Address(2)));

    [Fact]
    public async Task Nothing_is_known_of_a_process_without_listeners() => Assert.False(await ProbeAsync());

    [Fact]
    public async Task Process_that_listens_anywhere_lives()
    {
        await using var listener = Listen(2);
        Assert.False(await ProbeAsync(Address(1), Address(2)));
        Assert.False(await ProbeAsync(Address(2), Address(1)));
    }

    [Fact]
    public async Task Process_that_accepts_and_keeps_the_connection_lives()
    {
        await using var listener = Listen(1);
        var probe = ProbeAsync(Address(1));
        await using var connection = await listener.AcceptAsync(default);
        Assert.False(await probe);
    }

    /// <summary>The end of a process takes a moment: its listeners may take a connection after its others were closed.</summary>
    [Fact]
    public async Task Process_that_ends_while_it_is_probed_has_ended()
    {
        await using var listener = Listen(1);
        var probe = ProbeAsync(Address(1));
        await using var connection = await listener.AcceptAsync(default);
        await listener.DisposeAsync();
        connection.Abort();
        Assert.True(await probe);
    }

    [Fact]
    public async Task Process_that_closes_each_connection_at_once_lives()
    {
        await using var listener = Listen(1);
        var probe = ProbeAsync(Address(1));
        while (!probe.IsCompleted)
        {
            var accepted = listener.AcceptAsync(default).AsTask();
            if (await Task.WhenAny(accepted, probe) == accepted)
                await (await accepted).DisposeAsync();
        }

        Assert.False(await probe);
    }

    private static NodeAddress Address(int port) => new(1, s_host.ToString(), port);

    private ITransportListener Listen(int port) =>
        _network.Listen(new IPEndPoint(s_host, port), 10, SocketBufferSizes.OperatingSystemDefaults);

    private async Task<bool> ProbeAsync(params NodeAddress[] addresses)
    {
        var probe = new ProcessProbe(_network, _time).HasEndedAsync(addresses, default);
        while (!probe.IsCompleted)
        {
            _time.Advance(TimeSpan.FromMilliseconds(5));
            await Task.Delay(1);
        }

        return await probe;
    }
}
