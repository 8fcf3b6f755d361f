using Microsoft.Extensions.Logging;
using Ottla.Broker.Replicas;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Replication;
using PartitionResponse = Ottla.Protocol.Messages.AlterPartitionResponse.PartitionData;

namespace Ottla.Broker.Peers;

/// <summary>Asks the active controller for what the leaders on this broker propose (AlterPartition), and tells them its answers.</summary>
/// <remarks>
/// One loop, as long as the broker lives. One request is under way at a time, for all that was proposed until then; what comes meanwhile
/// goes with the next one. Nothing is given up: a leader that waits keeps its maximal ISR, which is safe.
/// </remarks>
/// <param name="nodeId">This broker.</param>
/// <param name="brokerEpoch">The epoch of its registration.</param>
/// <param name="channel">The way to the active controller; it never gives up.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Where refusals are logged.</param>
internal sealed partial class AlterPartitionSender(
    int nodeId, Func<long> brokerEpoch, ControllerChannel channel, TimeProvider time, ILogger logger) : IIsrChanges
{
    private const short FirstVersionWithBrokerEpochs = 3;

    /// <summary>How soon it is asked again after a refusal of the whole request, as in Kafka.</summary>
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private readonly LoopSignal _signal = new(time);
    private HashSet<PartitionReplica> _waiting = [];

    /// <inheritdoc/>
    public void Request(PartitionReplica replica)
    {
        lock (_lock)
            _waiting.Add(replica);
        _signal.Set();
    }

    /// <summary>Sends what is proposed until the broker stops.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        while (true)
        {
            var asked = Take();
            if (asked.Count == 0)
                await _signal.WaitAsync(null, stopping);
            else if (!await AskAsync(asked, stopping))
                await Task.Delay(RetryInterval, time, stopping);
        }
    }

    /// <summary>Takes what is proposed now. Who has nothing open any more is led by another, or was answered by the metadata.</summary>
    private List<Asked> Take()
    {
        HashSet<PartitionReplica> waiting;
        lock (_lock)
        {
            if (_waiting.Count == 0)
                return [];
            (waiting, _waiting) = (_waiting, []);
        }

        var asked = new List<Asked>(waiting.Count);
        foreach (var replica in waiting)
        {
            if (replica.OpenProposal is { } proposal)
                asked.Add(new Asked(replica, proposal));
        }

        return asked;
    }

    /// <summary>Sends one request and tells its answers.</summary>
    /// <returns>False when something is to be asked again, a little later.</returns>
    private async Task<bool> AskAsync(List<Asked> asked, CancellationToken stopping)
    {
        AlterPartitionResponse response;
        try
        {
            response = await channel.SendAsync<AlterPartitionRequest, AlterPartitionResponse>(
                version => ToRequest(asked, version), stopping);
        }
        catch (RequestFailedException e)
        {
            LogFailed(asked.Count, e.Message);
            asked.ForEach(each => Request(each.Replica));
            return false;
        }

        if (response.ErrorCode != (short)ErrorCode.None)
        {
            LogFailed(asked.Count, $"{(ErrorCode)response.ErrorCode}");
            asked.ForEach(each => Request(each.Replica));
            return false;
        }

        var answers = response.Topics
            .SelectMany(topic => topic.Partitions.Select(partition => (Key: (topic.TopicId, partition.PartitionIndex), Answer: partition)))
            .DistinctBy(answer => answer.Key)
            .ToDictionary(answer => answer.Key, answer => answer.Answer);
        var isDone = true;
        foreach (var (replica, proposal) in asked)
        {
            // One that the controller left out is asked for again.
            if (answers.TryGetValue((replica.TopicId, replica.Partition.Partition), out var answer)
                && replica.OnAnswer(proposal, AnswerOf(answer)) != ProposalFate.Retried)
                continue;
            Request(replica);
            isDone = false;
        }

        return isDone;
    }

    private AlterPartitionRequest ToRequest(List<Asked> asked, short version) => new()
    {
        BrokerId = nodeId,
        BrokerEpoch = brokerEpoch(),
        Topics = [.. asked.GroupBy(each => each.Replica.TopicId).Select(topic => new AlterPartitionRequest.TopicData
        {
            TopicId = topic.Key,
            Partitions = [.. topic.Select(each => ToRequest(each.Replica.Partition.Partition, each.Proposal, version))],
        })],
    };

    private static AlterPartitionRequest.PartitionData ToRequest(int partition, IsrProposal proposal, short version) => new()
    {
        PartitionIndex = partition,
        LeaderEpoch = proposal.LeaderEpoch,
        PartitionEpoch = proposal.PartitionEpoch,
        NewIsr = version >= FirstVersionWithBrokerEpochs ? [] : [.. proposal.Isr.Select(member => member.BrokerId)],
        NewIsrWithEpochs = version < FirstVersionWithBrokerEpochs
            ? []
            : [.. proposal.Isr.Select(
                member => new AlterPartitionRequest.BrokerState { BrokerId = member.BrokerId, BrokerEpoch = member.BrokerEpoch })],
        LeaderRecoveryState = (sbyte)LeaderRecoveryState.Recovered, // who leads has recovered: there is nothing to do for it
    };

    private static IsrAnswer AnswerOf(PartitionResponse partition) => partition.ErrorCode != (short)ErrorCode.None
        ? IsrAnswer.Refused((ErrorCode)partition.ErrorCode)
        : new IsrAnswer(ErrorCode.None, partition.LeaderEpoch, partition.PartitionEpoch, [.. partition.Isr]);

    private readonly record struct Asked(PartitionReplica Replica, IsrProposal Proposal);

    [LoggerMessage(
        Level = LogLevel.Warning, Message = "The controller did not take the ISRs of {Count} partitions: {Reason}. The broker asks again")]
    private partial void LogFailed(int count, string reason);
}
