using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Brokers;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Brokers;

public sealed class BrokerLifecycleMachineTests
{
    private const long HeartbeatMs = 2_000;
    private const long RegistrationMs = 60_000;
    private const long DirectoryMs = 30_000;
    private const long ShutdownMs = 300_000;
    private const long QuorumMs = 5_000;

    private static readonly Uuid Incarnation = new(7, 7);
    private static readonly Uuid Directory = new(1, 1000);

    private readonly BrokerLifecycleMachine _machine;
    private Instant _now = new(1_000_000);

    public BrokerLifecycleMachineTests() => _machine = new BrokerLifecycleMachine(
        new BrokerLifecycleOptions(HeartbeatMs, RegistrationMs, DirectoryMs, ShutdownMs, QuorumMs),
        new BrokerRegistrationRequest { BrokerId = 1, IncarnationId = Incarnation, LogDirs = [Directory] },
        [],
        _now);

    [Fact]
    public void It_registers_first_then_beats_fenced_until_it_has_caught_up_and_is_unfenced_when_it_is_ready()
    {
        Assert.IsType<BrokerRegistrationRequest>(Take());
        Assert.Null(Take());
        Register(epoch: 17);
        var first = Beat(metadataOffset: 16);
        Assert.Equal((17, 16, true, false), (first.BrokerEpoch, first.CurrentMetadataOffset, first.WantFence, first.WantShutDown));
        Assert.Null(first.CordonedLogDirs); // before it has caught up it does not know its configuration
        Answer(isCaughtUp: false);
        Assert.Equal(_now.AddMilliseconds(10), _machine.NextDeadline);
        Pass(10);
        Beat(metadataOffset: 17);
        Answer(isCaughtUp: true);
        Assert.Equal(BrokerState.Recovery, _machine.State);

        _machine.SetReadyToUnfence(_now);
        var ready = Beat();
        Assert.False(ready.WantFence);
        Assert.NotNull(ready.CordonedLogDirs);
        Answer(isCaughtUp: true, isFenced: false);
        Assert.Equal(BrokerState.Running, _machine.State);
        Assert.Null(Take());
        Pass(HeartbeatMs);
        Beat();
    }

    [Fact]
    public void A_refused_registration_is_sent_again_every_interval_until_its_time_is_over()
    {
        for (var attempt = 0; attempt < RegistrationMs / HeartbeatMs; attempt++)
        {
            Assert.IsType<BrokerRegistrationRequest>(Take());
            _machine.OnAnswer(new BrokerRegistrationResponse { ErrorCode = (short)ErrorCode.DuplicateBrokerRegistration }, _now);
            Assert.Equal(ErrorCode.DuplicateBrokerRegistration, _machine.LastError);
            _machine.SetReadyToUnfence(_now); // nothing makes it hurry after a failure but a new state
            Assert.NotNull(Take());
            _machine.OnFailure(_now);
            Assert.Null(Take());
            Pass(HeartbeatMs);
        }

        Assert.Contains("initial.broker.registration.timeout.ms", _machine.Failure);
        Assert.Null(Take());
        Assert.Null(_machine.NextDeadline);
    }

    [Fact]
    public void Its_registration_in_the_metadata_makes_it_beat_at_once_while_it_starts_and_not_later()
    {
        Take();
        Register(epoch: 17);
        Beat();
        _machine.OnMetadata(Own(), needsDirectories: true, _now); // the answer that is under way is older
        Answer(isCaughtUp: false);
        Beat();
        Answer(isCaughtUp: true);
        _machine.OnMetadata(Own(), needsDirectories: true, _now);
        Assert.Null(Take());
    }

    [Fact]
    public void It_registers_again_as_the_same_incarnation_when_the_metadata_lacks_its_directories()
    {
        Run();
        _machine.OnMetadata(Own() with { LogDirs = [] }, needsDirectories: false, _now);
        Assert.Null(Take());
        _machine.OnMetadata(Own() with { LogDirs = [] }, needsDirectories: true, _now);
        Assert.Equal(Incarnation, Assert.IsType<BrokerRegistrationRequest>(Take()).IncarnationId);
        Register(epoch: 17);
        _machine.OnMetadata(Own(), needsDirectories: true, _now);
        Beat();
    }

    [Fact]
    public void A_failed_directory_is_in_every_heartbeat_and_ends_the_broker_when_nobody_takes_note()
    {
        Run();
        _machine.OnDirectoryFailure(Directory, _now);
        Assert.Equal([Directory], Beat().OfflineLogDirs);
        Answer(isCaughtUp: true, isFenced: false);
        Pass(DirectoryMs);
        Assert.Null(_machine.Failure);
        Assert.Equal([Directory], Beat().OfflineLogDirs); // it is never taken back
        Answer(isCaughtUp: true, isFenced: false);

        var other = new Uuid(1, 1001);
        _machine.OnDirectoryFailure(other, _now);
        Assert.Equal([Directory, other], Beat().OfflineLogDirs);
        _machine.OnFailure(_now);
        Pass(DirectoryMs);
        Assert.Contains("log.dir.failure.timeout.ms", _machine.Failure);
        Assert.Contains(other.ToString(), _machine.Failure);
    }

    [Fact]
    public void A_controlled_shutdown_beats_at_once_then_after_50_ms_then_in_the_usual_interval()
    {
        Run();
        _machine.BeginControlledShutdown(_now);
        Assert.True(Beat().WantShutDown);
        Answer(isCaughtUp: true, isFenced: false);
        Assert.Equal(_now.AddMilliseconds(50), _machine.NextDeadline);
        Pass(50);
        Beat();
        Answer(isCaughtUp: true, isFenced: false);
        Assert.Null(Take());
        Pass(HeartbeatMs);
        Beat();
        Answer(isCaughtUp: true, shouldShutDown: true);
        Assert.Equal(BrokerState.ShuttingDown, _machine.State);
        Assert.Null(_machine.ShutdownProblem);
        Pass(HeartbeatMs);
        Assert.Null(Take());
    }

    [Fact]
    public void A_broker_that_leaves_beats_once_more_when_it_has_read_that_its_leaderships_are_gone()
    {
        Run();
        _machine.BeginControlledShutdown(_now);
        Beat();
        Answer(isCaughtUp: true, isFenced: false);
        _machine.OnMetadata(Own() with { Fenced = false, InControlledShutdown = true }, needsDirectories: true, _now);
        Assert.Equal(30, Beat(metadataOffset: 30).CurrentMetadataOffset);
        Answer(isCaughtUp: true, isFenced: false);
        _machine.OnMetadata(Own() with { Fenced = false, InControlledShutdown = true }, needsDirectories: true, _now);
        Assert.Null(Take());
    }

    /// <summary>Others may take a controller that has ended for active again and again: only its answers count.</summary>
    [Fact]
    public void Without_an_answer_of_a_controller_a_shutdown_ends_soon()
    {
        Run();
        Pass(HeartbeatMs);
        Beat();
        Pass(QuorumMs * 3);
        _machine.BeginControlledShutdown(_now);
        Pass(QuorumMs - 1);
        Assert.Equal(BrokerState.PendingControlledShutdown, _machine.State);
        _machine.OnNewController(_now);
        Pass(1);
        Assert.Equal(BrokerState.ShuttingDown, _machine.State);
        Assert.Contains("no active controller has answered", _machine.ShutdownProblem);
    }

    [Theory]
    [InlineData(ErrorCode.NotController, true)]
    [InlineData(ErrorCode.UnknownServerError, false)]
    public void A_refusal_is_an_answer_unless_the_controller_says_that_it_is_none(ErrorCode error, bool ends)
    {
        Run();
        _machine.BeginControlledShutdown(_now);
        Beat();
        _machine.OnAnswer(new BrokerHeartbeatResponse { ErrorCode = (short)error }, _now);
        Pass(QuorumMs);
        Assert.Equal(ends, _machine.State == BrokerState.ShuttingDown);
    }

    [Fact]
    public void A_shutdown_that_the_controller_does_not_agree_to_ends_after_five_minutes()
    {
        Run();
        _machine.BeginControlledShutdown(_now);
        for (var beat = 0; beat < ShutdownMs / HeartbeatMs; beat++)
        {
            Assert.True(Beat().WantShutDown);
            Answer(isCaughtUp: true, isFenced: false);
            Pass(HeartbeatMs);
        }

        Assert.Equal(BrokerState.ShuttingDown, _machine.State);
        Assert.Contains("did not let the broker go", _machine.ShutdownProblem);
    }

    [Fact]
    public void A_broker_that_was_unregistered_goes_on_beating_but_need_not_wait_to_leave()
    {
        Run();
        Pass(HeartbeatMs);
        Beat();
        _machine.OnAnswer(new BrokerHeartbeatResponse { ErrorCode = (short)ErrorCode.StaleBrokerEpoch }, _now);
        Assert.Equal(BrokerState.Running, _machine.State);
        Assert.Null(Take());
        Pass(HeartbeatMs);
        Beat();
        _machine.OnAnswer(new BrokerHeartbeatResponse { ErrorCode = (short)ErrorCode.StaleBrokerEpoch }, _now);
        _machine.BeginControlledShutdown(_now);
        Beat();
        _machine.OnAnswer(new BrokerHeartbeatResponse { ErrorCode = (short)ErrorCode.StaleBrokerEpoch }, _now);
        Assert.Equal(BrokerState.ShuttingDown, _machine.State);
    }

    [Fact]
    public void A_new_controller_is_told_at_once()
    {
        Run();
        Pass(10);
        Assert.Null(Take());
        _machine.OnNewController(_now);
        Beat();
    }

    [Fact]
    public void A_broker_that_never_ran_leaves_without_asking()
    {
        Take();
        _machine.BeginControlledShutdown(_now);
        Assert.Equal(BrokerState.ShuttingDown, _machine.State);
        Assert.Null(Take());
    }

    private static BrokerRegistration Own() => new()
    {
        Id = 1,
        Epoch = 17,
        IncarnationId = Incarnation,
        Endpoints = [],
        Features = ImmutableSortedDictionary<string, VersionRange>.Empty,
        LogDirs = [Directory],
    };

    private void Run()
    {
        Take();
        Register(epoch: 17);
        Beat();
        Answer(isCaughtUp: true);
        _machine.SetReadyToUnfence(_now);
        Beat();
        Answer(isCaughtUp: true, isFenced: false);
    }

    private void Pass(long milliseconds)
    {
        _now = _now.AddMilliseconds(milliseconds);
        _machine.Advance(_now);
    }

    private IMessage? Take(long metadataOffset = 20) => _machine.TakeRequest(_now, metadataOffset, sendsCordonedDirectories: true);

    private BrokerHeartbeatRequest Beat(long metadataOffset = 20) => Assert.IsType<BrokerHeartbeatRequest>(Take(metadataOffset));

    private void Register(long epoch) => _machine.OnAnswer(new BrokerRegistrationResponse { BrokerEpoch = epoch }, _now);

    private void Answer(bool isCaughtUp, bool isFenced = true, bool shouldShutDown = false) =>
        _machine.OnAnswer(
            new BrokerHeartbeatResponse { IsCaughtUp = isCaughtUp, IsFenced = isFenced, ShouldShutDown = shouldShutDown }, _now);
}
