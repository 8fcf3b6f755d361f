using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Peers;
using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Broker;

namespace Ottla.UnitTests.Peers;

/// <summary>How a broker asks the controller for the ISRs that its leaders propose.</summary>
public sealed class AlterPartitionSenderTests : IAsyncDisposable
{
    private readonly TestClock _clock = new();
    private readonly InMemoryTransport _network = new();
    private readonly FakeLocator _locator = new();
    private readonly FakeController _controller;
    private readonly ControllerChannel _channel;
    private readonly CancellationTokenSource _stopping = new();
    private readonly AlterPartitionSender _sender;
    private readonly List<AlterPartitionRequest> _requests = [];
    private readonly Task _loop;

    public AlterPartitionSenderTests()
    {
        _controller = new FakeController(_network, 1);
        _locator.Current = _controller.Address;
        _channel = FakeController.ChannelOf(_network, _locator, _clock, Timeout.InfiniteTimeSpan);
        _sender = new AlterPartitionSender(1, () => 101, _channel, _clock, NullLogger.Instance);
        _loop = _sender.RunAsync(_stopping.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _loop);
        await _channel.DisposeAsync();
        await _controller.DisposeAsync();
        _stopping.Dispose();
    }

    [Fact]
    public async Task A_proposal_is_sent_with_the_epochs_of_its_members_and_its_answer_takes_effect()
    {
        Answer(Grant);
        var replica = Proposing(new Uuid(7, 1));
        _sender.Request(replica);
        await Waiting.UntilAsync(() => replica.Leadership.InSyncReplicas.Length == 2);
        var request = Assert.Single(_requests);
        Assert.Equal((1, 101), (request.BrokerId, request.BrokerEpoch));
        var asked = Assert.Single(Assert.Single(request.Topics).Partitions);
        Assert.Equal((0, 1, 1, 0), (asked.PartitionIndex, asked.LeaderEpoch, asked.PartitionEpoch, asked.LeaderRecoveryState));
        Assert.Equal([(1, 101L), (2, 102L)], asked.NewIsrWithEpochs.Select(member => (member.BrokerId, member.BrokerEpoch)));
        Assert.Empty(asked.NewIsr);
    }

    [Fact]
    public async Task What_is_proposed_meanwhile_goes_together_with_the_next_request()
    {
        var first = new TaskCompletionSource();
        Answer(Grant, first.Task);
        PartitionReplica[] replicas = [.. Enumerable.Range(1, 4).Select(i => Proposing(new Uuid(7, (ulong)i)))];
        _sender.Request(replicas[0]);
        await Waiting.UntilAsync(() => Count() == 1);
        foreach (var replica in replicas[1..])
            _sender.Request(replica);
        Assert.Equal(1, Count());
        first.SetResult();
        await Waiting.UntilAsync(() => replicas.All(replica => replica.Leadership.InSyncReplicas.Length == 2));
        Assert.Equal([1, 3], _requests.Select(request => request.Topics.Length));
    }

    [Fact]
    public async Task A_refusal_of_the_request_is_tried_again_a_little_later()
    {
        var refusals = 2;
        Answer(request => refusals-- > 0 ? new AlterPartitionResponse { ErrorCode = (short)ErrorCode.StaleBrokerEpoch } : Grant(request));
        var replica = Proposing(new Uuid(7, 1));
        await RequestAndWaitTwiceAsync(replica);
        await Waiting.UntilAsync(() => replica.Leadership.InSyncReplicas.Length == 2);
        Assert.Equal(3, Count());
    }

    [Fact]
    public async Task A_partition_that_the_answer_leaves_out_or_cannot_take_is_asked_for_again()
    {
        var answers = 0;
        Answer(request => ++answers switch
        {
            1 => new AlterPartitionResponse(),
            2 => Refuse(request, ErrorCode.NotController),
            _ => Grant(request),
        });
        var replica = Proposing(new Uuid(7, 1));
        await RequestAndWaitTwiceAsync(replica);
        await Waiting.UntilAsync(() => replica.Leadership.InSyncReplicas.Length == 2);
        Assert.Equal(3, Count());
    }

    [Fact]
    public async Task A_refusal_that_the_metadata_must_explain_is_not_sent_again()
    {
        var isFirst = true;
        Answer(request => isFirst & !(isFirst = false) ? Refuse(request, ErrorCode.FencedLeaderEpoch) : Grant(request));
        var refused = Proposing(new Uuid(7, 1));
        _sender.Request(refused);
        await Waiting.UntilAsync(() => refused.OpenProposal is null);
        var next = Proposing(new Uuid(7, 2));
        _sender.Request(refused); // nothing is open
        _sender.Request(next);
        await Waiting.UntilAsync(() => next.Leadership.InSyncReplicas.Length == 2);
        Assert.Equal([new Uuid(7, 2)], _requests[^1].Topics.Select(topic => topic.TopicId));
    }

    /// <summary>Has the replica's proposal sent, and lets the pause after each of the first two answers pass.</summary>
    private async Task RequestAndWaitTwiceAsync(PartitionReplica replica)
    {
        var pause = _clock.NextTimerAsync(dueMs: 50);
        _sender.Request(replica);
        await pause;
        pause = _clock.NextTimerAsync(dueMs: 50);
        _clock.AdvanceMs(50);
        await pause;
        _clock.AdvanceMs(50);
    }

    private static AlterPartitionResponse Grant(AlterPartitionRequest request) => Each(request, asked =>
        new AlterPartitionResponse.PartitionData
        {
            PartitionIndex = asked.PartitionIndex,
            LeaderId = request.BrokerId,
            LeaderEpoch = asked.LeaderEpoch,
            PartitionEpoch = asked.PartitionEpoch + 1,
            Isr = [.. asked.NewIsrWithEpochs.Select(member => member.BrokerId)],
        });

    private static AlterPartitionResponse Refuse(AlterPartitionRequest request, ErrorCode error) => Each(request, asked =>
        new AlterPartitionResponse.PartitionData { PartitionIndex = asked.PartitionIndex, ErrorCode = (short)error });

    private static AlterPartitionResponse Each(
        AlterPartitionRequest request, Func<AlterPartitionRequest.PartitionData, AlterPartitionResponse.PartitionData> answer) => new()
        {
            Topics = [.. request.Topics.Select(topic => new AlterPartitionResponse.TopicData
        {
            TopicId = topic.TopicId,
            Partitions = [.. topic.Partitions.Select(answer)],
        })],
        };

    /// <summary>A replica of its own topic that proposes to add its follower to the ISR.</summary>
    private PartitionReplica Proposing(Uuid topicId)
    {
        var bed = new ReplicaBed(isr: [1], replicas: [1, 2], topicId: topicId);
        bed.Fetch(2);
        Assert.NotNull(bed.Replica.OpenProposal);
        return bed.Replica;
    }

    private int Count()
    {
        lock (_requests)
            return _requests.Count;
    }

    private void Answer(Func<AlterPartitionRequest, AlterPartitionResponse> answer, Task? first = null) =>
        _controller.AlterPartition = async request =>
        {
            bool isFirst;
            lock (_requests)
            {
                _requests.Add(request);
                isFirst = _requests.Count == 1;
            }

            if (isFirst && first is not null)
                await first;
            return answer(request);
        };
}
