using System.Globalization;

namespace Ottla.SystemTests.Harness;

/// <summary>
/// One broker for all tests of a class. OTTLA_BOOTSTRAP names a cluster that runs already (Apache Kafka, say) to be tested instead:
/// the way to find out whether a test is right.
/// </summary>
public class BrokerFixture : IAsyncLifetime
{
    private BrokerProcess? _broker;

    /// <summary>What clients are given as bootstrap server.</summary>
    public string Bootstrap => External ?? Broker.Bootstrap;

    /// <summary>The process. A test that needs it cannot run against another cluster.</summary>
    public BrokerProcess Broker =>
        _broker ?? throw new InvalidOperationException("There is no broker process: OTTLA_BOOTSTRAP names another.");

    /// <summary>The last that the process wrote; empty where it is not ours.</summary>
    public string BrokerOutput => _broker?.Output ?? "";

    /// <summary>Configs of this class's broker.</summary>
    protected virtual IReadOnlyDictionary<string, string> Settings => new Dictionary<string, string>();

    private static string? External => Environment.GetEnvironmentVariable("OTTLA_BOOTSTRAP");

    /// <summary>A topic name that no other test uses.</summary>
    public static string NewTopicName(string what) =>
        string.Create(CultureInfo.InvariantCulture, $"{what}-{Guid.NewGuid():N}");

    /// <inheritdoc/>
    public async Task InitializeAsync()
    {
        if (External is null)
            _broker = await BrokerProcess.StartAsync(Settings);
    }

    /// <inheritdoc/>
    public async Task DisposeAsync()
    {
        if (_broker is not null)
            await _broker.DisposeAsync();
    }
}

/// <summary>A broker where only the tests create topics, so that a deleted topic stays deleted while clients ask for it.</summary>
public sealed class NoAutoCreateBrokerFixture : BrokerFixture
{
    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> Settings { get; } =
        new Dictionary<string, string> { ["auto.create.topics.enable"] = "false" };
}

/// <summary>A broker whose KIP-848 sessions end as soon as those of the classic clients here, which set their own.</summary>
public sealed class GroupBrokerFixture : BrokerFixture
{
    /// <summary>
    /// See <see cref="GroupBrokerFixture"/>; the longest session of a member that says nothing is the bound of every wait for a crash to be
    /// noticed.
    /// </summary>
    public static readonly IReadOnlyDictionary<string, string> ShortSessions = new Dictionary<string, string>
    {
        ["group.consumer.min.session.timeout.ms"] = "6000",
        ["group.consumer.session.timeout.ms"] = "6000",
        ["group.consumer.min.heartbeat.interval.ms"] = "500",
        ["group.consumer.heartbeat.interval.ms"] = "500",
    };

    /// <inheritdoc/>
    protected override IReadOnlyDictionary<string, string> Settings => ShortSessions;
}
