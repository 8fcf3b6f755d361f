using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.UnitTests.Controller;

public sealed class TopicCommandTests
{
    private readonly ControllerTestBed _bed = ControllerTestBed.WithBrokers();

    [Fact]
    public void Topic_is_created_as_asked()
    {
        var result = _bed.Create("a", 3, 1, [("retention.ms", "1000"), ("min.insync.replicas", "1")]);
        Assert.Equal(
            (0, 3, (short)1, (string?)null), (result.ErrorCode, result.NumPartitions, result.ReplicationFactor, result.ErrorMessage));
        Assert.Equal("1000", result.Configs!.Single(config => config.Name == "retention.ms").Value);
        Assert.Equal(1, result.Configs!.Single(config => config.Name == "retention.ms").ConfigSource);
        Assert.Equal(
            ["TopicRecord", "ConfigRecord", "ConfigRecord", "ClearElrRecord", "PartitionRecord", "PartitionRecord", "PartitionRecord"],
            _bed.LastRecords.Select(record => record.Message.GetType().Name));
        var topic = _bed.Image.Topics.Find("a")!;
        Assert.Equal(result.TopicId, topic.Id);
        Assert.All(topic.Partitions,
            partition => Assert.Equal((1, 0, new Uuid(1, 1000)), (partition.Leader, partition.LeaderEpoch, partition.Directories[0])));
        _bed.CheckInvariants();
    }

    [Fact]
    public void Defaults_come_from_the_broker()
    {
        var bed = ControllerTestBed.WithBrokers(2, 7, ("num.partitions", "4"), ("default.replication.factor", "2"));
        var result = bed.Create("a", -1, -1);
        Assert.Equal((4, (short)2), (result.NumPartitions, result.ReplicationFactor));
    }

    [Fact]
    public void Nothing_is_created_when_only_validating()
    {
        Assert.Equal(0, _bed.Create("a", validateOnly: true).ErrorCode);
        Assert.Empty(_bed.LastRecords);
        Assert.Equal((short)ErrorCode.InvalidPartitions, _bed.Create("a", 0, validateOnly: true).ErrorCode);
    }

    [Theory]
    [InlineData("", 1, 1, ErrorCode.InvalidTopicException, "Topic name is invalid: the empty string is not allowed")]
    [InlineData("..", 1, 1, ErrorCode.InvalidTopicException, "Topic name is invalid: '..' is not allowed")]
    [InlineData(
        "a b", 1, 1, ErrorCode.InvalidTopicException,
            "Topic name is invalid: 'a b' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")]
    [InlineData("x.y", 1, 1, ErrorCode.InvalidTopicException, "Topic 'x.y' collides with existing topic: x_y")]
    [InlineData("x_y", 1, 1, ErrorCode.TopicAlreadyExists, "Topic 'x_y' already exists.")]
    [InlineData("__cluster_metadata", 1, 1, ErrorCode.InvalidRequest, "Creation of internal topic __cluster_metadata is prohibited.")]
    [InlineData("a", 0, 1, ErrorCode.InvalidPartitions, "Number of partitions was set to an invalid non-positive value.")]
    [InlineData("a", 1, 0, ErrorCode.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")]
    [InlineData(
        "a", 1, 2, ErrorCode.InvalidReplicationFactor,
            "Unable to replicate the partition 2 time(s): The target replication factor of 2 cannot be reached because only 1 broker(s) "
                + "are registered or some brokers have all their log directories cordoned.")]
    public void Creation_is_refused(string name, int partitions, short replicationFactor, ErrorCode error, string message)
    {
        _bed.Create("x_y");
        var result = _bed.Create(name, partitions, replicationFactor);
        Assert.Equal((error, message), ((ErrorCode)result.ErrorCode, result.ErrorMessage));
        Assert.Empty(_bed.LastRecords);
    }

    [Fact]
    public void Configs_are_validated()
    {
        Assert.Equal(ErrorCode.InvalidConfig, (ErrorCode)_bed.Create("a", configs: [("no.such", "1")]).ErrorCode);
        Assert.Equal(ErrorCode.InvalidConfig, (ErrorCode)_bed.Create("a", configs: [("retention.ms", "abc")]).ErrorCode);
        var missing = _bed.Create("a", configs: [("retention.ms", null), ("flush.ms", null)]);
        Assert.Equal(
            (ErrorCode.InvalidConfig, "Null value not supported for topic configs: retention.ms,flush.ms"),
            ((ErrorCode)missing.ErrorCode, missing.ErrorMessage));
    }

    [Fact]
    public void Assignments_are_taken_or_refused()
    {
        var bed = ControllerTestBed.WithBrokers(3);
        bed.AddBroker(4, unfence: false);
        var created = bed.Create("ok", assignments: [[2, 4], [3, 1]]);
        Assert.Equal(0, created.ErrorCode);
        Assert.Equal([2], bed.Image.Topics.Find("ok")!.Partitions[0].Isr.AsEnumerable());
        Assert.Equal(3, bed.Image.Topics.Find("ok")!.Partitions[1].Leader);

        AssertInvalid("includes broker 9, but no such broker is registered", [[9]]);
        AssertInvalid("includes the broker 1 more than once", [[1, 1]]);
        AssertInvalid("includes an empty replica list", [[]]);
        AssertInvalid("not consistent with previous partitions, which have 1 replica(s)", [[1], [1, 2]]);
        AssertInvalid("are fenced or in controlled shutdown", [[4]]);

        var twice = ControllerTestBed.Topic("b", assignments: [[1], [2]]);
        twice.Assignments[1].PartitionIndex = 0;
        Assert.Contains("Found multiple manual partition assignments", Single(bed, twice).ErrorMessage, StringComparison.Ordinal);
        twice.Assignments[1].PartitionIndex = 2;
        Assert.Contains("consecutive 0-based", Single(bed, twice).ErrorMessage, StringComparison.Ordinal);
        twice.ReplicationFactor = 1;
        Assert.Equal(ErrorCode.InvalidRequest, (ErrorCode)Single(bed, twice).ErrorCode);
        (twice.ReplicationFactor, twice.NumPartitions) = (-1, 2);
        Assert.Equal(ErrorCode.InvalidRequest, (ErrorCode)Single(bed, twice).ErrorCode);

        void AssertInvalid(string message, int[][] assignments)
        {
            var result = bed.Create("b", assignments: assignments);
            Assert.Equal(ErrorCode.InvalidReplicaAssignment, (ErrorCode)result.ErrorCode);
            Assert.Contains(message, result.ErrorMessage, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void One_bad_topic_does_not_stop_the_others()
    {
        var response = _bed.Do(new CreateTopicsCommand(new CreateTopicsRequest
        {
            Topics = [ControllerTestBed.Topic("a"), ControllerTestBed.Topic("twice"), ControllerTestBed.Topic("twice"),
                ControllerTestBed.Topic("b", 0)],
        }));
        var errors = response.Topics.ToDictionary(topic => topic.Name, topic => (ErrorCode)topic.ErrorCode);
        Assert.Equal((ErrorCode.None, ErrorCode.InvalidRequest, ErrorCode.InvalidPartitions), (errors["a"], errors["twice"], errors["b"]));
        Assert.Single(_bed.Image.Topics.ById);
    }

    [Fact]
    public void Too_much_at_once_is_refused_as_a_whole()
    {
        Assert.Equal(
            ErrorCode.PolicyViolation,
            _bed.Fails(new CreateTopicsCommand(new CreateTopicsRequest { Topics = [ControllerTestBed.Topic("a", 10_001)] })));
        Assert.Equal(
            ErrorCode.PolicyViolation,
            _bed.Fails(new CreateTopicsCommand(new CreateTopicsRequest { Topics = [ControllerTestBed.Topic("a", 10_000)] })));
        Assert.Equal(0, _bed.Create("a", 9_999).ErrorCode);
    }

    [Fact]
    public void No_topic_without_an_unfenced_broker()
    {
        _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(1, wantFence: true)));
        var result = _bed.Create("a");
        Assert.Equal(ErrorCode.InvalidReplicationFactor, (ErrorCode)result.ErrorCode);
        Assert.Contains("All brokers are currently fenced", result.ErrorMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void Partitions_are_added()
    {
        _bed.Create("a", 2);
        Assert.Equal((ErrorCode.InvalidPartitions, "Topic already has 2 partition(s)."), Grow("a", 2));
        Assert.Equal((ErrorCode.InvalidPartitions, "The topic a currently has 2 partition(s); 1 would not be an increase."), Grow("a", 1));
        Assert.Equal(ErrorCode.UnknownTopicOrPartition, Grow("b", 3).Error);
        Assert.Equal(
            (ErrorCode.InvalidReplicaAssignment, "Attempted to add 1 additional partition(s), but only 2 assignment(s) were specified."),
            Grow("a", 3, [[1], [1]]));
        Assert.Equal(ErrorCode.InvalidReplicaAssignment, Grow("a", 3, [[8]]).Error);
        Assert.Equal(ErrorCode.None, Grow("a", 3, validateOnly: true).Error);
        Assert.Equal(2, _bed.Image.Topics.Find("a")!.Partitions.Length);
        Assert.Equal(ErrorCode.None, Grow("a", 3, [[1]]).Error);
        Assert.Equal(ErrorCode.None, Grow("a", 5).Error);
        Assert.Equal(5, _bed.Image.Topics.Find("a")!.Partitions.Length);
        var twice = new CreatePartitionsRequest.CreatePartitionsTopic { Name = "a", Count = 6, Assignments = null };
        var response = _bed.Do(new CreatePartitionsCommand(new CreatePartitionsRequest { Topics = [twice, twice] }));
        Assert.Equal(ErrorCode.InvalidRequest, (ErrorCode)response.Results.Single().ErrorCode);
        _bed.CheckInvariants();
    }

    [Fact]
    public void Topics_are_deleted_by_name_and_by_id()
    {
        var ids = Enumerable.Range(0, 4).Select(i => _bed.Create($"t{i}", configs: [("retention.ms", "1")]).TopicId).ToList();
        var response = _bed.Do(new DeleteTopicsCommand(
            new DeleteTopicsRequest
            {
                TopicNames = ["t0", "none", "dup", "dup"],
                Topics =
                [
                    new() { Name = null, TopicId = ids[1] },
                    new() { Name = null, TopicId = new Uuid(5, 5) },
                    new() { Name = null, TopicId = Uuid.Zero },
                    new() { Name = "t2", TopicId = ids[2] },
                    new() { Name = "t3" },
                    new() { Name = null, TopicId = ids[3] },
                ],
            },
            6));
        Assert.Equal(
            [
                ErrorCode.None, ErrorCode.None, ErrorCode.UnknownTopicOrPartition, ErrorCode.InvalidRequest, ErrorCode.InvalidRequest,
                ErrorCode.InvalidRequest, ErrorCode.InvalidRequest, ErrorCode.UnknownTopicId,
            ],
            response.Responses.Select(result => (ErrorCode)result.ErrorCode).OrderBy(code => code == ErrorCode.None ? 0 : (int)code));
        Assert.Equal(["t2", "t3"], _bed.Image.Topics.ByName.Keys.Order());
        Assert.Equal(
            2, _bed.Image.Configs.ByResource.Keys.Count(resource => resource.Type == Ottla.Configuration.ConfigResourceType.Topic));
        _bed.CheckInvariants();
    }

    [Fact]
    public void Deletion_can_be_disabled()
    {
        var request = new DeleteTopicsRequest { TopicNames = ["a"] };
        var bed = ControllerTestBed.WithBrokers(1, 7, ("delete.topic.enable", "false"));
        Assert.Equal(ErrorCode.InvalidRequest, bed.Fails(new DeleteTopicsCommand(request, 2)));
        Assert.Equal(ErrorCode.TopicDeletionDisabled, bed.Fails(new DeleteTopicsCommand(request, 3)));
    }

    [Fact]
    public void Placement_spreads_over_racks_and_brokers()
    {
        var bed = ControllerTestBed.WithBrokers(0);
        for (var id = 1; id <= 6; id++)
            bed.AddBroker(id, rack: "r" + (id % 3));
        bed.Create("a", 60, 3);
        var partitions = bed.Image.Topics.Find("a")!.Partitions;
        Assert.All(partitions, partition => Assert.Equal(3, partition.Replicas.Select(id => id % 3).Distinct().Count()));
        Assert.All(partitions.GroupBy(partition => partition.Leader), group => Assert.InRange(group.Count(), 8, 12));
        bed.CheckInvariants();
    }

    private static CreateTopicsResponse.CreatableTopicResult Single(ControllerTestBed bed, CreateTopicsRequest.CreatableTopic topic) =>
        bed.Do(new CreateTopicsCommand(new CreateTopicsRequest { Topics = [topic] })).Topics.Single();

    private (ErrorCode Error, string? Message) Grow(string name, int count, int[][]? assignments = null, bool validateOnly = false)
    {
        var result = _bed.Do(new CreatePartitionsCommand(new CreatePartitionsRequest
        {
            ValidateOnly = validateOnly,
            Topics =
            [
                new CreatePartitionsRequest.CreatePartitionsTopic
                {
                    Name = name,
                    Count = count,
                    Assignments = assignments?.Select(ids => new CreatePartitionsRequest.CreatePartitionsAssignment { BrokerIds = ids })
                        .ToArray(),
                },
            ],
        })).Results.Single();
        return ((ErrorCode)result.ErrorCode, result.ErrorMessage);
    }
}
