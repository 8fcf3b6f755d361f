using System.Net;
using Ottla.Broker.Api;
using Ottla.Broker.Hosts;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Controller;

/// <summary>kraft.version is the quorum's: it is raised after the request was checked and before the rest is decided.</summary>
public sealed class UpdateFeaturesHandlerTests
{
    private readonly ControllerTestBed _bed = ControllerTestBed.WithBrokers();
    private readonly List<(short Level, bool ValidateOnly)> _asked = [];
    private ApiError _answer = ApiError.None;

    public UpdateFeaturesHandlerTests() => _bed.Quorum = new ControllerQuorum(0, [1]);

    [Fact]
    public async Task Quorum_raises_it_and_a_record_follows()
    {
        var response = await UpdateAsync(Feature.KRaftVersion, 1);
        Assert.Equal(0, response.ErrorCode);
        Assert.Equal([((short)1, false)], _asked);
        Assert.IsType<NoOpRecord>(Assert.Single(_bed.LastRecords).Message);
    }

    [Fact]
    public async Task Quorum_is_not_asked_when_the_request_is_refused()
    {
        var response = await UpdateAsync(Feature.KRaftVersion, 2);
        Assert.Equal(ErrorCode.InvalidUpdateVersion, (ErrorCode)response.ErrorCode);
        _bed.Quorum = new ControllerQuorum(0, [1, 2]); // which has not registered
        response = await UpdateAsync(Feature.KRaftVersion, 1);
        Assert.Equal(ErrorCode.InvalidUpdateVersion, (ErrorCode)response.ErrorCode);
        Assert.Contains(
            "controller 2 has not registered, and may not support this feature", response.ErrorMessage, StringComparison.Ordinal);
        Assert.Empty(_asked);
    }

    [Fact]
    public async Task Refusal_of_the_quorum_is_the_answer()
    {
        _answer = new ApiError(ErrorCode.InvalidUpdateVersion, "not yet");
        var before = _bed.Log.Count;
        var response = await UpdateAsync(Feature.KRaftVersion, 1);
        Assert.Equal(ErrorCode.InvalidUpdateVersion, (ErrorCode)response.ErrorCode);
        Assert.Equal(
            "The update failed for all features since the following feature had an error: not yet", response.ErrorMessage);
        Assert.Equal(before, _bed.Log.Count);
    }

    [Fact]
    public async Task Validation_raises_nothing()
    {
        var before = _bed.Log.Count;
        Assert.Equal(0, (await UpdateAsync(Feature.KRaftVersion, 1, validateOnly: true)).ErrorCode);
        Assert.Equal([((short)1, true)], _asked);
        Assert.Equal(before, _bed.Log.Count);
    }

    [Fact]
    public void Decision_alone_raises_nothing()
    {
        var request = Request(Feature.KRaftVersion, 1, validateOnly: false);
        Assert.Equal(ErrorCode.InvalidUpdateVersion, (ErrorCode)_bed.Do(new UpdateFeaturesCommand(request, 2)).ErrorCode);
    }

    private async Task<UpdateFeaturesResponse> UpdateAsync(string feature, short level, bool validateOnly = false)
    {
        var handler = new UpdateFeaturesHandler(new Bench(_bed), (raised, checksOnly) =>
        {
            _asked.Add((raised, checksOnly));
            return Task.FromResult(_answer);
        });
        var connection = new ConnectionInfo("CONTROLLER", IPAddress.Loopback, _ => { }, default, default);
        var context = new RequestContext(ApiKey.UpdateFeatures, 2, 1, null, connection);
        return (await handler.HandleAsync(context, Request(feature, level, validateOnly)))!;
    }

    private static UpdateFeaturesRequest Request(string feature, short level, bool validateOnly) => new()
    {
        ValidateOnly = validateOnly,
        FeatureUpdates = [new() { Feature = feature, MaxVersionLevel = level, UpgradeType = 1 }],
    };

    private sealed class Bench(ControllerTestBed bed) : IController
    {
        public Task<TReply> SubmitAsync<TReply>(ControllerCommand<TReply> command) => Task.FromResult(bed.Do(command));
    }
}
