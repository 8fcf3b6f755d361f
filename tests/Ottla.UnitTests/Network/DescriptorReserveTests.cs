using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Ottla.Network.Transport;

namespace Ottla.UnitTests.Network;

/// <summary>Connections leave descriptors for the logs.</summary>
public sealed class DescriptorReserveTests
{
    [Theory]
    [InlineData(1024, 128)]
    [InlineData(100_000, 12_500)]
    [InlineData(1_048_576, DescriptorReserve.HeldBackMax)]
    [InlineData(int.MaxValue, DescriptorReserve.HeldBackMax)]
    public void SomeAreHeldBack(long limit, long expected) => Assert.Equal(expected, new DescriptorReserve(limit, () => 3).HeldBack);

    [Fact]
    public void TheNumberOfADescriptorTellsHowManyAreInUse()
    {
        var lowestFree = 10;
        var probes = 0;
        var reserve = new DescriptorReserve(1024, () =>
        {
            probes++;
            return lowestFree;
        });
        Assert.True(reserve.MayAccept());
        reserve.Note(895);
        Assert.True(reserve.MayAccept());
        Assert.Equal(1, probes); // costs nothing while there are enough
        reserve.Note(896);
        lowestFree = 897;
        Assert.False(reserve.MayAccept());
        lowestFree = -1; // none at all
        Assert.False(reserve.MayAccept());
        lowestFree = 895;
        Assert.True(reserve.MayAccept());
        Assert.True(reserve.MayAccept());
        Assert.Equal(4, probes);
    }

    [Fact]
    public void TheProcessHasALimit()
    {
        if (!OperatingSystem.IsLinux())
            return;
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var reserve = DescriptorReserve.OfThisProcess((int)socket.SafeHandle.DangerousGetHandle())!;
        Assert.InRange(reserve.Limit, 64, int.MaxValue);
        Assert.True(reserve.MayAccept());
    }

    [Fact]
    public async Task ConnectionsWaitUntilThereAreEnoughAgain()
    {
        var time = new FakeTimeProvider();
        var log = new WarningLogger();
        var lowestFree = 999;
        var socket = SocketListener.Open(new IPEndPoint(IPAddress.Loopback, 0), 16, SocketBufferSizes.OperatingSystemDefaults);
        await using var listener = new SocketListener(
            socket, new SocketAcceptor(socket), SocketBufferSizes.OperatingSystemDefaults,
            new DescriptorReserve(1000, () => Volatile.Read(ref lowestFree)), time, log);
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listener.LocalEndPoint);

        var accepting = listener.AcceptAsync(default).AsTask();
        for (var i = 0; i < 30; i++)
            await AdvanceAsync(1);
        Assert.False(accepting.IsCompleted);
        Assert.Single(log.Warnings, warning => warning.Contains("ulimit -n", StringComparison.Ordinal)); // once a minute, not once a try
        Volatile.Write(ref lowestFree, 20);
        while (!accepting.IsCompleted)
            await AdvanceAsync(1);
        await (await accepting).DisposeAsync();

        async Task AdvanceAsync(int seconds)
        {
            time.Advance(TimeSpan.FromSeconds(seconds));
            await Task.Yield();
        }
    }

    [Fact]
    public async Task AListenerThatWaitsCanBeClosed()
    {
        var socket = SocketListener.Open(new IPEndPoint(IPAddress.Loopback, 0), 16, SocketBufferSizes.OperatingSystemDefaults);
        await using var listener = new SocketListener(
            socket, new SocketAcceptor(socket), SocketBufferSizes.OperatingSystemDefaults,
            new DescriptorReserve(1000, () => -1), new FakeTimeProvider(), new WarningLogger());
        using var stop = new CancellationTokenSource();
        var accepting = listener.AcceptAsync(stop.Token).AsTask();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => accepting.WaitAsync(Frames.Patience));
    }
}
