using System.Collections.Concurrent;
using System.Net.Sockets;
using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Framing;
using Ottla.Network.Transport;
using Ottla.Network.Transport.Epoll;

namespace Ottla.UnitTests.Network;

public sealed class EpollTransportTests() : SocketTransportTests(Transport)
{
    /// <summary>Its threads live as long as the process, so the tests share them.</summary>
    private static readonly EpollTransport Transport = new(loops: 2, TimeProvider.System);

    private readonly BufferPool _pool = new();

    [Fact]
    public async Task WhatWaitedForAConnectionContinuesOnAThreadOfTheTransport()
    {
        var (client, server) = await Frames.ConnectAsync(Transport);
        await using var _ = client;
        await using var __ = server;
        var received = ReceiveAsync();
        await client.SendAsync(new byte[] { 1 }, default);
        Assert.True(await received.WaitAsync(Frames.Patience));

        async Task<bool> ReceiveAsync()
        {
            await server.ReceiveAsync(new byte[1], default).ConfigureAwait(false);
            return HandlerThread.Current is not null;
        }
    }

    [Fact]
    public async Task DeferredWorkRunsOnceTheHandlerIsDone()
    {
        var (client, server) = await Frames.ConnectAsync(Transport);
        await using var _ = client;
        await using var __ = server;
        var work = new Work();
        var received = ReceiveAsync();
        await client.SendAsync(new byte[] { 1 }, default);
        Assert.False(await received.WaitAsync(Frames.Patience));
        Assert.Same(await received.ContinueWith(_ => work.Thread, TaskScheduler.Default), await work.Ran.Task.WaitAsync(Frames.Patience));

        async Task<bool> ReceiveAsync()
        {
            await server.ReceiveAsync(new byte[1], default).ConfigureAwait(false);
            work.Thread = HandlerThread.Current;
            HandlerThread.Current!.Defer(work);
            return work.Ran.Task.IsCompleted;
        }
    }

    [Fact]
    public async Task ABlockedHandlerStopsNoOtherConnection()
    {
        var transport = new EpollTransport(loops: 1, TimeProvider.System);
        var (slowClient, slowServer) = await Frames.ConnectAsync(transport);
        var (client, server) = await Frames.ConnectAsync(transport);
        using var release = new SemaphoreSlim(0);
        for (var round = 0; round < 3; round++)
        {
            var slow = BlockAsync();
            await slowClient.SendAsync(new byte[] { 1 }, default);
            var received = server.ReceiveAsync(new byte[1], default);
            await client.SendAsync(new byte[] { 2 }, default);
            Assert.Equal(1, await received.AsTask().WaitAsync(Frames.Patience));
            Assert.False(slow.IsCompleted);
            release.Release();
            Assert.Equal(1, await slow.WaitAsync(Frames.Patience));
        }

        foreach (var connection in new[] { slowClient, slowServer, client, server })
            await connection.DisposeAsync();

        async Task<int> BlockAsync()
        {
            var count = await slowServer.ReceiveAsync(new byte[1], default).ConfigureAwait(false);
            HandlerThread.AboutToBlock();
            release.Wait(Frames.Patience);
            return count;
        }
    }

    [Fact]
    public async Task HowBusyTheLoopsAreIsToldWhileTheyWaitAndWhileTheyWork()
    {
        var clock = new FakeTimeProvider();
        var transport = new EpollTransport(loops: 1, clock);
        var (client, server) = await Frames.ConnectAsync(transport);
        await Waiting.UntilAsync(() =>
        {
            var before = transport.Load; // the loop may be about to wait
            clock.Advance(TimeSpan.FromSeconds(1));
            return transport.Load == before;
        });
        using var entered = new SemaphoreSlim(0);
        using var release = new SemaphoreSlim(0);
        var working = WorkAsync();
        await client.SendAsync(new byte[] { 1 }, default);
        Assert.True(await entered.WaitAsync(Frames.Patience));
        var busy = transport.Load!.Value.BusyTime;
        clock.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal(new ThreadLoad(1, busy + TimeSpan.FromSeconds(3)), transport.Load);
        release.Release();
        await working.WaitAsync(Frames.Patience);
        await client.DisposeAsync();
        await server.DisposeAsync();

        async Task WorkAsync()
        {
            await server.ReceiveAsync(new byte[1], default).ConfigureAwait(false);
            entered.Release();
            release.Wait(Frames.Patience);
        }
    }

    [Fact]
    public async Task AConnectionThatAlwaysHasMoreLeavesTheOthersTheirTurn()
    {
        const int roundsMax = 10_000;
        var transport = new EpollTransport(loops: 1, TimeProvider.System);
        var (busyClient, busyServer) = await Frames.ConnectAsync(transport);
        var (client, server) = await Frames.ConnectAsync(transport);
        var received = ReceiveAsync();
        var flood = FloodAsync();
        await busyServer.SendAsync(new byte[] { 1 }, default);
        Assert.InRange(await flood.WaitAsync(Frames.Patience), 0, roundsMax - 1);
        Assert.Equal(1, await received.WaitAsync(Frames.Patience));
        foreach (var connection in new[] { busyClient, busyServer, client, server })
            await connection.DisposeAsync();

        async Task<int> ReceiveAsync() => await server.ReceiveAsync(new byte[1], default).ConfigureAwait(false);

        // On the loop's thread, which has no reason to wait: there is always more than it receives.
        async Task<int> FloodAsync()
        {
            var bytes = new byte[4 * 1024];
            await busyClient.ReceiveAsync(bytes.AsMemory(0, 1), default).ConfigureAwait(false);
            await busyClient.SendAsync(new byte[4 * bytes.Length], default).ConfigureAwait(false);
            await client.SendAsync(new byte[] { 2 }, default).ConfigureAwait(false);
            var rounds = 0;
            for (; rounds < roundsMax && !received.IsCompleted; rounds++)
            {
                await busyClient.SendAsync(bytes, default).ConfigureAwait(false);
                await busyServer.ReceiveAsync(bytes, default).ConfigureAwait(false);
            }

            return rounds;
        }
    }

    [Fact]
    public async Task WhoYieldsLeavesTheOthersTheirTurn()
    {
        const int roundsMax = 10_000;
        var transport = new EpollTransport(loops: 1, TimeProvider.System);
        var (busyClient, busyServer) = await Frames.ConnectAsync(transport);
        var (client, server) = await Frames.ConnectAsync(transport);
        await busyServer.YieldAsync(); // elsewhere than on the loop it is nothing
        var received = ReceiveAsync();
        var busy = WorkAsync();
        await busyClient.SendAsync(new byte[] { 1 }, default);
        Assert.InRange(await busy.WaitAsync(Frames.Patience), 1, roundsMax - 1);
        Assert.Equal(1, await received.WaitAsync(Frames.Patience));
        foreach (var connection in new[] { busyClient, busyServer, client, server })
            await connection.DisposeAsync();

        async Task<int> ReceiveAsync() => await server.ReceiveAsync(new byte[1], default).ConfigureAwait(false);

        // On the loop's thread, which nothing else takes away.
        async Task<int> WorkAsync()
        {
            await busyServer.ReceiveAsync(new byte[1], default).ConfigureAwait(false);
            await client.SendAsync(new byte[] { 2 }, default).ConfigureAwait(false);
            var rounds = 0;
            for (; rounds < roundsMax && !received.IsCompleted; rounds++)
                await busyServer.YieldAsync().ConfigureAwait(false);
            return rounds;
        }
    }

    [Fact]
    public async Task WhoIsAdmittedWaitsForFewOfThoseWhoAreNot()
    {
        var transport = new EpollTransport(loops: 1, TimeProvider.System);
        var order = new ConcurrentQueue<string>();
        using var release = new SemaphoreSlim(0);
        var holding = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var (blocker, blocked) = await Frames.ConnectAsync(transport);
        var (client, admitted) = await Frames.ConnectAsync(transport);
        var strangers = new List<(ITransportConnection Client, ITransportConnection Server)>();
        for (var i = 0; i < 10; i++)
            strangers.Add(await Frames.ConnectAsync(transport));
        blocked.Admit();
        admitted.Admit();
        var holds = HoldAsync();
        Task[] served = [.. strangers.Select(stranger => NoteAsync(stranger.Server, "stranger")), NoteAsync(admitted, "admitted")];
        await blocker.SendAsync(new byte[1], default);
        await holding.Task.WaitAsync(Frames.Patience);

        foreach (var stranger in strangers)
            await stranger.Client.SendAsync(new byte[1], default);
        await client.SendAsync(new byte[1], default);
        release.Release();

        await Task.WhenAll([.. served, holds]).WaitAsync(Frames.Patience);
        Assert.Equal(11, order.Count);
        Assert.InRange(order.ToList().IndexOf("admitted"), 0, 2); // a round that has begun ends with two of the others
        foreach (var connection in strangers.SelectMany(stranger => new[] { stranger.Client, stranger.Server })
            .Concat([blocker, blocked, client, admitted]))
            await connection.DisposeAsync();

        async Task HoldAsync()
        {
            await blocked.ReceiveAsync(new byte[1], default).ConfigureAwait(false);
            holding.SetResult();
            release.Wait();
        }

        async Task NoteAsync(ITransportConnection server, string name)
        {
            await server.ReceiveAsync(new byte[1], default).ConfigureAwait(false);
            order.Enqueue(name);
        }
    }

    [Fact]
    public async Task AFileShorterThanItsSliceAbortsTheConnection()
    {
        using var file = new TemporaryFile(new byte[200_000]);
        var (client, server) = await Frames.ConnectAsync(Transport);
        await using var _ = client;
        var slice = new FakeSlice(new byte[200_001], file.Stream.SafeFileHandle);
        var frame = new FrameBuffer(_pool);
        frame.AppendSlice(slice);
        await Assert.ThrowsAsync<IOException>(async () => await new FrameSender(server, _pool).SendAsync(frame, default));
        Assert.Equal(1, slice.Disposals);
        Assert.Equal(SocketError.ConnectionReset, await ErrorOf(() => DrainAsync(client)));
    }

    [Fact]
    public async Task AFileTruncatedWhileItIsSentAbortsTheConnection()
    {
        const int Bytes = 64 * 1024 * 1024;
        using var file = new TemporaryFile([]);
        file.Stream.SetLength(Bytes);
        var (client, server) = await Frames.ConnectAsync(Transport);
        await using var _ = client;
        var slice = new FakeSlice(new byte[Bytes], file.Stream.SafeFileHandle);
        var frame = new FrameBuffer(_pool);
        frame.AppendSlice(slice);
        var sending = new FrameSender(server, _pool).SendAsync(frame, default).AsTask();
        // The socket buffers hold less than the file: the send is under way and waits.
        await client.ReceiveAsync(new byte[1], default);
        Assert.False(sending.IsCompleted);
        file.Stream.SetLength(0);
        var draining = ErrorOf(() => DrainAsync(client));
        await Assert.ThrowsAsync<IOException>(() => sending.WaitAsync(Frames.Patience));
        Assert.Equal(SocketError.ConnectionReset, await draining);
        Assert.Equal(1, slice.Disposals);
    }

    [Fact]
    public async Task CancellingABlockedSendFileAbortsTheConnection()
    {
        using var file = new TemporaryFile([]);
        file.Stream.SetLength(64 * 1024 * 1024);
        var (client, server) = await Frames.ConnectAsync(Transport);
        await using var _ = client;
        using var cancellation = new CancellationTokenSource();
        var sending = server.SendFileAsync(new byte[10], file.Stream.SafeFileHandle, 0, 64 * 1024 * 1024, cancellation.Token).AsTask();
        await client.ReceiveAsync(new byte[1], default);
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending.WaitAsync(Frames.Patience));
        Assert.Equal(
            SocketError.OperationAborted,
            await ErrorOf(async () => await server.SendFileAsync(default, file.Stream.SafeFileHandle, 0, 10, default)));
    }

    private sealed class Work : IThreadPoolWorkItem
    {
        public TaskCompletionSource<HandlerThread?> Ran { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public HandlerThread? Thread { get; set; }

        public void Execute() => Ran.SetResult(HandlerThread.Current);
    }
}
