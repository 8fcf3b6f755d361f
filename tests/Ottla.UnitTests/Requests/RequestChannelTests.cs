using Ottla.Kernel;
using Ottla.Network.Buffers;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.Requests.Security;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Network;

namespace Ottla.UnitTests.Requests;

/// <summary>The asking side of a connection, against a peer that does what each test says.</summary>
public sealed class RequestChannelTests : IAsyncLifetime
{
    private static readonly (ApiKey, short, short) Heartbeats = (ApiKey.BrokerHeartbeat, 0, 1);

    private readonly InMemoryTransport _transport = new();
    private readonly TestClock _time = new();
    private readonly WarningLogger _logger = new();
    private readonly BufferPool _buffers = new();
    private readonly ScriptedPeer _peer;
    private readonly List<RequestChannel> _channels = [];

    public RequestChannelTests() => _peer = new ScriptedPeer(_transport);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var channel in _channels)
            await channel.DisposeAsync();
        await _peer.CloseAsync();
        Assert.Equal(0, _buffers.RentedBytes);
    }

    [Fact]
    public async Task Negotiates_and_sends_the_highest_common_version()
    {
        var channel = Channel();
        var asking = Ask(channel, 7);
        var side = await _peer.AcceptAsync();
        var versions = await side.ReceiveAsync<ApiVersionsRequest>();
        Assert.Equal(((short)5, "me", "ottla"), (versions.Version, versions.ClientId, versions.Body.ClientSoftwareName));
        Assert.Equal((null, -1), (versions.Body.ClusterId, versions.Body.NodeId));
        await side.AnswerAsync(versions, ScriptedPeer.Versions(Heartbeats));
        var request = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        Assert.Equal(((short)1, "me", 7), (request.Version, request.ClientId, request.Body.BrokerId));
        await side.AnswerAsync(request, new BrokerHeartbeatResponse { IsFenced = true });
        Assert.True((await asking).IsFenced);
        Assert.Equal((short)1, channel.VersionOf(ApiKey.BrokerHeartbeat));
        Assert.Null(channel.VersionOf(ApiKey.Vote));
    }

    [Fact]
    public async Task Falls_back_when_the_peer_does_not_know_the_version_of_ApiVersions()
    {
        var asking = Ask(Channel());
        var side = await _peer.AcceptAsync();
        var first = await side.ReceiveAsync<ApiVersionsRequest>();
        var refusal = ScriptedPeer.Versions((ApiKey.ApiVersions, 0, 2));
        refusal.ErrorCode = (short)ErrorCode.UnsupportedVersion;
        await side.AnswerAsync(first.CorrelationId, 0, refusal);
        var second = await side.ReceiveAsync<ApiVersionsRequest>();
        Assert.Equal((short)2, second.Version);
        await side.AnswerAsync(second, ScriptedPeer.Versions(Heartbeats));
        await AnswerNext(side);
        await asking;
    }

    [Fact]
    public async Task Falls_back_to_version_0_when_the_refusal_names_no_versions()
    {
        var asking = Ask(Channel());
        var side = await _peer.AcceptAsync();
        var first = await side.ReceiveAsync<ApiVersionsRequest>();
        await side.AnswerAsync(first.CorrelationId, 0, new ApiVersionsResponse { ErrorCode = (short)ErrorCode.UnsupportedVersion });
        var second = await side.ReceiveAsync<ApiVersionsRequest>();
        Assert.Equal((short)0, second.Version);
        await side.AnswerAsync(second, ScriptedPeer.Versions(Heartbeats));
        await AnswerNext(side);
        await asking;
    }

    [Fact]
    public async Task A_gap_in_what_the_peer_offers_fails_that_request_alone()
    {
        var channel = Channel();
        var missing = channel.SendAsync<VoteRequest, VoteResponse>(new VoteRequest());
        var tooNew = Ask(channel);
        var side = await _peer.AcceptAsync((ApiKey.BrokerHeartbeat, 100, 101), (ApiKey.AllocateProducerIds, 0, 0));
        await AssertFails(missing, RequestFailureKind.UnsupportedVersion, mayHaveBeenExecuted: false);
        await AssertFails(tooNew, RequestFailureKind.UnsupportedVersion, mayHaveBeenExecuted: false);
        var asking = channel.SendAsync<AllocateProducerIdsRequest, AllocateProducerIdsResponse>(new AllocateProducerIdsRequest());
        await side.AnswerAsync(await side.ReceiveAsync<AllocateProducerIdsRequest>(), new AllocateProducerIdsResponse());
        await asking;
    }

    [Fact]
    public async Task A_request_that_its_version_cannot_carry_is_not_sent()
    {
        var channel = Channel();
        var refused = channel.SendAsync<BrokerHeartbeatRequest, BrokerHeartbeatResponse>(
            new BrokerHeartbeatRequest { OfflineLogDirs = [Uuid.NewRandom()] });
        var asking = Ask(channel);
        var side = await _peer.AcceptAsync((ApiKey.BrokerHeartbeat, 0, 0));
        await AssertFails(refused, RequestFailureKind.UnsupportedVersion, mayHaveBeenExecuted: false);
        await AnswerNext(side);
        await asking;
    }

    [Fact]
    public async Task A_request_that_its_caller_does_not_make_fails_alone()
    {
        var channel = Channel();
        var unmade = channel.SendAsync<BrokerHeartbeatRequest, BrokerHeartbeatResponse>(
            _ => throw new InvalidOperationException("not now"));
        var asking = Ask(channel);
        var side = await _peer.AcceptAsync((ApiKey.BrokerHeartbeat, 0, 0));
        Assert.Equal("not now", (await Assert.ThrowsAsync<InvalidOperationException>(() => unmade)).Message);
        await AnswerNext(side);
        await asking;
    }

    [Fact]
    public async Task Fixed_versions_need_no_negotiation()
    {
        var channel = Channel(new() { ClientId = "me", Versions = VersionChoice.Given(_ => 1) });
        var asking = Ask(channel);
        var side = await _peer.AcceptAsync();
        var request = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        Assert.Equal((short)1, request.Version);
        await side.AnswerAsync(request, new BrokerHeartbeatResponse());
        await asking;
        Assert.Null(channel.PeerVersions);
    }

    [Fact]
    public async Task Answers_find_their_requests_in_any_order()
    {
        var channel = Channel();
        Task<BrokerHeartbeatResponse>[] asking = [Ask(channel, 0), Ask(channel, 1), Ask(channel, 2)];
        var side = await _peer.AcceptAsync(Heartbeats);
        var requests = new List<ReceivedRequest<BrokerHeartbeatRequest>>();
        for (var i = 0; i < 3; i++)
            requests.Add(await side.ReceiveAsync<BrokerHeartbeatRequest>());
        foreach (var request in requests.AsEnumerable().Reverse())
            await side.AnswerAsync(request, new BrokerHeartbeatResponse { ThrottleTimeMs = request.Body.BrokerId });
        for (var i = 0; i < 3; i++)
            Assert.Equal(i, (await asking[i]).ThrottleTimeMs);
    }

    [Fact]
    public async Task No_more_are_in_flight_than_allowed()
    {
        var channel = Channel(new() { ClientId = "me", InFlightMax = 2 });
        Task<BrokerHeartbeatResponse>[] asking = [Ask(channel, 0), Ask(channel, 1), Ask(channel, 2)];
        var side = await _peer.AcceptAsync(Heartbeats);
        var first = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        await side.ReceiveAsync<BrokerHeartbeatRequest>();
        var third = side.ReceiveAsync<BrokerHeartbeatRequest>();
        await Task.Delay(20);
        Assert.False(third.IsCompleted);
        await side.AnswerAsync(first, new BrokerHeartbeatResponse());
        Assert.Equal(2, (await third).Body.BrokerId);
        await asking[0];
    }

    [Fact]
    public async Task A_connection_that_is_not_used_is_closed_and_made_again_at_need()
    {
        var channel = Channel();
        var first = Ask(channel);
        var side = await AcceptAsync();
        var sent = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        Assert.Equal((true, 1), (channel.IsConnected, channel.PendingCount));
        channel.CloseIfIdle(TimeSpan.Zero); // a request is under way
        await side.AnswerAsync(sent, new BrokerHeartbeatResponse());
        await first;
        _time.AdvanceMs(999);
        channel.CloseIfIdle(TimeSpan.FromSeconds(1));
        Assert.True(channel.IsConnected);
        _time.AdvanceMs(1);
        await Waiting.UntilAsync(() => channel.PendingCount == 0);
        channel.CloseIfIdle(TimeSpan.FromSeconds(1));
        Assert.Equal((false, false), (channel.IsConnected, channel.IsBackingOff));
        Assert.Null(await side.ReceiveFrameAsync());
        var second = Ask(channel);
        await AnswerNext(await AcceptAsync());
        await second;
    }

    [Fact]
    public async Task More_than_may_wait_are_refused()
    {
        var channel = Channel(new() { ClientId = "me", InFlightMax = 1, WaitingMax = 2 });
        var first = Ask(channel);
        var side = await _peer.AcceptAsync(Heartbeats);
        var sent = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        Task<BrokerHeartbeatResponse>[] waiting = [Ask(channel), Ask(channel)];
        await AssertFails(Ask(channel), RequestFailureKind.Overloaded, mayHaveBeenExecuted: false);
        await side.AnswerAsync(sent, new BrokerHeartbeatResponse());
        await first;
        await AnswerNext(side);
        await AnswerNext(side);
        await Task.WhenAll(waiting);
    }

    [Fact]
    public async Task A_request_times_out_and_a_peer_that_was_silent_is_given_up()
    {
        var channel = Channel(new() { ClientId = "me", RequestTimeout = TimeSpan.FromSeconds(2) });
        var asking = Ask(channel);
        var side = await _peer.AcceptAsync(Heartbeats);
        await side.ReceiveAsync<BrokerHeartbeatRequest>();
        _time.AdvanceMs(1999);
        Assert.False(asking.IsCompleted);
        _time.AdvanceMs(1);
        await AssertFails(asking, RequestFailureKind.TimedOut, mayHaveBeenExecuted: true);
        Assert.Null(await side.ReceiveFrameAsync());

        var again = Ask(channel);
        var accepting = AcceptAsync();
        await _time.AdvanceUntilAsync(accepting, 10); // the wait before the next connection
        await AnswerNext(await accepting);
        await again;
    }

    [Fact]
    public async Task A_late_answer_of_a_peer_that_is_alive_is_dropped()
    {
        var channel = Channel(new() { ClientId = "me", RequestTimeout = TimeSpan.FromSeconds(2) });
        var late = Ask(channel);
        var side = await _peer.AcceptAsync(Heartbeats);
        var lateRequest = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        _time.AdvanceMs(1000);
        var other = Ask(channel);
        await AnswerNext(side);
        await other;
        _time.AdvanceMs(1000);
        await AssertFails(late, RequestFailureKind.TimedOut, mayHaveBeenExecuted: true);

        await side.AnswerAsync(lateRequest, new BrokerHeartbeatResponse { ThrottleTimeMs = 1 });
        var next = Ask(channel);
        await AnswerNext(side, throttleTimeMs: 2);
        Assert.Equal(2, (await next).ThrottleTimeMs);
    }

    [Fact]
    public async Task A_peer_that_still_owes_an_answer_and_falls_silent_is_given_up()
    {
        var channel = Channel(new() { ClientId = "me", RequestTimeout = TimeSpan.FromSeconds(2) });
        var late = Ask(channel);
        var side = await _peer.AcceptAsync(Heartbeats);
        await side.ReceiveAsync<BrokerHeartbeatRequest>();
        var other = Ask(channel);
        await AnswerNext(side);
        await other;
        _time.AdvanceMs(2000);
        await AssertFails(late, RequestFailureKind.TimedOut, mayHaveBeenExecuted: true);
        _time.AdvanceMs(2000);
        Assert.Null(await side.ReceiveFrameAsync());
    }

    [Fact]
    public async Task Without_a_connection_the_time_out_says_why()
    {
        var channel = Channel(new() { ClientId = "me", RequestTimeout = TimeSpan.FromSeconds(2) }, port: 1);
        var asking = Ask(channel);
        await _time.AdvanceUntilAsync(Task.WhenAny(asking), 100); // it fails
        var failure = await AssertFails(asking, RequestFailureKind.TimedOut, mayHaveBeenExecuted: false);
        Assert.Contains("refused", failure.Message, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("Cannot connect to node 3 (127.0.0.1:1)", Assert.Single(_logger.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_break_fails_what_is_in_flight_and_what_waits_goes_over_the_next_connection()
    {
        var channel = Channel(new() { ClientId = "me", InFlightMax = 1 });
        var sent = Ask(channel, 0);
        var side = await _peer.AcceptAsync(Heartbeats);
        await side.ReceiveAsync<BrokerHeartbeatRequest>();
        var waiting = Ask(channel, 1);
        await side.CloseAsync();
        await AssertFails(sent, RequestFailureKind.Disconnected, mayHaveBeenExecuted: true);
        var accepting = AcceptAsync();
        await _time.AdvanceUntilAsync(accepting, 10);
        Assert.Equal(1, (await AnswerNext(await accepting)).Body.BrokerId);
        await waiting;
    }

    [Fact]
    public async Task A_break_in_the_middle_of_an_answer_is_a_break()
    {
        var channel = Channel();
        var asking = Ask(channel);
        var side = await _peer.AcceptAsync(Heartbeats);
        var request = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        var answer = Frames.Prefixed(PeerSide.Encode(request.CorrelationId, request.Version, new BrokerHeartbeatResponse()));
        await side.SendAsync(answer[..^2]);
        await side.CloseAsync();
        var failure = await AssertFails(asking, RequestFailureKind.Disconnected, mayHaveBeenExecuted: true);
        Assert.Contains("within an answer", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("shorter")]
    [InlineData("longer")]
    [InlineData("unknown")]
    [InlineData("empty")]
    [InlineData("huge")]
    [InlineData("negative")]
    public async Task CVE_2026_10142_garbage_closes_the_connection_and_fails_its_requests(string garbage)
    {
        var channel = Channel(new() { ClientId = "me", AnswerBytesMax = 1 << 20 });
        var asking = Ask(channel);
        var side = await _peer.AcceptAsync(Heartbeats);
        var request = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        var good = PeerSide.Encode(request.CorrelationId, request.Version, new BrokerHeartbeatResponse());
        await side.SendAsync(garbage switch
        {
            "shorter" => Frames.Prefixed(good[..^1]),
            "longer" => Frames.Prefixed([.. good, 0]),
            "unknown" => Frames.Prefixed(PeerSide.Encode(4711, request.Version, new BrokerHeartbeatResponse())),
            "empty" => Frames.Prefix(0),
            "huge" => Frames.Prefix((1 << 20) + 1),
            _ => Frames.Prefix(-1),
        });
        await AssertFails(asking, RequestFailureKind.Malformed, mayHaveBeenExecuted: true);
        Assert.Null(await side.ReceiveFrameAsync());

        var again = Ask(channel);
        var accepting = AcceptAsync();
        await _time.AdvanceUntilAsync(accepting, 10);
        await AnswerNext(await accepting);
        await again;
    }

    [Fact]
    public async Task Attempts_to_connect_get_rarer()
    {
        var transport = new CountingTransport(_transport, _time);
        var channel = Channel(
            new()
            {
                ClientId = "me",
                RequestTimeout = TimeSpan.FromMinutes(1),
                ReconnectBackoff = TimeSpan.FromMilliseconds(100),
                ReconnectBackoffMax = TimeSpan.FromMilliseconds(400),
            },
            port: 1,
            transport);
        var asking = Ask(channel);
        await _time.AdvanceUntilAsync(transport.FifthAttempt, 5);
        Assert.False(asking.IsCompleted);
        // 100 +-20, 200 +-40, then 400 +-80 for ever.
        var waits = transport.AttemptedAt.Zip(transport.AttemptedAt.Skip(1), (one, next) => (next - one).TotalMilliseconds).ToArray();
        Assert.All(waits.Zip([80, 160, 320, 320]), pair => Assert.True(pair.First >= pair.Second, $"{pair.First} ms"));
    }

    [Fact]
    public void Back_off_doubles_up_to_its_bound_with_jitter()
    {
        var backoff = new ExponentialBackoff(TimeSpan.FromMilliseconds(50), TimeSpan.FromMilliseconds(500), 0.2, new Prng(1));
        foreach (var (failures, milliseconds) in new[] { (1, 50), (2, 100), (3, 200), (4, 400), (5, 500), (6, 500), (int.MaxValue, 500) })
        {
            var delays = Enumerable.Range(0, 200).Select(_ => backoff.DelayAfter(failures).TotalMilliseconds).ToArray();
            Assert.InRange(delays.Min(), 0.8 * milliseconds, 0.85 * milliseconds);
            Assert.InRange(delays.Max(), 1.15 * milliseconds, 1.2 * milliseconds);
        }
    }

    [Fact]
    public async Task A_connection_that_is_not_set_up_in_time_is_given_up()
    {
        var channel = Channel(new() { ClientId = "me", FailsWhileDisconnected = true, ConnectTimeout = TimeSpan.FromSeconds(1) });
        var asking = Ask(channel);
        var side = await _peer.AcceptAsync();
        await side.ReceiveAsync<ApiVersionsRequest>();
        _time.AdvanceMs(1000);
        var failure = await AssertFails(asking, RequestFailureKind.Disconnected, mayHaveBeenExecuted: false);
        Assert.Contains("not set up within 1000 ms", failure.Message, StringComparison.Ordinal);
        Assert.Null(await side.ReceiveFrameAsync());
    }

    [Fact]
    public async Task A_channel_may_fail_at_once_while_there_is_no_connection()
    {
        var channel = Channel(new() { ClientId = "me", FailsWhileDisconnected = true }, port: 1);
        await AssertFails(Ask(channel), RequestFailureKind.Disconnected, mayHaveBeenExecuted: false);
        Assert.True(channel.IsBackingOff);
        await AssertFails(Ask(channel), RequestFailureKind.Disconnected, mayHaveBeenExecuted: false);
        _time.AdvanceMs(61);
        Assert.False(channel.IsBackingOff);
    }

    [Fact]
    public async Task A_refused_login_fails_what_waits()
    {
        var channel = Channel(new()
        {
            ClientId = "me",
            Security = new Refusing(),
        });
        var failure = await AssertFails(Ask(channel), RequestFailureKind.AuthenticationFailed, mayHaveBeenExecuted: false);
        Assert.Contains("wrong password", failure.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Before_a_session_ends_another_connection_takes_its_place(bool failsWhileDisconnected)
    {
        var channel = Channel(new()
        {
            ClientId = "me",
            FailsWhileDisconnected = failsWhileDisconnected,
            Security = new Lasting(TimeSpan.FromSeconds(10)),
        });
        var asking = Ask(channel);
        var first = await _peer.AcceptAsync(Heartbeats);
        await AnswerNext(first);
        await asking;
        _time.AdvanceMs(8499);
        asking = Ask(channel);
        await AnswerNext(first);
        await asking;
        _time.AdvanceMs(1);
        asking = Ask(channel);
        Assert.Null(await first.ReceiveFrameAsync());
        await AnswerNext(await _peer.AcceptAsync(Heartbeats));
        await asking;
        Assert.Empty(_logger.Warnings);
    }

    [Fact]
    public async Task A_cancelled_request_is_forgotten_and_its_answer_dropped()
    {
        var channel = Channel();
        using var cancellation = new CancellationTokenSource();
        var sent = Ask(channel, cancellation: cancellation.Token);
        var side = await _peer.AcceptAsync(Heartbeats);
        var request = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        cancellation.Cancel();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sent);
        await side.AnswerAsync(request, new BrokerHeartbeatResponse());
        var next = Ask(channel);
        await AnswerNext(side, throttleTimeMs: 2);
        Assert.Equal(2, (await next).ThrottleTimeMs);
    }

    [Fact]
    public async Task Closing_fails_those_who_wait_and_all_who_come_later()
    {
        var channel = Channel(new() { ClientId = "me", InFlightMax = 1 });
        var sent = Ask(channel);
        var side = await _peer.AcceptAsync(Heartbeats);
        await side.ReceiveAsync<BrokerHeartbeatRequest>();
        var waiting = Ask(channel);
        await channel.DisposeAsync();
        await AssertFails(sent, RequestFailureKind.Closed, mayHaveBeenExecuted: true);
        await AssertFails(waiting, RequestFailureKind.Closed, mayHaveBeenExecuted: false);
        await AssertFails(Ask(channel), RequestFailureKind.Closed, mayHaveBeenExecuted: false);
        Assert.Null(await side.ReceiveFrameAsync());
    }

    [Fact]
    public async Task Closing_ends_an_attempt_to_connect()
    {
        var channel = Channel();
        var asking = Ask(channel);
        var side = await _peer.AcceptAsync();
        await side.ReceiveAsync<ApiVersionsRequest>();
        await channel.DisposeAsync();
        await AssertFails(asking, RequestFailureKind.Closed, mayHaveBeenExecuted: false);
        Assert.Null(await side.ReceiveFrameAsync());
    }

    [Fact]
    public async Task Records_of_an_answer_stay_when_the_next_one_arrives()
    {
        var channel = Channel();
        var first = Fetch(channel);
        var side = await _peer.AcceptAsync((ApiKey.FetchSnapshot, 0, 1));
        await AnswerSnapshot(side, 1);
        var piece = (await first).Topics[0].Partitions[0].UnalignedRecords;
        var second = Fetch(channel);
        await AnswerSnapshot(side, 2);
        await second;
        Assert.All(piece.Memory.ToArray(), each => Assert.Equal(1, each));

        static Task<FetchSnapshotResponse> Fetch(RequestChannel channel) =>
            channel.SendAsync<FetchSnapshotRequest, FetchSnapshotResponse>(new FetchSnapshotRequest());

        static async Task AnswerSnapshot(PeerSide side, byte content)
        {
            var bytes = new byte[1000];
            bytes.AsSpan().Fill(content);
            var partition = new FetchSnapshotResponse.PartitionSnapshot { UnalignedRecords = new(bytes) };
            await side.AnswerAsync(
                await side.ReceiveAsync<FetchSnapshotRequest>(),
                new FetchSnapshotResponse { Topics = [new() { Name = "t", Partitions = [partition] }] });
        }
    }

    private RequestChannel Channel(RequestChannelOptions? options = null, int? port = null, ITransport? transport = null)
    {
        var channel = new RequestChannel(
            transport ?? _transport, _buffers, new NodeAddress(3, "127.0.0.1", port ?? _peer.Port),
            options ?? new() { ClientId = "me" }, new Prng(1), _time, _logger);
        _channels.Add(channel);
        return channel;
    }

    private Task<PeerSide> AcceptAsync() => _peer.AcceptAsync(Heartbeats);

    private static Task<BrokerHeartbeatResponse> Ask(RequestChannel channel, int brokerId = 0, CancellationToken cancellation = default) =>
        channel.SendAsync<BrokerHeartbeatRequest, BrokerHeartbeatResponse>(
            new BrokerHeartbeatRequest { BrokerId = brokerId }, cancellation: cancellation)
                .WaitAsync(Frames.Patience, CancellationToken.None);

    private static async Task<ReceivedRequest<BrokerHeartbeatRequest>> AnswerNext(PeerSide side, int throttleTimeMs = 0)
    {
        var request = await side.ReceiveAsync<BrokerHeartbeatRequest>();
        await side.AnswerAsync(request, new BrokerHeartbeatResponse { ThrottleTimeMs = throttleTimeMs });
        return request;
    }

    private static async Task<RequestFailedException> AssertFails(Task asking, RequestFailureKind kind, bool mayHaveBeenExecuted)
    {
        var failure = await Assert.ThrowsAsync<RequestFailedException>(() => asking.WaitAsync(Frames.Patience));
        Assert.True((kind, mayHaveBeenExecuted) == (failure.Kind, failure.MayHaveBeenExecuted), $"{failure.Kind}: {failure.Message}");
        return failure;
    }

    /// <summary>Notes when it is asked to connect.</summary>
    private sealed class CountingTransport(ITransport inner, TimeProvider time) : ITransport
    {
        private readonly TaskCompletionSource _fifth = new();

        public List<DateTimeOffset> AttemptedAt { get; } = [];

        public Task FifthAttempt => _fifth.Task;

        public ITransportListener Listen(System.Net.IPEndPoint endpoint, int backlog, SocketBufferSizes sizes) =>
            inner.Listen(endpoint, backlog, sizes);

        public ValueTask<ITransportConnection> ConnectAsync(System.Net.EndPoint endpoint, CancellationToken cancellationToken)
        {
            if (_fifth.Task.IsCompleted)
                return inner.ConnectAsync(endpoint, cancellationToken);
            AttemptedAt.Add(time.GetUtcNow());
            if (AttemptedAt.Count == 5)
                _fifth.SetResult();
            return inner.ConnectAsync(endpoint, cancellationToken);
        }
    }

    private sealed class Refusing : IConnectionSecurity
    {
        public ValueTask<SecuredConnection> SecureAsync(
            ITransportConnection connection, NodeAddress address, CancellationToken cancellation) =>
            throw new System.Security.Authentication.AuthenticationException("wrong password");
    }

    private sealed class Lasting(TimeSpan lifetime) : IConnectionSecurity
    {
        public ValueTask<SecuredConnection> SecureAsync(
            ITransportConnection connection, NodeAddress address, CancellationToken cancellation) =>
            ValueTask.FromResult(new SecuredConnection(connection, lifetime));
    }
}
