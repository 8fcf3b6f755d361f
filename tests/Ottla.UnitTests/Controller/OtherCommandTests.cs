using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

public sealed class OtherCommandTests
{
    private readonly ControllerTestBed _bed = ControllerTestBed.WithBrokers();

    [Fact]
    public void Configs_are_set_appended_subtracted_and_deleted()
    {
        _bed.Create("a");
        Assert.Equal(ErrorCode.None, Alter(2, "a", ("retention.ms", 0, "5"), ("cleanup.policy", 2, "compact")));
        Assert.Equal("delete,compact", Value("a", "cleanup.policy"));
        Assert.Equal(ErrorCode.None, Alter(2, "a", ("retention.ms", 1, null), ("cleanup.policy", 3, "delete")));
        Assert.Equal((null, "compact"), (Value("a", "retention.ms"), Value("a", "cleanup.policy")));
        Assert.Equal(ErrorCode.None, Alter(2, "a", ("cleanup.policy", 0, "compact")));
        Assert.Empty(_bed.LastRecords);
        Assert.Equal(ErrorCode.None, Alter(4, "", ("log.retention.ms", 0, "77")));
        Assert.Equal(ErrorCode.None, Alter(4, "1", ("log.retention.ms", 0, "78")));
        Assert.Equal(ErrorCode.None, Alter(32, "g", ("share.auto.offset.reset", 0, "earliest")));
        Assert.Equal(ErrorCode.None, Alter(16, "m", ("interval.ms", 0, "1000")));
        Assert.Equal("78", _bed.Image.Configs.Value(ConfigResource.Broker(1), "log.retention.ms"));
        Assert.Equal("78", _bed.Create("b").Configs!.Single(config => config.Name == "retention.ms").Value);
        _bed.CheckInvariants();
    }

    [Theory]
    [InlineData(2, "none", "retention.ms", 0, "1", ErrorCode.UnknownTopicOrPartition)]
    [InlineData(2, "a", "no.such", 0, "1", ErrorCode.InvalidConfig)]
    [InlineData(2, "a", "retention.ms", 0, "x", ErrorCode.InvalidConfig)]
    [InlineData(2, "a", "retention.ms", 2, "1", ErrorCode.InvalidConfig)]
    [InlineData(2, "a", "retention.ms", 0, null, ErrorCode.InvalidRequest)]
    [InlineData(2, "", "retention.ms", 0, "1", ErrorCode.InvalidRequest)]
    [InlineData(4, "x", "log.retention.ms", 0, "1", ErrorCode.InvalidRequest)]
    [InlineData(4, "9", "log.retention.ms", 0, "1", ErrorCode.BrokerIdNotRegistered)]
    [InlineData(4, "1", "min.insync.replicas", 0, "1", ErrorCode.InvalidConfig)]
    [InlineData(4, "", "min.insync.replicas", 1, null, ErrorCode.InvalidConfig)]
    [InlineData(32, "g", "no.such", 0, "1", ErrorCode.InvalidConfig)]
    [InlineData(1, "g", "x", 0, "1", ErrorCode.UnsupportedVersion)]
    public void Alteration_is_refused(sbyte type, string name, string key, sbyte operation, string? value, ErrorCode error)
    {
        _bed.Create("a");
        Assert.Equal(error, Alter(type, name, (key, operation, value)));
        Assert.Empty(_bed.LastRecords);
    }

    [Fact]
    public void A_refused_resource_does_not_stop_the_others()
    {
        _bed.Create("a");
        var errors = _bed.Do(new AlterConfigsCommand(
            [
                Change(2, "a", ("retention.ms", 0, "5")), Change(2, "none", ("retention.ms", 0, "5")), Change(2, "d"), Change(2, "d"),
                Change(4, "9", ("log.retention.ms", 0, "1")),
            ],
            ValidateOnly: false));
        Assert.Equal(
            [
                ErrorCode.None, ErrorCode.UnknownTopicOrPartition, ErrorCode.InvalidRequest, ErrorCode.InvalidRequest,
                ErrorCode.BrokerIdNotRegistered,
            ],
            errors.Select(error => error.Code));
        Assert.Equal("5", Value("a", "retention.ms"));
        Assert.Equal(ErrorCode.InvalidRequest, Alter(2, "a", ("retention.ms", 0, "5"), ("retention.ms", 0, "6")));
    }

    [Fact]
    public void Legacy_alteration_deletes_what_it_does_not_name()
    {
        _bed.Create("a", configs: [("retention.ms", "5"), ("flush.ms", "6")]);
        var command = new AlterConfigsCommand([Change(2, "a", ("retention.ms", 0, "7")) with { ReplacesAll = true }], ValidateOnly: true);
        Assert.False(_bed.Do(command).Single().IsFailure);
        Assert.Equal("6", Value("a", "flush.ms"));
        _bed.Do(command with { ValidateOnly = false });
        Assert.Equal(("7", null), (Value("a", "retention.ms"), Value("a", "flush.ms")));
    }

    [Fact]
    public void Change_of_min_isr_forgets_who_is_eligible()
    {
        _bed.Create("a");
        Alter(2, "a", ("min.insync.replicas", 0, "1"));
        Assert.Equal("a", Assert.IsType<ClearElrRecord>(_bed.LastRecords[^1].Message).TopicName);
        Alter(4, "", ("min.insync.replicas", 0, "1"));
        Assert.Equal("", Assert.IsType<ClearElrRecord>(_bed.LastRecords[^1].Message).TopicName);
    }

    [Theory]
    [InlineData("share.version", 1, 1, null)]
    [InlineData("share.version", 1, 2, "")]
    [InlineData("share.version", 3, 1, "Local controller 1 only supports versions 0-2")]
    [InlineData("share.version", -1, 2, "A feature version cannot be less than 0.")]
    [InlineData("no.such", 1, 1, "Local controller 1 does not support this feature.")]
    [InlineData("metadata.version", 32, 2, "Refusing to perform the requested downgrade")]
    [InlineData("metadata.version", 32, 3, "Unsafe metadata downgrade is not supported")]
    [InlineData("metadata.version", 32, 1, "Can't downgrade the version of this feature without")]
    [InlineData("metadata.version", 33, 1, "")]
    [InlineData("kraft.version", 1, 1, "")]
    [InlineData("kraft.version", 0, 2, "Can't downgrade the version of this feature.")]
    [InlineData("share.version", 1, 0, "The controller does not support the given upgrade type.")]
    public void Features_are_updated_or_refused(string feature, short level, sbyte type, string? message)
    {
        // A level below the present one needs a downgrade.
        message ??= "Can't downgrade the version of this feature without";
        var response = _bed.Do(new UpdateFeaturesCommand(
            new UpdateFeaturesRequest { FeatureUpdates = [new() { Feature = feature, MaxVersionLevel = level, UpgradeType = type }] }, 2));
        if (message.Length == 0)
        {
            Assert.Equal((0, (string?)null), (response.ErrorCode, response.ErrorMessage));
            Assert.Equal(feature == "kraft.version" ? 0 : level, _bed.Image.Features.LevelOf(feature));
        }
        else
        {
            Assert.Equal(ErrorCode.InvalidUpdateVersion, (ErrorCode)response.ErrorCode);
            Assert.Contains(message, response.ErrorMessage, StringComparison.Ordinal);
            Assert.Empty(_bed.LastRecords);
        }
    }

    [Fact]
    public void Registration_is_refused()
    {
        Assert.Equal(ErrorCode.InconsistentClusterId, Refused(r => r.ClusterId = "other"));
        Assert.Equal(ErrorCode.InvalidRegistration, Refused(r => r.LogDirs = []));
        Assert.Equal(ErrorCode.InvalidRegistration, Refused(r => r.LogDirs = [Uuid.One]));
        Assert.Equal(ErrorCode.InvalidRegistration, Refused(r => r.LogDirs = [new Uuid(3, 3), new Uuid(3, 3)]));
        Assert.Equal(ErrorCode.InvalidRegistration, Refused(r => r.LogDirs = [new Uuid(1, 1000)]));
        Assert.Equal(ErrorCode.InvalidRegistration, Refused(r => r.Features = []));
        Assert.Equal(ErrorCode.UnsupportedVersion, Refused(r => r.Features = [.. r.Features.Where(f => f.Name != "group.version")]));
        Assert.Equal(
            ErrorCode.UnsupportedVersion, Refused(r => r.Features.Single(f => f.Name == "metadata.version").MaxSupportedVersion = 32));
        Assert.Equal(ErrorCode.BrokerIdNotRegistered, Refused(r => r.IsMigratingZkBroker = true));

        ErrorCode Refused(Action<BrokerRegistrationRequest> spoil)
        {
            var request = ControllerTestBed.Registration(2);
            spoil(request);
            return _bed.Fails(new RegisterBrokerCommand(request));
        }
    }

    [Fact]
    public void Same_incarnation_keeps_its_epoch_and_a_new_one_gets_a_higher()
    {
        var epoch = _bed.Image.Cluster.Broker(1)!.Epoch;
        Assert.Equal(epoch, _bed.Do(new RegisterBrokerCommand(ControllerTestBed.Registration(1))).BrokerEpoch);
        Assert.False(_bed.Image.Cluster.Broker(1)!.Fenced);
        _bed.Disconnect(1);
        Assert.True(_bed.Do(new RegisterBrokerCommand(ControllerTestBed.Registration(1, incarnation: 2))).BrokerEpoch > epoch);
        Assert.True(_bed.Image.Cluster.Broker(1)!.Fenced);
        Assert.Equal(ErrorCode.StaleBrokerEpoch, _bed.Fails(new BrokerHeartbeatCommand(_bed.Heartbeat(1, epoch))));
        Assert.Equal(ErrorCode.StaleBrokerEpoch, _bed.Fails(new BrokerHeartbeatCommand(_bed.Heartbeat(8, 1))));
        var behind = _bed.Heartbeat(1);
        behind.CurrentMetadataOffset = 0;
        Assert.True(_bed.Do(new BrokerHeartbeatCommand(behind)) is { IsFenced: true, IsCaughtUp: false });
    }

    [Fact]
    public void Leaderships_move_when_a_broker_goes()
    {
        var bed = ControllerTestBed.WithBrokers(3);
        bed.Create("a", 6, 3);
        Assert.True(bed.Do(new BrokerHeartbeatCommand(bed.Heartbeat(2, wantShutDown: true))) is { InControlledShutdown: true });
        bed.Do(new BrokerHeartbeatCommand(bed.Heartbeat(1)));
        bed.Do(new BrokerHeartbeatCommand(bed.Heartbeat(3)));
        Assert.True(bed.Do(new BrokerHeartbeatCommand(bed.Heartbeat(2, wantShutDown: true))) is { ShouldShutDown: true });
        Assert.DoesNotContain(bed.Image.Topics.Find("a")!.Partitions, partition => partition.Leader == 2 || partition.Isr.Contains(2));
        bed.CheckInvariants();
        bed.Do(new UnregisterBrokerCommand(2));
        Assert.Null(bed.Image.Cluster.Broker(2));
        Assert.Equal(ErrorCode.BrokerIdNotRegistered, bed.Fails(new UnregisterBrokerCommand(2)));
    }

    [Fact]
    public void Failed_directory_takes_its_partitions_offline()
    {
        var bed = ControllerTestBed.WithBrokers(2);
        bed.Create("a", assignments: [[1, 2]]);
        var heartbeat = bed.Heartbeat(1);
        heartbeat.OfflineLogDirs = [new Uuid(1, 1000)];
        bed.Do(new BrokerHeartbeatCommand(heartbeat));
        Assert.Equal(2, bed.Image.Topics.Find("a")!.Partitions[0].Leader);
        bed.CheckInvariants();
    }

    [Fact]
    public void Controllers_register_and_leave()
    {
        _bed.Do(new RegisterControllerCommand(
            new ControllerRegistrationRequest
            {
                ControllerId = 5,
                Features = [new() { Name = "metadata.version", MinSupportedVersion = 7, MaxSupportedVersion = 33 }]
            }));
        Assert.Equal(33, _bed.Image.Cluster.Controllers[5].Features["metadata.version"].Max);
        _bed.Do(new UnregisterControllerCommand(5));
        Assert.Equal(ErrorCode.ControllerIdNotRegistered, _bed.Fails(new UnregisterControllerCommand(5)));
        var old = new ControllerTestBed();
        old.Do(new ActivateCommand([new(new FeatureLevelRecord { Name = "metadata.version", FeatureLevel = 14 }, 0)], -1));
        Assert.Equal(ErrorCode.UnsupportedVersion, old.Fails(new RegisterControllerCommand(new ControllerRegistrationRequest())));
        Assert.Equal(ErrorCode.UnsupportedVersion, old.Fails(new UnregisterControllerCommand(5)));
    }

    [Fact]
    public void Producer_ids_come_in_blocks_that_never_overlap()
    {
        var epoch = _bed.Image.Cluster.Broker(1)!.Epoch;
        Assert.Equal(new ProducerIdBlock(0, 1000), _bed.Do(new AllocateProducerIdsCommand(1, epoch)));
        Assert.Equal(new ProducerIdBlock(1000, 1000), _bed.Do(new AllocateProducerIdsCommand(1, epoch)));
        Assert.Equal(ErrorCode.StaleBrokerEpoch, _bed.Fails(new AllocateProducerIdsCommand(1, epoch + 1)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Any_sequence_of_commands_leaves_sane_metadata(int seed)
    {
        var bed = ControllerTestBed.WithBrokers(4, (ulong)seed);
        var random = new Prng((ulong)seed);
        var ids = new HashSet<Uuid>();
        var incarnation = 1UL;
        for (var step = 0; step < 150; step++)
        {
            var broker = random.NextInt(1, 5);
            var topic = "t" + random.NextInt(8);
            switch (random.NextInt(8))
            {
                case 0 or 1:
                    var result = bed.Create(topic, random.NextInt(1, 5), (short)random.NextInt(1, 4));
                    Assert.True(result.ErrorCode != 0 || ids.Add(result.TopicId), $"Topic id used twice, seed {seed}");
                    break;
                case 2:
                    bed.Do(new DeleteTopicsCommand(new DeleteTopicsRequest { TopicNames = [topic] }, 6));
                    break;
                case 3:
                    bed.Do(new BrokerHeartbeatCommand(bed.Heartbeat(broker, wantFence: random.NextChance(50))));
                    break;
                case 4:
                    bed.Disconnect(broker);
                    bed.Do(new RegisterBrokerCommand(ControllerTestBed.Registration(broker, incarnation: ++incarnation)));
                    break;
                case 5:
                    bed.Do(new BrokerHeartbeatCommand(bed.Heartbeat(broker, wantShutDown: true)));
                    break;
                case 6:
                    Alter(bed, 2, topic, ("min.insync.replicas", 0, random.NextChance(50) ? "2" : "1"),
                        ("unclean.leader.election.enable", 0, random.NextChance(50) ? "true" : "false"));
                    break;
                default:
                    bed.Do(new BrokerHeartbeatCommand(bed.Heartbeat(broker)));
                    break;
            }

            bed.CheckInvariants();
        }

        Assert.NotEmpty(ids);
    }

    private static ConfigChange Change(sbyte type, string name, params (string Name, sbyte Operation, string? Value)[] configs) => new(
        new ConfigResource((ConfigResourceType)type, name),
        [.. configs.Select(config => new ConfigAlteration(config.Name, (AlterConfigOperation)config.Operation, config.Value))],
        ReplacesAll: false);

    private static ErrorCode Alter(ControllerTestBed bed, sbyte type, string name, params (string, sbyte, string?)[] configs) =>
        bed.Do(new AlterConfigsCommand([Change(type, name, configs)], ValidateOnly: false)).Single().Code;

    private ErrorCode Alter(sbyte type, string name, params (string, sbyte, string?)[] configs) => Alter(_bed, type, name, configs);

    private string? Value(string topic, string name) => _bed.Image.Configs.Value(ConfigResource.Topic(topic), name);
}
