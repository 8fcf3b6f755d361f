using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Ottla.Broker;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Peers;
using Ottla.Broker.Server;
using Ottla.Configuration;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.UnitTests.Peers;

/// <summary>What a broker asks of the active controller: whom, how long, and what it makes of the answers.</summary>
public sealed class ControllerChannelTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RetryTimeout = TimeSpan.FromSeconds(60);

    private readonly FakeTimeProvider _clock = new(new DateTimeOffset(2026, 1, 2, 0, 0, 0, TimeSpan.Zero));
    private readonly InMemoryTransport _network = new();
    private readonly FakeLocator _locator = new();
    private readonly FakeController _one;
    private readonly FakeController _two;
    private readonly ControllerChannel _channel;

    public ControllerChannelTests()
    {
        _one = new FakeController(_network, 1);
        _two = new FakeController(_network, 2);
        _channel = FakeController.ChannelOf(_network, _locator, _clock, RetryTimeout);
    }

    public async ValueTask DisposeAsync()
    {
        await _channel.DisposeAsync();
        await _one.DisposeAsync();
        await _two.DisposeAsync();
    }

    [Fact]
    public async Task A_request_waits_for_a_controller_and_goes_to_the_next_one_when_the_first_is_none_any_more()
    {
        var refusals = 0;
        _one.Allocate = _ =>
        {
            refusals++;
            return Task.FromResult(new AllocateProducerIdsResponse { ErrorCode = (short)ErrorCode.NotController });
        };
        _two.Allocate = _ => Task.FromResult(new AllocateProducerIdsResponse { ProducerIdStart = 5 });
        var asked = AllocateAsync();
        Assert.False(asked.IsCompleted);
        _locator.Current = _one.Address;
        await Waiting.UntilAsync(() => refusals > 0); // it is refused for as long as nobody else is named
        Assert.False(asked.IsCompleted);
        _locator.Current = _two.Address;
        Assert.Equal(5, (await asked.WaitAsync(Patience)).ProducerIdStart);
    }

    [Fact]
    public async Task Requests_go_one_at_a_time_in_their_order()
    {
        var first = new TaskCompletionSource<AllocateProducerIdsResponse>();
        var epochs = new List<long>();
        _one.Allocate = request =>
        {
            lock (epochs)
                epochs.Add(request.BrokerEpoch);
            return epochs.Count == 1 ? first.Task : Task.FromResult(new AllocateProducerIdsResponse());
        };
        _locator.Current = _one.Address;
        var answers = new[] { AllocateAsync(1), AllocateAsync(2), AllocateAsync(3) };
        await Waiting.UntilAsync(() => epochs.Count == 1);
        Assert.DoesNotContain(answers, answer => answer.IsCompleted);
        first.SetResult(new AllocateProducerIdsResponse());
        foreach (var answer in answers)
            await answer.WaitAsync(Patience);
        Assert.Equal([1, 2, 3], epochs);
    }

    [Fact]
    public async Task A_request_without_a_controller_fails_when_its_time_is_over()
    {
        var asked = AllocateAsync();
        _clock.Advance(RetryTimeout - TimeSpan.FromMilliseconds(1));
        Assert.False(asked.IsCompleted);
        _clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(RequestFailureKind.TimedOut, (await Assert.ThrowsAsync<RequestFailedException>(() => asked.WaitAsync(Patience))).Kind);
    }

    [Fact]
    public async Task A_closed_channel_ends_what_waits()
    {
        var asked = AllocateAsync();
        await _channel.DisposeAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked.WaitAsync(Patience));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => AllocateAsync());
    }

    [Theory]
    [InlineData(ErrorCode.UnsupportedVersion, null)]
    [InlineData(ErrorCode.InvalidRequest, ErrorCode.UnknownServerError)]
    [InlineData(ErrorCode.ClusterAuthorizationFailed, ErrorCode.UnknownServerError)]
    public async Task An_envelope_that_is_refused_closes_the_clients_connection_or_is_an_unknown_error(ErrorCode error, ErrorCode? told)
    {
        _one.Envelope = _ => Task.FromResult(new EnvelopeResponse { ErrorCode = (short)error });
        _locator.Current = _one.Address;
        var ended = new List<string>();
        var forwarded = ForwardAsync(ended);
        if (told is null)
        {
            Assert.Null(await forwarded.WaitAsync(Patience));
            Assert.Contains("cannot read CreateTopics", Assert.Single(ended));
            return;
        }

        Assert.Equal(told, (await Assert.ThrowsAsync<ApiException>(() => forwarded.WaitAsync(Patience))).Error.Code);
        Assert.Empty(ended);
    }

    [Fact]
    public async Task A_client_learns_after_a_minute_that_no_controller_answers()
    {
        var forwarded = ForwardAsync([]);
        _clock.Advance(RetryTimeout);
        Assert.Equal(ErrorCode.RequestTimedOut, (await Assert.ThrowsAsync<ApiException>(() => forwarded.WaitAsync(Patience))).Error.Code);
    }

    [Fact]
    public async Task Producer_ids_come_in_blocks_of_which_the_next_is_asked_for_early()
    {
        var blocks = 0;
        _one.Allocate = _ => Task.FromResult(new AllocateProducerIdsResponse { ProducerIdStart = blocks++ * 1000L, ProducerIdLen = 1000 });
        _locator.Current = _one.Address;
        var ids = Ids();
        for (var id = 0; id < 900; id++)
            Assert.Equal(id, await ids.NextAsync().AsTask().WaitAsync(Patience));
        await Waiting.UntilAsync(() => blocks == 2); // nine tenths are handed out
        for (var id = 900; id < 1100; id++)
            Assert.Equal(id, await ids.NextAsync().AsTask().WaitAsync(Patience));
        Assert.Equal(2, blocks);
    }

    [Fact]
    public async Task Who_needs_a_producer_id_is_told_to_ask_again_while_there_is_no_block()
    {
        var ids = Ids();
        var next = ids.NextAsync().AsTask();
        _clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(
            ErrorCode.CoordinatorLoadInProgress, (await Assert.ThrowsAsync<ApiException>(() => next.WaitAsync(Patience))).Error.Code);
        _one.Allocate = _ => Task.FromResult(new AllocateProducerIdsResponse { ProducerIdStart = 7000, ProducerIdLen = 1000 });
        _locator.Current = _one.Address;
        Assert.Equal(7000, await ids.NextAsync().AsTask().WaitAsync(Patience));
    }

    [Fact]
    public async Task A_block_that_is_not_above_the_one_before_is_not_used()
    {
        var starts = new Queue<long>([5000, 4000, 5500, 6000]);
        _one.Allocate = _ => Task.FromResult(new AllocateProducerIdsResponse { ProducerIdStart = starts.Dequeue(), ProducerIdLen = 1000 });
        _locator.Current = _one.Address;
        var ids = Ids();
        for (var i = 0; i < 1000; i++)
            Assert.Equal(5000 + i, await ids.NextAsync().AsTask().WaitAsync(Patience));
        await Waiting.UntilAsync(() =>
        {
            _clock.Advance(TimeSpan.FromMilliseconds(50)); // the pause before it asks again
            return starts.Count == 0;
        });
        Assert.Equal(6000, await ids.NextAsync().AsTask().WaitAsync(Patience));
    }

    private Task<AllocateProducerIdsResponse> AllocateAsync(long brokerEpoch = 0) =>
        _channel.SendAsync<AllocateProducerIdsRequest, AllocateProducerIdsResponse>(
            new AllocateProducerIdsRequest { BrokerEpoch = brokerEpoch });

    private Task<CreateTopicsResponse?> ForwardAsync(List<string> ended)
    {
        var connection = new ConnectionInfo("PLAINTEXT", IPAddress.Loopback, ended.Add, CancellationToken.None, CancellationToken.None);
        var forwarder = new Forwarder(_channel, new MetadataCache(), () => BrokerConfig.LoadDevMode(), _clock);
        return forwarder.ForwardAsync<CreateTopicsRequest, CreateTopicsResponse>(
            new RequestContext(ApiKey.CreateTopics, 7, 3, "client", connection), new CreateTopicsRequest()).AsTask();
    }

    private ProducerIds Ids() => new(
        _channel, nodeId: 1, () => 1, new BackgroundWork(_ => { }, NullLogger.Instance), _clock, NullLogger.Instance);
}
