using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Simulator.Clients;

/// <summary>A member of a consumer group, over the wire: joins, keeps its membership alive, commits, leaves.</summary>
/// <remarks>Used by its one consumer; lives as long as that.</remarks>
/// <param name="client">What it asks through: patient, because a join waits for others.</param>
/// <param name="group">The group.</param>
/// <param name="topic">The topic that it subscribes to.</param>
internal abstract class GroupMember(SimClient client, string group, string topic)
{
    protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    /// <summary>The partitions that it owns.</summary>
    public IReadOnlyList<TopicPartition> Owned { get; protected set; } = [];

    /// <summary>The group.</summary>
    public string Group => group;

    protected SimClient Client => client;

    protected string Topic => topic;

    protected Destination Coordinator { get; } = Destination.CoordinatorOfGroup(group);

    /// <summary>The id that it is known by; empty before it has one.</summary>
    protected string MemberId { get; set; } = "";

    /// <summary>The generation or the member's epoch, for commits.</summary>
    protected abstract int Epoch { get; }

    /// <summary>
    /// Takes part: joins if it has to, and tells the coordinator that it is alive. Calls <paramref name="commitAsync"/> before it gives
    /// partitions away.
    /// </summary>
    /// <returns>Whether <see cref="Owned"/> is another now. What it owned may be lost, not only given away.</returns>
    public abstract Task<bool> ParticipateAsync(Func<Task> commitAsync);

    /// <summary>Leaves.</summary>
    public abstract Task LeaveAsync();

    /// <summary>Commits offsets of what it owns.</summary>
    /// <returns>The coordinator's answer; null when there was none, and the commit may come into force at any time.</returns>
    public async Task<ErrorCode?> CommitAsync(IReadOnlyDictionary<TopicPartition, long> offsets)
    {
        const short firstVersionWithTopicIds = 10;
        var hasIds = client.VersionOf(ApiKey.OffsetCommit) >= firstVersionWithTopicIds;
        var request = new OffsetCommitRequest
        {
            GroupId = group,
            GenerationIdOrMemberEpoch = Epoch,
            MemberId = MemberId,
            Topics =
            [
                new OffsetCommitRequest.OffsetCommitRequestTopic
                {
                    Name = topic,
                    TopicId = hasIds ? await client.TopicIdAsync(topic) : Uuid.Zero,
                    Partitions = [.. offsets.Select(offset => new OffsetCommitRequest.OffsetCommitRequestPartition
                    {
                        PartitionIndex = offset.Key.Partition,
                        CommittedOffset = offset.Value,
                    })],
                },
            ],
        };
        try
        {
            var response = await client.CallAsync<OffsetCommitRequest, OffsetCommitResponse>(request, Coordinator);
            var error = (ErrorCode)response.Topics.SelectMany(answer => answer.Partitions).Select(answer => answer.ErrorCode)
                .FirstOrDefault(error => error != (short)ErrorCode.None);
            if (SimClient.IsRetriable(error))
                client.Forget(Coordinator);
            return error;
        }
        catch (ConnectionLostException)
        {
            return null;
        }
    }
}
