using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Hosts;

/// <summary>The control batches that a leader of the quorum writes, byte for byte as Kafka does.</summary>
public static class QuorumBatches
{
    /// <summary>The first batch of an epoch: who leads, and the voters where they have to be written.</summary>
    public static byte[] Encode(RaftLogEffect.AppendEpochStart start)
    {
        var leaderChange = (ControlRecordType.LeaderChange, (IMessage)new LeaderChangeMessage
        {
            LeaderId = start.LeaderId,
            Voters = [.. start.VoterIds.Select(id => new LeaderChangeMessage.Voter { VoterId = id })],
            GrantingVoters = [.. start.GrantingVoterIds.Select(id => new LeaderChangeMessage.Voter { VoterId = id })],
        });
        var timestampMs = start.Timestamp.UnixMilliseconds;
        return start is { KRaftVersion: { } version, Voters: { } voters }
            ? MetadataBatch.EncodeControl(start.BaseOffset, start.Epoch, timestampMs, leaderChange, RecordOf(version), RecordOf(voters))
            : MetadataBatch.EncodeControl(start.BaseOffset, start.Epoch, timestampMs, leaderChange);
    }

    /// <summary>A change of the voters, with <c>kraft.version</c> before it where that is raised.</summary>
    public static byte[] Encode(RaftLogEffect.AppendQuorumChange change, long baseOffset)
    {
        var timestampMs = change.Timestamp.UnixMilliseconds;
        return change.KRaftVersion is { } version
            ? MetadataBatch.EncodeControl(baseOffset, change.Epoch, timestampMs, RecordOf(version), RecordOf(change.Voters))
            : MetadataBatch.EncodeControl(baseOffset, change.Epoch, timestampMs, RecordOf(change.Voters));
    }

    private static (ControlRecordType Type, IMessage Message) RecordOf(short kraftVersion) =>
        (ControlRecordType.KRaftVersion, new KRaftVersionRecord { KRaftVersion = kraftVersion });

    private static (ControlRecordType Type, IMessage Message) RecordOf(VoterSet voters) =>
        (ControlRecordType.KRaftVoters, voters.ToRecord());
}
