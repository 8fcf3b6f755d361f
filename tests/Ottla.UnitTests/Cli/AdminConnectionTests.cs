using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Cli.Admin;
using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.UnitTests.Broker;
using Ottla.UnitTests.Requests;

namespace Ottla.UnitTests.Cli;

/// <summary>How a command finds who can answer it, and what it says when nobody does.</summary>
public sealed class AdminConnectionTests : IAsyncLifetime
{
    private const int StepMs = 100;

    private static readonly (ApiKey, short, short)[] Apis =
        [(ApiKey.DescribeCluster, 0, 2), (ApiKey.RemoveRaftVoter, 0, 0), (ApiKey.DescribeQuorum, 0, 2)];

    private readonly InMemoryTransport _transport = new();
    private readonly TestClock _time = new();
    private readonly ScriptedPeer _first;
    private readonly ScriptedPeer _second;
    private readonly List<AdminConnection> _connections = [];

    public AdminConnectionTests()
    {
        _first = new ScriptedPeer(_transport);
        _second = new ScriptedPeer(_transport);
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var connection in _connections)
            await connection.DisposeAsync();
        await _first.CloseAsync();
        await _second.CloseAsync();
    }

    [Fact]
    public async Task A_broker_that_knows_no_controller_yet_is_asked_again()
    {
        var asking = Remove(Connect(false, _first.Port));
        var side = await _first.AcceptAsync(Apis);
        await side.AnswerAsync(await side.ReceiveAsync<RemoveRaftVoterRequest>(), Answer(ErrorCode.NotController));
        var again = side.ReceiveAsync<RemoveRaftVoterRequest>();
        await _time.AdvanceUntilAsync(again, StepMs);
        await side.AnswerAsync(await again, Answer(ErrorCode.None));
        await asking;
    }

    [Fact]
    public async Task The_active_controller_is_asked_and_looked_for_again_when_it_is_another()
    {
        var asking = Remove(Connect(true, _first.Port));
        var bootstrap = await _first.AcceptAsync(Apis);
        var find = await bootstrap.ReceiveAsync<DescribeClusterRequest>();
        Assert.Equal(2, find.Body.EndpointType);
        await bootstrap.AnswerAsync(find, Cluster(active: 7));
        var active = await _second.AcceptAsync(Apis);
        await active.AnswerAsync(await active.ReceiveAsync<RemoveRaftVoterRequest>(), Answer(ErrorCode.NotLeaderOrFollower));
        var findAgain = bootstrap.ReceiveAsync<DescribeClusterRequest>();
        await _time.AdvanceUntilAsync(findAgain, StepMs);
        await bootstrap.AnswerAsync(await findAgain, Cluster(active: 7));
        await active.AnswerAsync(await active.ReceiveAsync<RemoveRaftVoterRequest>(), Answer(ErrorCode.None));
        await asking;
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_passed_over()
    {
        var asking = Remove(Connect(false, 1, _second.Port));
        var accepting = _second.AcceptAsync(Apis);
        await _time.AdvanceUntilAsync(accepting, StepMs);
        var side = await accepting;
        await side.AnswerAsync(await side.ReceiveAsync<RemoveRaftVoterRequest>(), Answer(ErrorCode.None));
        await asking;
    }

    [Fact]
    public async Task Nobody_there_is_said_when_the_time_is_over()
    {
        var asking = Remove(Connect(false, 1));
        var failing = Assert.ThrowsAsync<AdminException>(() => asking);
        await _time.AdvanceUntilAsync(failing, StepMs);
        var failure = await failing;
        Assert.StartsWith("Timed out after 60000 ms. A request to localhost:1 was not sent: ", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_is_not_repeated()
    {
        var asking = Remove(Connect(false, _first.Port));
        var side = await _first.AcceptAsync(Apis);
        await side.AnswerAsync(await side.ReceiveAsync<RemoveRaftVoterRequest>(), Answer(ErrorCode.VoterNotFound, "Cannot remove voter"));
        var failure = await Assert.ThrowsAsync<AdminException>(() => asking);
        Assert.Equal((ErrorCode.VoterNotFound, "VOTER_NOT_FOUND: Cannot remove voter"), (failure.Error, failure.Message));
    }

    [Fact]
    public async Task A_refusal_after_an_attempt_that_broke_off_says_so()
    {
        var asking = Remove(Connect(false, _first.Port));
        var side = await _first.AcceptAsync(Apis);
        await side.ReceiveAsync<RemoveRaftVoterRequest>();
        await side.CloseAsync();
        var accepting = _first.AcceptAsync(Apis);
        await _time.AdvanceUntilAsync(accepting, StepMs);
        side = await accepting;
        await side.AnswerAsync(await side.ReceiveAsync<RemoveRaftVoterRequest>(), Answer(ErrorCode.VoterNotFound, "Cannot remove voter"));
        var failure = await Assert.ThrowsAsync<AdminException>(() => asking);
        Assert.Contains("may have succeeded", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_peer_without_the_API_is_no_reason_to_try_again()
    {
        var asking = Remove(Connect(false, _first.Port));
        await _first.AcceptAsync((ApiKey.DescribeCluster, 0, 2));
        var failure = await Assert.ThrowsAsync<AdminException>(() => asking);
        Assert.Contains("RemoveRaftVoter", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_are_read_and_security_that_is_not_there_is_refused()
    {
        var settings = AdminSettings.Of("--bootstrap-server", "a:1, [::1]:2", areControllers: false).With(new Dictionary<string, string>
        {
            ["client.id"] = "me",
            ["default.api.timeout.ms"] = "5000",
            ["request.timeout.ms"] = "3000",
            ["retry.backoff.ms"] = "10",
            ["security.protocol"] = "PLAINTEXT",
        }, NullLogger.Instance);
        Assert.Equal([new HostPort("a", 1), new HostPort("::1", 2)], settings.Servers);
        Assert.Equal(
            ("me", 5000, 3000, 10), (settings.ClientId, Ms(settings.CallTimeout), Ms(settings.RequestTimeout), Ms(settings.RetryBackoff)));
        Assert.Null(settings.Security);
        AssertRefused("PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL", () => With("security.protocol", "TLS"));
        AssertRefused("it is GSSAPI when it is not set", () => With("security.protocol", "SASL_SSL"));
        AssertRefused("retry.backoff.ms", () => With("retry.backoff.ms", "soon"));
        AssertRefused("cannot read 'nowhere'", () => AdminSettings.Of("--bootstrap-server", "nowhere", areControllers: false));
        AssertRefused("no address", () => AdminSettings.Of("--bootstrap-server", ",", areControllers: false));

        AdminSettings With(string name, string value) =>
            settings.With(new Dictionary<string, string> { [name] = value }, NullLogger.Instance);
        static int Ms(TimeSpan time) => (int)time.TotalMilliseconds;
        static void AssertRefused(string reason, Func<object> code) =>
            Assert.Contains(reason, Assert.Throws<ConfigException>(code).Message, StringComparison.Ordinal);
    }

    private static RemoveRaftVoterResponse Answer(ErrorCode error, string? message = null) =>
        new() { ErrorCode = (short)error, ErrorMessage = message };

    private static Task<RemoveRaftVoterResponse> Remove(AdminConnection connection) =>
        connection.SendAsync<RemoveRaftVoterRequest, RemoveRaftVoterResponse>(
            _ => new RemoveRaftVoterRequest { VoterId = 2, VoterDirectoryId = Uuid.One }, answer =>
            ((ErrorCode)answer.ErrorCode, answer.ErrorMessage));

    private DescribeClusterResponse Cluster(int active) => new()
    {
        EndpointType = 2,
        ClusterId = "c",
        ControllerId = active,
        Brokers = [new() { BrokerId = 6, Host = "127.0.0.1", Port = _first.Port },
            new() { BrokerId = 7, Host = "127.0.0.1", Port = _second.Port }],
    };

    private AdminConnection Connect(bool areControllers, params int[] ports)
    {
        var settings = AdminSettings.Of("--bootstrap", string.Join(',', ports.Select(port => $"localhost:{port}")), areControllers);
        var connection = new AdminConnection(settings, _transport, new Prng(1), _time, NullLogger.Instance);
        _connections.Add(connection);
        return connection;
    }
}
