using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Api;
using Ottla.Broker.Server;
using Ottla.Broker.Telemetry;
using Ottla.Configuration;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using Ottla.UnitTests.Repository;

namespace Ottla.UnitTests.Broker;

/// <summary>Keeps the table of docs/protocol.md equal to the APIs that are served. <c>OTTLA_UPDATE_DOCS=1</c> writes it anew.</summary>
public sealed class ProtocolDocumentTests
{
    private const string Begin = "<!-- table: generated, do not edit -->";
    private const string TestDirectory = "tests/Ottla.UnitTests/Broker";

    /// <summary>Where what only controllers serve is tested.</summary>
    private static readonly string[] ControllerTestDirectories = ["tests/Ottla.UnitTests/Controller", "tests/Ottla.UnitTests/Peers"];

    private static readonly string Document = RepositoryFiles.Path("docs/protocol.md");

    /// <summary>The table as a broker makes it. Handlers keep what they work with for later; none of it is used here.</summary>
    private static readonly ApiTable Served = BrokerApis.CreateTable(new BrokerServices
    {
        Config = () => BrokerConfig.LoadDevMode(),
        Cluster = null!,
        Topics = null!,
        Logs = null!,
        Forwarder = null!,
        ProducerIds = null!,
        Groups = null!,
        Transactions = null!,
        TopicCreation = null!,
        ShareCoordinators = null!,
        ShareStates = null!,
        ShareGroupState = null!,
        LatestOffsets = null!,
        SharePartitions = null!,
        TransactionVerifier = null!,
        TransactionMarkers = null!,
        FetchSessions = null!,
        FollowerSessions = null!,
        SupportedFeatures = SupportedFeatures.Latest,
        Quorum = null!,
        Loggers = new LeveledLoggers(NullLoggerFactory.Instance, LogLevel.None),
        Authorizer = Authorizer.None,
        Quotas = new ClientQuotas(11, 1000, 11, 1000, TimeProvider.System),
        Time = TimeProvider.System,
        Telemetry = new ClientTelemetry(0, 1, null, TimeProvider.System, NullLogger.Instance),
        CheckSecurity = _ => { },
    });

    /// <summary>The table as a controller makes it.</summary>
    private static readonly ApiTable ServedByControllers = ControllerApis.CreateTable(new ControllerServices
    {
        Config = () => BrokerConfig.LoadDevMode(),
        Cluster = null!,
        Controller = null!,
        SupportedFeatures = SupportedFeatures.Latest,
        Quorum = null!,
        DescribeQuorum = null!,
        Raft = new RaftServices(null!, "", "CONTROLLER"),
        Loggers = new LeveledLoggers(NullLoggerFactory.Instance, LogLevel.None),
        Authorizer = Authorizer.None,
        Quotas = new ClientQuotas(11, 1000, 11, 1000, TimeProvider.System),
    });

    [Fact]
    public void The_table_is_that_of_brokers_and_controllers()
    {
        var document = File.ReadAllText(Document);
        var at = document.IndexOf(Begin, StringComparison.Ordinal);
        Assert.True(at >= 0, "docs/protocol.md has lost its marker");
        var expected = document[..at] + Begin + "\n\n" + Table();
        if (Environment.GetEnvironmentVariable("OTTLA_UPDATE_DOCS") == "1")
            File.WriteAllText(Document, expected);
        else
            Assert.True(expected == document, "docs/protocol.md is out of date: run './dev docs'");
    }

    [Fact]
    public void Every_API_that_is_served_is_tested()
    {
        foreach (var api in Served.Entries)
            Assert.True(TestsOf(api.Key).Any(), $"no *Tests.cs or *Calls.cs in {TestDirectory} has <{api.Key}Request, in it");
        foreach (var api in ServedByControllers.Entries)
            Assert.True(TestsOf(api.Key).Any(), $"no test of controllers names {api.Key}Request");
    }

    [Fact]
    public void Every_API_has_its_rules()
    {
        foreach (var schema in ApiSchemas.All)
        {
            foreach (var operation in ApiRules.Of(schema.Key).Operations)
                Assert.True((Listeners(schema) & operation.On) != 0, $"{schema.Key} is not served where it needs {Text(operation)}");
        }
    }

    [Fact]
    public void A_table_takes_only_the_APIs_of_its_listener()
    {
        Assert.Throws<ArgumentException>(() => new ApiTable(ApiListeners.Controller, [Served.Find((short)ApiKey.Produce)!]));
        var shared = Served.Find((short)ApiKey.ApiVersions)!;
        Assert.Equal(ApiListeners.Broker | ApiListeners.Controller, shared.Listeners);
        Assert.Single(new ApiTable(ApiListeners.Controller, [shared]).Entries);
        Assert.Throws<ArgumentException>(() => new ApiTable(ApiListeners.Controller, [shared, shared]));
    }

    private static string Table()
    {
        var text = new StringBuilder();
        text.Append("| Key | API | Served | Schema | Listener | Needs | Request quota | Handler | Tests | Purpose |\n");
        text.Append("|---:|---|---|---|---|---|---|---|---|---|\n");
        foreach (var schema in ApiSchemas.All.OrderBy(schema => schema.Key))
        {
            var entry = Served.Find((short)schema.Key) ?? ServedByControllers.Find((short)schema.Key);
            string[] cells =
            [
                ((short)schema.Key).ToString(System.Globalization.CultureInfo.InvariantCulture),
                schema.Key.ToString(),
                entry is null ? "not yet" : $"{entry.LowestVersion} to {entry.HighestVersion}",
                schema.IsLatestVersionUnstable ? $"{schema.HighestVersion} (unstable)" : $"{schema.HighestVersion}",
                Text(Listeners(schema)),
                string.Join("; ", ApiRules.Of(schema.Key).Operations.Select(operation => Text(operation) + Limits(schema, operation))),
                Text(ApiRules.Of(schema.Key).Quota),
                entry is null ? "" : Link(HandlerOf(entry)),
                entry is null ? "" : string.Join(", ", TestsOf(schema.Key).Select(Link)),
                schema.Description,
            ];
            text.Append("| ").Append(string.Join(" | ", cells.Select(cell => cell.Replace("|", "\\|", StringComparison.Ordinal))));
            text.Append(" |\n");
        }

        return text.ToString();
    }

    private static ApiListeners Listeners(ApiSchema schema) =>
        (schema.OnBroker ? ApiListeners.Broker : 0) | (schema.OnController ? ApiListeners.Controller : 0);

    private static string Text(ApiListeners listeners) => listeners.ToString().ToLowerInvariant();

    private static string Text(RequestQuota quota) => quota switch
    {
        RequestQuota.All => "yes",
        RequestQuota.Clients => "clients",
        RequestQuota.OnBroker => "on brokers",
        _ => "no",
    };

    private static string Text(RequiredOperation operation) =>
        $"{operation.Operation} {operation.Resource}" + (operation.Or is { } other ? $" or {Text(other)}" : "");

    /// <summary>When and where an operation is needed; empty for always and everywhere.</summary>
    private static string Limits(ApiSchema schema, RequiredOperation operation)
    {
        var where = operation.On.HasFlag(Listeners(schema)) ? null : $"on {Text(operation.On)}s";
        var limits = string.Join(", ", new[] { operation.When, where }.OfType<string>());
        return limits.Length == 0 ? "" : $" ({limits})";
    }

    /// <summary>The file that declares the handler.</summary>
    private static string HandlerOf(ApiEntry entry) => RepositoryFiles.Relative(
        RepositoryFiles.Find("src/Ottla.Broker", "*.cs").Single(file =>
            File.ReadAllText(file).Contains($"class {entry.HandlerType.Name}(", StringComparison.Ordinal)
            || File.ReadAllText(file).Contains($"class {entry.HandlerType.Name} ", StringComparison.Ordinal)));

    /// <summary>The files whose tests call an API, or that call it for them.</summary>
    private static IEnumerable<string> TestsOf(ApiKey key)
    {
        var files = Served.Find((short)key) is not null
            ? RepositoryFiles.Find(TestDirectory, "*Tests.cs").Concat(RepositoryFiles.Find(TestDirectory, "*Calls.cs"))
                .Where(file => File.ReadAllText(file).Contains($"<{key}Request,", StringComparison.Ordinal))
            : ControllerTestDirectories.SelectMany(directory => RepositoryFiles.Find(directory, "*.cs"))
                .Where(file => File.ReadAllText(file).Contains($"{key}Request", StringComparison.Ordinal));
        return files.Select(RepositoryFiles.Relative);
    }

    private static string Link(string path) => $"[{Path.GetFileName(path)}](../{path})";
}
