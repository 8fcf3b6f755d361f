using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using Ottla.UnitTests.Metadata;
using Xunit.Abstractions;

namespace Ottla.UnitTests.Controller;

/// <summary>
/// Our controller writes the records that Kafka's wrote, field by field: each batch of a recorded cluster is what our controller decides
/// about a request of the recording, or about a broker that fell silent, in the state that the records before it give.
/// </summary>
/// <remarks>
/// Kafka has partitions in the order of its hash tables, so within a run of records of one kind the order is free. Topic ids and the
/// placement of replicas are random: they are taken from the recording, and only what follows from them is compared.
/// </remarks>
public sealed class RecordedClusterTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("combined", "Q2x1c3Rlci1nb2xkZW4tMQ", 1, 1, 2, 3)]
    [InlineData("reassignment", "Q2x1c3Rlci1nb2xkZW4tMQ", 1, 1, 2, 3)]
    [InlineData("separate", "Q2x1c3Rlci1zZXBhcmF0ZQ", 1, 7, 8, 9)]
    [InlineData("static", "Q2x1c3Rlci1zdGF0aWMtMQ", 0, 1, 2, 3)]
    [InlineData("versions", "Q2x1c3Rlci1zdGF0aWMtMQ", 0, 1, 2, 3)]
    public void Every_record_is_what_our_controller_decides(string name, string clusterId, short kraftVersion, params int[] voters)
    {
        var player = new Player(voters, clusterId, kraftVersion);
        foreach (var step in RecordedCluster.Read(name).Steps)
            player.Play(step);
        foreach (var line in player.Unexplained)
            output.WriteLine(line);
        output.WriteLine($"{name}: {player.ExplainedCount} records explained");
        Assert.Empty(player.Unexplained);
        Assert.NotEqual(0, player.ExplainedCount);
    }

    private sealed class Player(int[] voters, string clusterId, short kraftVersion)
    {
        private readonly MetadataReplayer _replayer = new(MetadataImage.Empty);
        private readonly QuorumController _controller = new(new ControllerSettings
        {
            NodeId = voters[0],
            ClusterId = clusterId,
            Config = Ottla.Configuration.BrokerConfig.LoadDevMode(
                null,
                [
                    new("min.insync.replicas", "2"), new("default.replication.factor", "3"),
                    new("num.partitions", "1"),
                ]),
            SupportedFeatures = SupportedFeatures.Latest,
            Seed = 1,
        });

        public List<string> Unexplained { get; } = [];

        public int ExplainedCount { get; private set; }

        public void Play(RecordedCluster.Step step)
        {
            var commands = step.Requests.Select(request => (Request: request, Command: RecordedCluster.Command(request))).ToList();
            foreach (var given in step.Given)
                Apply(given);
            foreach (var batch in step.Records.GroupBy(record => record.Batch))
            {
                var records = batch.ToList();
                while (records.Count > 0)
                {
                    var count = Explain(commands, records);
                    if (count == 0)
                    {
                        Unexplained.Add($"{step.Name} {records[0].Offset}: {Describe(records)}");
                        count = records.Count;
                    }
                    else
                    {
                        ExplainedCount += count;
                    }

                    foreach (var record in records.Take(count))
                        Apply(record);
                    records.RemoveRange(0, count);
                }
            }
        }

        private void Apply(RecordedCluster.Record record) =>
            _replayer.Apply([record.Content], record.Offset, new MetadataProvenance(record.Offset, record.Epoch, 0));

        /// <summary>Finds what the controller may have been asked when it wrote the records.</summary>
        /// <returns>How many of the records are explained by it.</returns>
        private int Explain(
            List<(
                RecordedCluster.Request Request,
                Func<QuorumController, ControllerState, IReadOnlyList<MetadataRecord>> Command)> commands,
            List<RecordedCluster.Record> records)
        {
            if (_replayer.Image.Features.MetadataVersion is null)
                return ExplainBootstrap(records);
            // This version serves neither of their APIs.
            if (records[0].Content.Message is ClientQuotaRecord or UserScramCredentialRecord)
                return 1;
            var state = new ControllerState(
                _replayer.Image, records[0].Offset, new Instant(0), new ControllerQuorum(kraftVersion, voters));
            for (var i = 0; i < commands.Count; i++)
            {
                if (Matches(commands[i].Command, _controller, state, records) is not (> 0 and var count))
                    continue;
                commands.RemoveAt(i);
                return count;
            }

            return ExplainFencing(state, records);
        }

        private static int ExplainBootstrap(List<RecordedCluster.Record> records)
        {
            var bootstrap = records.TakeWhile(record => record.Content.Message is BeginTransactionRecord or FeatureLevelRecord)
                .Where(record => record.Content.Message is FeatureLevelRecord)
                .Select(record => record.Content);
            var bed = new ControllerTestBed(7, ("min.insync.replicas", "2"));
            var command = new ActivateCommand([.. bootstrap], -1);
            return Matches(
                (controller, state) => controller.Decide(command, state).Records,
                bed.Controller,
                new ControllerState(MetadataImage.Empty, 0, default, bed.Quorum),
                records);
        }

        /// <summary>A broker fell silent. Kafka writes that also of one that is fenced already, which changes nothing; we do not.</summary>
        private int ExplainFencing(in ControllerState state, List<RecordedCluster.Record> records)
        {
            if (records[0].Content.Message is BrokerRegistrationChangeRecord { Fenced: 1 } again
                && state.Image.Cluster.Broker(again.BrokerId) is { Fenced: true } fenced && fenced.Epoch == again.BrokerEpoch)
                return 1;
            foreach (var broker in state.Image.Cluster.Brokers.Values)
            {
                var fence = new BrokerHeartbeatRequest
                {
                    BrokerId = broker.Id,
                    BrokerEpoch = broker.Epoch,
                    CurrentMetadataOffset = long.MaxValue,
                    WantFence = true,
                };
                if (!broker.Fenced
                    && Matches(
                        (controller, state) =>
                        controller.Decide(new BrokerHeartbeatCommand(fence), state).Records, _controller, state, records)
                        is > 0 and var count)
                    return count;
            }

            return 0;
        }

        private static int Matches(
            Func<QuorumController, ControllerState, IReadOnlyList<MetadataRecord>> command,
            QuorumController controller,
            in ControllerState state,
            List<RecordedCluster.Record> records)
        {
            IReadOnlyList<MetadataRecord> decided;
            try
            {
                decided = command(controller, state);
            }
            catch (ApiException)
            {
                return 0;
            }

            if (decided.Count == 0 || decided.Count > records.Count)
                return 0;
            var golden = records.Take(decided.Count).Select(record => record.Content).ToList();
            if (!decided.Select(record => record.Message.GetType()).SequenceEqual(golden.Select(record => record.Message.GetType())))
                return 0;
            Adopt(decided, golden);
            return decided.Select(MetadataImageGoldenTests.Comparable).Order()
                .SequenceEqual(golden.Select(MetadataImageGoldenTests.Comparable).Order())
                    ? decided.Count
                    : 0;
        }

        /// <summary>Takes over what is random: the ids of new topics, and where new partitions are.</summary>
        private static void Adopt(IReadOnlyList<MetadataRecord> decided, List<MetadataRecord> golden)
        {
            var ids = new Dictionary<Uuid, Uuid>();
            for (var i = 0; i < decided.Count; i++)
            {
                if (decided[i].Message is TopicRecord ours && golden[i].Message is TopicRecord theirs && ours.Name == theirs.Name)
                {
                    ids[ours.TopicId] = theirs.TopicId;
                    ours.TopicId = theirs.TopicId;
                }

                if (decided[i].Message is not PartitionRecord our || golden[i].Message is not PartitionRecord their)
                    continue;
                our.TopicId = ids.GetValueOrDefault(our.TopicId, our.TopicId);
                if (our.Replicas.Length != their.Replicas.Length || our.Isr.Length != their.Isr.Length || their.Leader != their.Isr[0])
                    continue;
                (our.Replicas, our.Isr, our.Leader) = (their.Replicas, their.Isr, their.Leader);
                our.Directories = their.Directories;
            }
        }

        private static string Describe(List<RecordedCluster.Record> records) =>
            string.Join(", ", records.Select(record => record.Content.Message.GetType().Name).Take(5))
            + (records.Count > 5 ? $" and {records.Count - 5} more" : "");
    }
}
