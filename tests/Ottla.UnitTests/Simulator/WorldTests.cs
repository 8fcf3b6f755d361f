using System.Net;
using System.Net.Sockets;
using Ottla.HistoryChecker.History;
using Ottla.Network.Transport;
using Ottla.Simulator;
using Ottla.Simulator.Workloads;
using Ottla.Simulator.Worlds;

namespace Ottla.UnitTests.Simulator;

/// <summary>A world keeps to its seed, and finds out who does not.</summary>
public sealed class WorldTests
{
    private static readonly IPEndPoint Server = new(IPAddress.Parse("10.0.0.9"), 1234);

    [Theory]
    [InlineData(3, false)]
    [InlineData(4, true)]
    public void The_same_seed_goes_the_same_way(ulong seed, bool isTransactional)
    {
        var (first, second) = (Run(), Run());
        Assert.Equal(first.World.Scheduler.Steps, second.World.Scheduler.Steps);
        Assert.Equal(first.World.Scheduler.TraceHash, second.World.Scheduler.TraceHash);
        Assert.Equal(Text(first), Text(second));

        ClientSession Run() => isTransactional ? TransactionWorkload.RunSession(
            seed, new TransactionConditions { HasLateRequests = true, PowerLossPercent = 50 }) : ProduceWorkload.RunSession(seed);

        static string Text(ClientSession session)
        {
            var text = new StringWriter();
            HistoryFile.Write(text, session.Operations);
            return text.ToString();
        }
    }

    [Fact]
    public void Another_seed_goes_another_way() =>
        Assert.NotEqual(ProduceWorkload.RunSession(1).World.Scheduler.TraceHash, ProduceWorkload.RunSession(2).World.Scheduler.TraceHash);

    [Fact]
    public void A_wait_without_end_is_found()
    {
        var e = Assert.Throws<SimulationException>(() => new World(1).Run(_ => new TaskCompletionSource().Task));
        Assert.Contains("everybody waits for somebody else", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_gets_away_to_another_thread_is_found()
    {
        var e = Assert.Throws<SimulationException>(() => new World(1).Run(async process =>
        {
            _ = Task.Run(() => process.Post(static _ => { }, null));
            while (true)
                await Task.Yield(); // the clock stands still until the other thread has come to it
        }));
        Assert.Contains("another thread", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Time_passes_only_when_nothing_can_be_done()
    {
        var world = new World(1);
        world.Run(async process =>
        {
            var start = process.Clock.GetUtcNow();
            await process.Delay(TimeSpan.FromDays(1) / 48);
            Assert.Equal(TimeSpan.FromMinutes(30), process.Clock.GetUtcNow() - start);
        });
        Assert.InRange(world.Scheduler.Steps, 1, 10);
    }

    [Fact]
    public void The_dead_do_nothing_more()
    {
        var world = new World(1);
        var beats = 0;
        world.Run(async director =>
        {
            var process = world.NewProcess("victim");
            _ = process.Start(async () =>
            {
                while (true)
                {
                    await process.Delay(TimeSpan.FromMilliseconds(10));
                    beats++;
                }
            });
            await director.Delay(TimeSpan.FromMilliseconds(105));
            process.Kill();
            await director.Delay(TimeSpan.FromSeconds(10));
        });
        Assert.InRange(beats, 9, 10);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Bytes_arrive_in_order_however_they_travel(ulong seed)
    {
        var world = new World(seed);
        var received = new List<byte>();
        world.Network.Weather = new NetworkWeather { PiecesPercent = 80, StallsPerThousand = 100 };
        world.Run(async director =>
        {
            var (client, server) = await ConnectAsync(world, director);
            for (var i = 0; i < 100; i++)
                await client.SendAsync(new byte[] { (byte)i, (byte)i, (byte)i }, default);
            await client.DisposeAsync();
            var buffer = new byte[7];
            while (await server.ReceiveAsync(buffer, default) is > 0 and var count)
                received.AddRange(buffer.AsSpan(0, count));
        });
        Assert.Equal(Enumerable.Range(0, 100).SelectMany(i => Enumerable.Repeat((byte)i, 3)), received);
    }

    [Fact]
    public void What_was_sent_arrives_after_its_sender_has_given_up()
    {
        var world = new World(1);
        world.Run(async director =>
        {
            var (client, server) = await ConnectAsync(world, director);
            await client.SendAsync("late"u8.ToArray(), default);
            client.Abort();
            var buffer = new byte[16];
            Assert.Equal(4, await server.ReceiveAsync(buffer, default));
            var reset = await Assert.ThrowsAsync<SocketException>(async () => await server.ReceiveAsync(buffer, default));
            Assert.Equal(SocketError.ConnectionReset, reset.SocketErrorCode);
        });
    }

    private static async Task<(ITransportConnection Client, ITransportConnection Server)> ConnectAsync(World world, SimProcess director)
    {
        var listener = world.NewProcess("server", Server.Address).Transport.Listen(Server, 1, default);
        var client = await director.Transport.ConnectAsync(Server, default);
        return (client, await listener.AcceptAsync(default));
    }
}
