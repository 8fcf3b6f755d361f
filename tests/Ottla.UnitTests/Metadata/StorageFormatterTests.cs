using Ottla.Broker.Directories;
using Ottla.Cli;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;
using Ottla.Storage.Files;
using Ottla.Storage.Log;

namespace Ottla.UnitTests.Metadata;

public sealed class StorageFormatterTests
{
    private static readonly FormatRequest Request = new() { ClusterId = "c", NodeId = 1, LogDirs = ["/a", "/b"], MetadataLogDir = "/a" };

    [Fact]
    public void New_cluster_gets_the_defaults_that_are_supported()
    {
        var plan = Plan(Request);
        Assert.Equal(
            ["metadata.version=33", "eligible.leader.replicas.version=1", "group.version=1", "share.version=2", "streams.version=1",
                "transaction.version=2"],
            Levels(plan));
        Assert.Equal(0, plan.KRaftVersion);
        Assert.Equal(["metadata directory", "data directory"], plan.Directories.Select(directory => directory.Kind));
        var limited = Plan(
            Request with
            {
                SupportedFeatures = SupportedFeatures.Latest.UpTo(Feature.ShareVersion, 0)
                .UpTo(Feature.TransactionVersion, 1)
            });
        Assert.Equal(
            ["metadata.version=33", "eligible.leader.replicas.version=1", "group.version=1", "streams.version=1", "transaction.version=1"],
            Levels(limited));
    }

    [Fact]
    public void Older_release_has_what_it_had() =>
        Assert.Equal(
            ["metadata.version=30", "eligible.leader.replicas.version=1", "group.version=1", "share.version=1", "streams.version=1",
                "transaction.version=2"],
            Levels(Plan(Request with { ReleaseVersion = "4.3" })));

    [Fact]
    public void Dynamic_quorum_names_its_voters()
    {
        var id = new Uuid(4, 400);
        var plan = Plan(Request with { HasDynamicQuorum = true, InitialControllers = [new InitialController(1, "h", 9093, id)] });
        Assert.Equal(1, plan.KRaftVersion);
        Assert.Equal(
            (id, "dynamic metadata voter directory", true),
            (plan.Directories[0].DirectoryId, plan.Directories[0].Kind, plan.Directories[0].HoldsSnapshot));
        var other = Plan(Request with { HasDynamicQuorum = true, InitialControllers = [new InitialController(2, "h", 9093, id)] });
        Assert.Equal(("dynamic metadata directory", true), (other.Directories[0].Kind, other.Directories[0].HoldsSnapshot));
        Assert.NotEqual(id, other.Directories[0].DirectoryId);
    }

    [Fact]
    public void A_broker_gets_no_snapshot_and_finds_its_controllers_by_configuration()
    {
        var plan = Plan(Request with { HasDynamicQuorum = true, IsController = false });
        Assert.Equal(["metadata directory", "data directory"], plan.Directories.Select(directory => directory.Kind));
        Assert.DoesNotContain(plan.Directories, directory => directory.HoldsSnapshot);
        var disk = new InMemoryFileSystem();
        LogDirectories.Format(plan, "CONTROLLER", disk, new Instant(1));
        Assert.Empty(disk.ListDirectories("/a"));
        Assert.Equal((1, "c"), (MetaProperties.Read(disk, "/a")!.NodeId, MetaProperties.Read(disk, "/a")!.ClusterId));
    }

    /// <summary>
    /// The first snapshot of a cluster of three that kafka-storage 4.4 formatted, with a SCRAM user, is what Ottla writes for it.
    /// </summary>
    [Fact]
    public void Bootstrap_snapshot_has_Kafkas_bytes()
    {
        var kafkas = File.ReadAllBytes(GoldenData.Path(Path.Combine("cluster", "n1-bootstrap.checkpoint")));
        var snapshot = SnapshotReader.Read(kafkas);
        var ids = new[] { "DAwMDAwMTAGNDQ0NDQ0NsQ", "DAwMDAwMTAKNDQ0NDQ0Nsg", "DAwMDAwMTAONDQ0NDQ0Nsw" };
        var plan = Plan(Request with
        {
            HasDynamicQuorum = true,
            InitialControllers = InitialController.ParseList(
                string.Join(',', ids.Select((id, index) => $"{index + 1}@127.0.0.1:{31511 + index * 10}:{id}"))),
        });
        var user = snapshot.Records.Single(record => record.Message is UserScramCredentialRecord); // its salt is random
        var disk = new InMemoryFileSystem();
        LogDirectories.Format(
            plan with { Records = [.. plan.Records, user] }, "CONTROLLER", disk, new Instant(snapshot.LastContainedLogTimestampMs));

        var ours = disk.ReadAllBytes("/a/__cluster_metadata-0/00000000000000000000-0000000000.checkpoint", 64 * 1024);
        Assert.Equal(WithoutBatchTimes(kafkas), WithoutBatchTimes(ours)); // Kafka takes the time anew for each batch
        Assert.Equal(["00000000000000000000-0000000000.checkpoint", "partition.metadata"], disk.ListFiles("/a/__cluster_metadata-0"));
        Assert.Equal(["meta.properties"], disk.ListFiles("/b"));
        Assert.Equal(Uuid.Parse(ids[0]), MetaProperties.Read(disk, "/a")!.DirectoryId);
    }

    [Fact]
    public void Directories_that_cannot_be_read_are_left_alone()
    {
        var plan = StorageFormatter.Plan(Request, path => path == "/b" ? throw new IOException("no") : null);
        Assert.Equal(["/a"], plan.Directories.Select(directory => directory.Path));
        Assert.Equal([("/b", "no")], plan.Unreadable);
        Assert.Contains("No available log directories", Assert.Throws<FormatterException>(
            () => StorageFormatter.Plan(Request, _ => throw new InvalidDataException("broken"))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_directory_of_another_node_is_refused_and_so_is_a_copy()
    {
        var request = Request with { IgnoreFormatted = true };
        AssertRefusedWith("Stored node id 2", request, _ => new FormattedDirectory("c", 2));
        AssertRefusedWith("Duplicate directory ID", request, _ => new FormattedDirectory("c", 1, new Uuid(4, 400)));
        AssertRefusedWith("Invalid reserved directory ID", request, _ => new FormattedDirectory("c", 1, Uuid.One));
        var voter = new InitialController(1, "h", 9093, new Uuid(4, 400));
        AssertRefusedWith(
            "belongs to another directory of this node",
            request with { HasDynamicQuorum = true, InitialControllers = [voter] },
            path => path == "/b" ? new FormattedDirectory("c", 1, voter.DirectoryId) : null);
    }

    [Fact]
    public void Initial_controllers_are_read()
    {
        var controllers = InitialController.ParseList(" 2@[::1]:9094:DAwMDAwMTAKNDQ0NDQ0Nsg,, 1@host.example:9093:DAwMDAwMTAGNDQ0NDQ0NsQ");
        Assert.Equal(
            ["1@host.example:9093:DAwMDAwMTAGNDQ0NDQ0NsQ", "2@[::1]:9094:DAwMDAwMTAKNDQ0NDQ0Nsg"],
            controllers.Select(one => one.ToString()));
        Assert.Equal("::1", controllers[1].Host);
    }

    [Theory]
    [InlineData("", "no voters given")]
    [InlineData("1", "no @ after the node id")]
    [InlineData("@h:1:DAwMDAwMTAGNDQ0NDQ0NsQ", "'' is no node id")]
    [InlineData("-1@h:1:DAwMDAwMTAGNDQ0NDQ0NsQ", "'-1' is no node id")]
    [InlineData("1@h", "no colon following the host")]
    [InlineData("1@[::1:1:x", "none closes it")]
    [InlineData("1@[::1]x:1:x", "no colon following the host")]
    [InlineData("1@:1:DAwMDAwMTAGNDQ0NDQ0NsQ", "the host is missing")]
    [InlineData("1@localhost:9093", "no colon following the port")]
    [InlineData("1@h:65536:DAwMDAwMTAGNDQ0NDQ0NsQ", "'65536' is no port")]
    [InlineData("1@h:1:xyz", "'xyz' is no directory id")]
    [InlineData("1@h:1:AAAAAAAAAAAAAAAAAAAAAQ", "is reserved")]
    [InlineData("1@h:1:DAwMDAwMTAGNDQ0NDQ0NsQ,1@g:1:DAwMDAwMTAGNDQ0NDQ0NsQ", "more than once")]
    public void Initial_controllers_that_cannot_be_read_are_refused(string text, string reason) =>
        Assert.Contains(
            reason, Assert.Throws<FormatterException>(() => InitialController.ParseList(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Bootstrap_metadata_is_printed_as_kafka_storage_does_but_for_secrets()
    {
        var text = BootstrapMetadataText.Of(
            Plan(Request with { ReleaseVersion = "3.9", ScramArguments = ["SCRAM-SHA-256=[name=alice,password=secret]"] }));
        Assert.Equal(
            "BootstrapMetadata(records=[ApiMessageAndVersion(FeatureLevelRecord(name='metadata.version', featureLevel=21) at version 0), "
            + "ApiMessageAndVersion(UserScramCredentialRecord(name='alice', mechanism=1, salt=(redacted), storedKey=(redacted), "
            + "serverKey=(redacted), iterations=4096) at version 0)], metadataVersionLevel=21, source=format command)",
            text);
    }

    [Fact]
    public void A_quorum_that_nobody_could_lead_is_refused()
    {
        var self = new InitialController(1, "h", 9093, new Uuid(4, 400));
        AssertRefused(
            "Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, "
                + "--initial-controllers, or --no-initial-controllers.",
            Request with { HasDynamicQuorum = true });
        AssertRefused(
            "You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone.",
            Request with { InitialControllers = [self] });
        AssertRefused(
            "Cannot set kraft.version to 0",
            Request with
            {
                HasDynamicQuorum = true,
                InitialControllers = [self],
                Features = new Dictionary<string, short> { ["kraft.version"] = 0 }
            });
        Assert.Equal(1, Plan(Request with { HasDynamicQuorum = true, HasNoInitialControllers = true }).KRaftVersion);
    }

    [Fact]
    public void Refusals()
    {
        AssertRefused("negative node ID", Request with { NodeId = -1 });
        AssertRefused("cluster id", Request with { ClusterId = "" });
        AssertRefused("at least one directory", Request with { LogDirs = [] });
        AssertRefused("was not one of the given", Request with { MetadataLogDir = "/c" });
        AssertRefused("Unknown metadata.version '9.9'", Request with { ReleaseVersion = "9.9" });
        AssertRefused("Unsupported feature: x", Request with { Features = new Dictionary<string, short> { ["x"] = 1 } });
        AssertRefused(
            "No feature:share.version with feature level 9",
            Request with { Features = new Dictionary<string, short> { ["share.version"] = 9 } });
        AssertRefused("Cannot set kraft.version to 1", Request with { Features = new Dictionary<string, short> { ["kraft.version"] = 1 } });
        AssertRefused(
            "because it depends on",
            Request with
            {
                ReleaseVersion = "3.9",
                Features = new Dictionary<string, short> { [Feature.EligibleLeaderReplicasVersion] = 1 }
            });
        AssertRefused(
            "SCRAM is only supported", Request with { ReleaseVersion = "3.4", ScramArguments = ["SCRAM-SHA-256=[name=a,password=b]"] });
        Assert.Contains(
            "already formatted", Assert.Throws<FormatterException>(
                () => StorageFormatter.Plan(Request, _ => new FormattedDirectory("c", 1))).Message, StringComparison.Ordinal);
        Assert.Contains(
            "Expected c, but read d", Assert.Throws<FormatterException>(
                () => StorageFormatter.Plan(Request, _ => new FormattedDirectory("d", 1))).Message, StringComparison.Ordinal);
        Assert.Empty(StorageFormatter.Plan(Request with { IgnoreFormatted = true }, _ => new FormattedDirectory("c", 1)).Directories);
    }

    [Fact]
    public void Scram_credential_is_that_of_the_RFC()
    {
        // RFC 7677, section 3: user, pencil.
        var record = ScramCredentials.Parse("SCRAM-SHA-256=[name=user,password=pencil,salt=\"W22ZaJ0SNY7soEsUEjb6gQ==\"]");
        Assert.Equal("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", Convert.ToBase64String(record.StoredKey));
        Assert.Equal("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", Convert.ToBase64String(record.ServerKey));
        Assert.Equal((1, 4096), (record.Mechanism, record.Iterations));
    }

    [Theory]
    [InlineData("SCRAM-SHA-1=[name=a,password=b]")]
    [InlineData("SCRAM-SHA-256")]
    [InlineData("SCRAM-SHA-256=name=a")]
    [InlineData("SCRAM-SHA-256=[password=b]")]
    [InlineData("SCRAM-SHA-256=[name=a]")]
    [InlineData("SCRAM-SHA-256=[name=a,saltedpassword=AAAA]")]
    [InlineData("SCRAM-SHA-256=[name=a,password=b,iterations=4095]")]
    [InlineData("SCRAM-SHA-512=[name=a,password=b,iterations=16385]")]
    [InlineData("SCRAM-SHA-512=[name=a,password=b,what=1]")]
    public void Scram_argument_is_refused(string argument) => Assert.Throws<FormatterException>(() => ScramCredentials.Parse(argument));

    private static FormatPlan Plan(FormatRequest request) => StorageFormatter.Plan(request, _ => null);

    private static IEnumerable<string> Levels(FormatPlan plan) =>
        plan.Records.Select(record => (FeatureLevelRecord)record.Message).Select(level => $"{level.Name}={level.FeatureLevel}");

    private static void AssertRefused(string message, FormatRequest request) => AssertRefusedWith(message, request, _ => null);

    private static void AssertRefusedWith(string message, FormatRequest request, Func<string, FormattedDirectory?> existing) =>
        Assert.Contains(
            message, Assert.Throws<FormatterException>(() => StorageFormatter.Plan(request, existing)).Message, StringComparison.Ordinal);

    private static byte[] WithoutBatchTimes(byte[] file)
    {
        var result = file.ToArray();
        for (var position = 0; position < result.Length;)
        {
            var batch = result.AsSpan(position);
            var size = new RecordBatchView(batch).SizeInBytes;
            batch[RecordBatchLayout.CrcOffset..(RecordBatchLayout.CrcOffset + sizeof(uint))].Clear();
            batch[RecordBatchLayout.BaseTimestampOffset..(RecordBatchLayout.MaxTimestampOffset + sizeof(long))].Clear();
            position += size;
        }

        return result;
    }
}
