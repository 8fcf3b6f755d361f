using System.Text.Json;
using Ottla.Broker.Hosts;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.UnitTests.Raft;

/// <summary>
/// The control batches of a three-node Kafka 4.4, as its leaders sent them: what they say, written by us, are the same bytes.
/// </summary>
public sealed class QuorumBatchGoldenTests
{
    [Fact]
    public void Control_batches_are_kafkas_byte_for_byte()
    {
        var seen = 0;
        foreach (var line in File.ReadLines(GoldenData.Path("cluster/quorum-batches.jsonl")))
        {
            using var json = JsonDocument.Parse(line);
            var golden = Convert.FromHexString(json.RootElement.GetProperty("hex").GetString()!);
            Assert.Equal(Convert.ToHexString(golden), Convert.ToHexString(WriteAnew(golden)));
            seen++;
        }

        Assert.Equal(4, seen);
    }

    private static byte[] WriteAnew(byte[] golden)
    {
        var batch = MetadataBatch.Decode(golden);
        var messages = batch.ControlRecords.Select(record => record.Message).ToArray();
        var voters = messages.OfType<VotersRecord>().SingleOrDefault() is { } record ? VoterSet.FromRecord(record) : null;
        var version = messages.OfType<KRaftVersionRecord>().SingleOrDefault()?.KRaftVersion;
        var timestamp = new Instant(new RecordBatchView(golden).BaseTimestamp);
        if (messages.OfType<LeaderChangeMessage>().SingleOrDefault() is not { } change)
            return QuorumBatches.Encode(new RaftLogEffect.AppendQuorumChange(batch.Epoch, timestamp, version, voters!), batch.BaseOffset);
        return QuorumBatches.Encode(new RaftLogEffect.AppendEpochStart(
            batch.BaseOffset,
            batch.Epoch,
            timestamp,
            change.LeaderId,
            [.. change.Voters.Select(voter => voter.VoterId)],
            [.. change.GrantingVoters.Select(voter => voter.VoterId)],
            version,
            voters));
    }
}
