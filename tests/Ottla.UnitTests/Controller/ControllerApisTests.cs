using System.Net;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Broker.Api;
using Ottla.Broker.Directories;
using Ottla.Broker.Hosts;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Wire;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Raft;

namespace Ottla.UnitTests.Controller;

/// <summary>The table of a controller's listener, and requests that brokers forward to it.</summary>
public sealed class ControllerApisTests : IAsyncDisposable
{
    private const string ClientId = "admin";

    private readonly FakeMetadataLog _log = new();
    private readonly MetadataCache _cache = new();
    private readonly MetadataLoader _loader;
    private readonly ControllerHost _host;
    private readonly ApiTable _table;
    private readonly ConnectionInfo _broker = new("CONTROLLER", IPAddress.Loopback, _ => { }, default, default);

    public ControllerApisTests()
    {
        var settings = new ControllerTestBed().Settings;
        _loader = new MetadataLoader(_cache, NullLogger.Instance);
        _host = new ControllerHost(
            settings,
            _log,
            StorageFormatter.DefaultBootstrap(SupportedFeatures.Latest),
            () => new ControllerQuorum(1, [1]),
            TimeProvider.System,
            NullLogger.Instance);
        _table = ControllerApis.CreateTable(new ControllerServices
        {
            Config = () => settings.Config,
            Cluster = new ClusterView(ControllerTestBed.ClusterId, () => _cache.Current),
            Controller = _host,
            SupportedFeatures = SupportedFeatures.Latest,
            Quorum = () => new QuorumState(RaftRole.Leader, 1, 1, 1, VoterSet.Empty),
            DescribeQuorum = () =>
                Task.FromResult(new QuorumInfo(RaftRole.Leader, 1, 1, _log.HighWatermark, 1, VoterSet.Empty, [], [])),
            Loggers = new LeveledLoggers(NullLoggerFactory.Instance, LogLevel.Trace),
            Authorizer = Authorizer.None,
            Quotas = new ClientQuotas(11, 1000, 11, 1000, TimeProvider.System),
        });
        _loader.Register(_host);
        _loader.Start(
            _log,
            new SnapshotGenerator(_log, SnapshotPolicy.From(settings.Config), TimeProvider.System, NullLogger.Instance));
    }

    public async ValueTask DisposeAsync()
    {
        _host.Dispose();
        await _loader.DisposeAsync();
    }

    /// <summary>Kafka's schemas say which APIs a controller serves. Those of the quorum itself are apart.</summary>
    [Fact]
    public void Table_has_what_schemas_give_a_controller()
    {
        var expected = ApiSchemas.All.Where(schema => schema.OnController).Select(schema => schema.Key).ToHashSet();
        Assert.All(_table.Entries, entry => Assert.Contains(entry.Key, expected));
        HashSet<ApiKey> ofTheQuorum =
        [
            ApiKey.Fetch, ApiKey.Vote, ApiKey.BeginQuorumEpoch, ApiKey.EndQuorumEpoch, ApiKey.FetchSnapshot,
            ApiKey.AddRaftVoter, ApiKey.RemoveRaftVoter, ApiKey.UpdateRaftVoter,
        ];
        Assert.Empty(expected.Except(_table.Entries.Select(entry => entry.Key)).Except(ofTheQuorum));
    }

    [Fact]
    public async Task Forwarded_request_is_answered_with_the_offset_that_shows_its_effect()
    {
        await StartAsync();
        var envelope = await SendAsync(Envelope(ApiKey.CreateTopics, 7, Create("t")));
        Assert.Equal(ErrorCode.None, (ErrorCode)envelope.ErrorCode);
        var (correlationId, response) = Open<CreateTopicsResponse>(envelope, 7);
        Assert.Equal((77, ErrorCode.None), (correlationId, (ErrorCode)response.Topics[0].ErrorCode));
        var offset = Forwarding.MetadataOffsetOf(envelope);
        Assert.NotNull(offset);
        await _cache.WaitForOffset(offset.Value).WaitAsync(TimeSpan.FromMinutes(1));
        Assert.NotNull(_cache.Current.Topics.Find("t"));
    }

    [Fact]
    public async Task Forwarded_request_that_changes_nothing_gives_nothing_to_wait_for()
    {
        await StartAsync();
        var envelope = await SendAsync(Envelope(
            ApiKey.ListPartitionReassignments, 0, new ListPartitionReassignmentsRequest { TimeoutMs = 1, Topics = null }));
        Assert.Null(Forwarding.MetadataOffsetOf(envelope));
        Assert.Equal(0, Open<ListPartitionReassignmentsResponse>(envelope, 0).Response.ErrorCode);
    }

    [Fact]
    public async Task Error_of_the_request_inside_is_in_its_own_response()
    {
        await StartAsync();
        var envelope = await SendAsync(Envelope(ApiKey.UnregisterBroker, 0, new UnregisterBrokerRequest { BrokerId = 99 }));
        Assert.Equal(ErrorCode.None, (ErrorCode)envelope.ErrorCode);
        Assert.Equal(ErrorCode.BrokerIdNotRegistered, (ErrorCode)Open<UnregisterBrokerResponse>(envelope, 0).Response.ErrorCode);
    }

    [Fact]
    public async Task Broken_envelopes_are_told_apart_in_kafkas_order()
    {
        await StartAsync();
        var good = Envelope(ApiKey.CreateTopics, 7, Create("t"));
        await Fails(ErrorCode.PrincipalDeserializationFailure, With(request => request.RequestPrincipal = [0, 9, 1]));
        await Fails(ErrorCode.PrincipalDeserializationFailure, With(request => request.RequestPrincipal = null));
        await Fails(ErrorCode.InvalidRequest, With(request => request.ClientHostAddress = [127, 0, 0]));
        await Fails(ErrorCode.UnsupportedVersion, With(request => request.RequestData = [0]));
        await Fails(ErrorCode.UnsupportedVersion, With(request => request.RequestData = [0x7f, 0xff, 0, 0]));
        await Fails(ErrorCode.UnsupportedVersion, With(request => request.RequestData = good.RequestData[..^3]));
        await Fails(ErrorCode.UnsupportedVersion, With(request => request.RequestData = [0, (byte)ApiKey.CreateTopics, 0, 99, 0, 0, 0, 0]));
        await Fails(ErrorCode.InvalidRequest, Envelope(ApiKey.BrokerHeartbeat, 2, new BrokerHeartbeatRequest()));
        _log.Elect(2, 2);
        while (_host.IsActive)
            await Task.Yield();
        await Fails(ErrorCode.NotController, good);
        await Fails(ErrorCode.PrincipalDeserializationFailure, With(request => request.RequestPrincipal = []));

        EnvelopeRequest With(Action<EnvelopeRequest> change)
        {
            var request = Envelope(ApiKey.CreateTopics, 7, Create("t"));
            change(request);
            return request;
        }
    }

    [Fact]
    public async Task Request_that_waits_when_the_leadership_ends_is_for_the_next_controller()
    {
        await StartAsync();
        _log.CommitsAtOnce = false;
        var answer = SendAsync(Envelope(ApiKey.CreateTopics, 7, Create("t")));
        _log.Elect(2, 2);
        Assert.Equal(ErrorCode.NotController, (await Assert.ThrowsAsync<ApiException>(() => answer)).Error.Code);
    }

    [Fact]
    public void Principal_is_kafkas()
    {
        Assert.Equal(Convert.FromBase64String("AAAFVXNlcgpBTk9OWU1PVVMAAA=="), ClientPrincipal.Anonymous.Serialize());
        Assert.Equal(ClientPrincipal.Anonymous, ClientPrincipal.Deserialize(ClientPrincipal.Anonymous.Serialize()));
    }

    [Fact]
    public async Task Controllers_describe_controllers()
    {
        await StartAsync();
        await _host.SubmitAsync(new RegisterControllerCommand(new ControllerRegistrationRequest
        {
            ControllerId = 1,
            IncarnationId = new Uuid(1, 1),
            Listeners = [new() { Name = "CONTROLLER", Host = "here", Port = 9093 }],
        }));
        await _cache.WaitForOffset(_log.EndOffset - 1).WaitAsync(TimeSpan.FromMinutes(1));
        var cluster = new ClusterView("c", () => _cache.Current);
        var handler = new DescribeClusterHandler(cluster, EndpointType.Controller, () => 1, Authorizer.None);
        var context = new RequestContext(ApiKey.DescribeCluster, 2, 1, ClientId, _broker);
        var response = (await handler.HandleAsync(context, new DescribeClusterRequest { EndpointType = 2 }))!;
        Assert.Equal(
            (0, 1, (sbyte)2, "here"), (response.ErrorCode, response.ControllerId, response.EndpointType, response.Brokers.Single().Host));
        var mismatch = (await handler.HandleAsync(context, new DescribeClusterRequest { EndpointType = 1 }))!;
        Assert.Equal(ErrorCode.MismatchedEndpointType, (ErrorCode)mismatch.ErrorCode);
        Assert.Equal(
            "The request was sent to an endpoint of type CONTROLLER, but we wanted an endpoint of type BROKER", mismatch.ErrorMessage);
        var unknown = (await handler.HandleAsync(context with { ApiVersion = 1 }, new DescribeClusterRequest { EndpointType = 9 }))!;
        Assert.Equal(ErrorCode.UnsupportedEndpointType, (ErrorCode)unknown.ErrorCode);
    }

    private static CreateTopicsRequest Create(string name) => new() { Topics = [ControllerTestBed.Topic(name)] };

    private static (int CorrelationId, TResponse Response) Open<TResponse>(EnvelopeResponse envelope, short version)
        where TResponse : class, IResponseMessage<TResponse>
    {
        var reader = new WireReader(envelope.ResponseData);
        var correlationId = reader.ReadInt32();
        Assert.Equal(0u, reader.ReadUnsignedVarint());
        return (correlationId, TResponse.Read(ref reader, version));
    }

    private static EnvelopeRequest Envelope(ApiKey key, short version, IMessage request)
    {
        var header = new RequestHeader { RequestApiKey = (short)key, RequestApiVersion = version, CorrelationId = 77, ClientId = ClientId };
        return new EnvelopeRequest
        {
            RequestData = [.. WireBuffer.Encode(header, 2), .. WireBuffer.Encode(request, version)],
            RequestPrincipal = ClientPrincipal.Anonymous.Serialize(),
            ClientHostAddress = [127, 0, 0, 1],
        };
    }

    private async Task StartAsync()
    {
        _log.Elect(1, 1);
        await _host.WhenActive.WaitAsync(TimeSpan.FromMinutes(1));
        var epoch = (await _host.SubmitAsync(new RegisterBrokerCommand(ControllerTestBed.Registration(1)))).BrokerEpoch;
        var heartbeat = new BrokerHeartbeatRequest { BrokerId = 1, BrokerEpoch = epoch, CurrentMetadataOffset = _log.EndOffset };
        Assert.False((await _host.HeartbeatAsync(heartbeat, _broker)).IsFenced);
    }

    private async Task Fails(ErrorCode expected, EnvelopeRequest request) =>
        Assert.Equal(expected, (await Assert.ThrowsAsync<ApiException>(() => SendAsync(request))).Error.Code);

    private async Task<EnvelopeResponse> SendAsync(EnvelopeRequest request)
    {
        var handler = new EnvelopeHandler(() => _table, _host, NullLogger.Instance);
        return (await handler.HandleAsync(new RequestContext(ApiKey.Envelope, 0, 1, "1", _broker), request))!;
    }
}
