using Ottla.Broker.Metadata;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Metadata;

public sealed class StorageFormatterTests
{
    private static readonly FormatRequest Request = new() { ClusterId = "c", NodeId = 1, LogDirs = ["/a", "/b"], MetadataLogDir = "/a" };

    [Fact]
    public void New_cluster_gets_the_defaults_that_are_supported()
    {
        var plan = Plan(Request);
        Assert.Equal(
            ["metadata.version=33", "eligible.leader.replicas.version=1", "group.version=1", "share.version=2", "streams.version=1", "transaction.version=2"],
            Levels(plan));
        Assert.Equal(0, plan.KRaftVersion);
        Assert.Equal(["metadata directory", "data directory"], plan.Directories.Select(directory => directory.Kind));
        var limited = Plan(Request with { SupportedFeatures = SupportedFeatures.Latest.UpTo(Feature.ShareVersion, 0).UpTo(Feature.TransactionVersion, 1) });
        Assert.Equal(["metadata.version=33", "eligible.leader.replicas.version=1", "group.version=1", "streams.version=1", "transaction.version=1"], Levels(limited));
    }

    [Fact]
    public void Older_release_has_what_it_had() =>
        Assert.Equal(
            ["metadata.version=30", "eligible.leader.replicas.version=1", "group.version=1", "share.version=1", "streams.version=1", "transaction.version=2"],
            Levels(Plan(Request with { ReleaseVersion = "4.3" })));

    [Fact]
    public void Dynamic_quorum_names_its_voters()
    {
        var id = new Uuid(4, 400);
        var plan = Plan(Request with { HasDynamicQuorum = true, InitialControllers = [new InitialController(1, "h", 9093, id)] });
        Assert.Equal(1, plan.KRaftVersion);
        Assert.Equal((id, "dynamic metadata voter directory", true), (plan.Directories[0].DirectoryId, plan.Directories[0].Kind, plan.Directories[0].HoldsMetadata));
    }

    [Fact]
    public void A_quorum_that_nobody_could_lead_is_refused()
    {
        var self = new InitialController(1, "h", 9093, new Uuid(4, 400));
        AssertRefused(
            "Because controller.quorum.voters is not set on this controller, you must specify one of the following: --standalone, --initial-controllers, or --no-initial-controllers.",
            Request with { HasDynamicQuorum = true });
        AssertRefused("You cannot specify controller.quorum.voters and format the node with --initial-controllers or --standalone.", Request with { InitialControllers = [self] });
        AssertRefused("Cannot set kraft.version to 0", Request with { HasDynamicQuorum = true, InitialControllers = [self], Features = new Dictionary<string, short> { ["kraft.version"] = 0 } });
        Assert.Equal(1, Plan(Request with { HasDynamicQuorum = true, HasNoInitialControllers = true }).KRaftVersion);
        Assert.Equal(1, Plan(Request with { HasDynamicQuorum = true, MetadataLogDir = null }).KRaftVersion); // a broker finds its controllers
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
        AssertRefused("No feature:share.version with feature level 9", Request with { Features = new Dictionary<string, short> { ["share.version"] = 9 } });
        AssertRefused("Cannot set kraft.version to 1", Request with { Features = new Dictionary<string, short> { ["kraft.version"] = 1 } });
        AssertRefused("because it depends on", Request with { ReleaseVersion = "3.9", Features = new Dictionary<string, short> { [Feature.EligibleLeaderReplicasVersion] = 1 } });
        AssertRefused("SCRAM is only supported", Request with { ReleaseVersion = "3.4", ScramArguments = ["SCRAM-SHA-256=[name=a,password=b]"] });
        Assert.Contains("already formatted", Assert.Throws<FormatterException>(() => StorageFormatter.Plan(Request, _ => new FormattedDirectory("c", 1))).Message, StringComparison.Ordinal);
        Assert.Contains("Expected c, but read d", Assert.Throws<FormatterException>(() => StorageFormatter.Plan(Request, _ => new FormattedDirectory("d", 1))).Message, StringComparison.Ordinal);
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

    private static void AssertRefused(string message, FormatRequest request) =>
        Assert.Contains(message, Assert.Throws<FormatterException>(() => Plan(request)).Message, StringComparison.Ordinal);
}
