using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using Ottla.UnitTests.Metadata;

namespace Ottla.UnitTests.Controller;

/// <summary>The controller decides what Kafka's decided, record for record, when a broker is killed, comes back and shuts down.</summary>
public sealed class ControllerGoldenTests
{
    private static readonly List<GoldenBatch> Batches = GoldenDump.Read(GoldenDump.Log);

    [Fact]
    public void Bootstrap()
    {
        var bootstrap = Records(4, 10);
        AssertDecides(3, 12, new ActivateCommand(bootstrap, -1));
    }

    [Fact]
    public void Fencing_of_a_broker_that_went_silent() =>
        AssertDecides(
            89, 110, new BrokerHeartbeatCommand(
                new BrokerHeartbeatRequest { BrokerId = 1, BrokerEpoch = 14, CurrentMetadataOffset = 88, WantFence = true }));

    [Fact]
    public void Registration_after_an_unclean_shutdown()
    {
        var golden = (RegisterBrokerRecord)Records(132, 132)[0].Message;
        AssertDecides(111, 132, new RegisterBrokerCommand(Request(golden)));
    }

    [Fact]
    public void Unfencing_elects_the_last_known_leader() => AssertDecides(
        133,
        155,
        new BrokerHeartbeatCommand(
            new BrokerHeartbeatRequest { BrokerId = 1, BrokerEpoch = 111, CurrentMetadataOffset = 132, CordonedLogDirs = [] }));

    [Fact]
    public void Controlled_shutdown_and_its_end()
    {
        var wanted = new BrokerHeartbeatCommand(
            new BrokerHeartbeatRequest { BrokerId = 1, BrokerEpoch = 111, CurrentMetadataOffset = 155, WantShutDown = true });
        var reply = AssertDecides(156, 177, wanted);
        Assert.True(reply is { InControlledShutdown: true, ShouldShutDown: false });
        reply = AssertDecides(178, 178, wanted);
        Assert.True(reply is { ShouldShutDown: true, IsFenced: true });
    }

    [Fact]
    public void Registration_after_a_clean_shutdown_keeps_who_is_eligible()
    {
        var replayer = GoldenDump.Replay(179);
        var request = Request((RegisterBrokerRecord)Records(132, 132)[0].Message);
        request.IncarnationId = new Uuid(1, 1);
        request.PreviousBrokerEpoch = 111;
        var bed = Bed(replayer);
        bed.Do(new RegisterBrokerCommand(request));
        Assert.Single(bed.LastRecords);
        bed.Do(new BrokerHeartbeatCommand(bed.Heartbeat(1)));
        var partition = bed.Image.Topics.Partition(new TopicPartition("plain", 0))!;
        Assert.Equal(1, partition.Leader);
        Assert.Equal(4, partition.LeaderEpoch);
        Assert.Equal([1], partition.Isr.AsEnumerable());
        Assert.Empty(partition.EligibleLeaderReplicas);
        Assert.Empty(partition.LastKnownElr);
    }

    private static TReply AssertDecides<TReply>(long first, long last, ControllerCommand<TReply> command)
    {
        var decision = Bed(null).Controller.Decide(
            command, new ControllerState(GoldenDump.Replay(first).Image, first, new Instant(0), new ControllerQuorum(1, [1])));
        Assert.Equal(
            Records(first, last).Select(MetadataImageGoldenTests.Comparable).Order(),
            decision.Records.Select(MetadataImageGoldenTests.Comparable).Order());

        // Within a decision the kinds of records come in Kafka's order; partitions come in the order of its hash tables.
        Assert.Equal(
            Records(first, last).Select(record => record.Message.GetType()), decision.Records.Select(record => record.Message.GetType()));
        return decision.Reply;
    }

    private static ControllerTestBed Bed(MetadataReplayer? replayer)
    {
        var bed = new ControllerTestBed();
        if (replayer is not null)
            bed.Replayer = replayer;
        return bed;
    }

    private static List<MetadataRecord> Records(long first, long last) =>
    [
        .. Batches.SelectMany(batch => batch.Records.Select((record, index) => (Offset: batch.BaseOffset + index, Record: record)))
            .Where(entry => entry.Offset >= first && entry.Offset <= last)
            .Select(entry => entry.Record),
    ];

    private static BrokerRegistrationRequest Request(RegisterBrokerRecord record) => new()
    {
        BrokerId = record.BrokerId,
        ClusterId = ControllerTestBed.ClusterId,
        IncarnationId = record.IncarnationId,
        Listeners = [
            .. record.EndPoints.Select(
                e => new BrokerRegistrationRequest.Listener { Name = e.Name, Host = e.Host, Port = e.Port,
                    SecurityProtocol = e.SecurityProtocol })],
        Features = [
            .. record.Features.Select(
                f => new BrokerRegistrationRequest.Feature { Name = f.Name, MinSupportedVersion = f.MinSupportedVersion,
                    MaxSupportedVersion = f.MaxSupportedVersion })],
        Rack = record.Rack,
        LogDirs = record.LogDirs,
    };
}
