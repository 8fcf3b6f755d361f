using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Controller;

namespace Ottla.UnitTests.Controller;

/// <summary>What a controller makes of heartbeats, and of their absence.</summary>
public sealed class BrokerSessionTests
{
    private const int SessionMs = 9_000;

    private readonly ControllerTestBed _bed = ControllerTestBed.WithBrokers(3);

    [Fact]
    public void Silent_broker_is_fenced_after_its_session_and_no_sooner()
    {
        _bed.Create("t", assignments: [[1, 2]]);
        _bed.Pass(SessionMs / 2);
        Beat(2, 3);
        _bed.Pass(SessionMs / 2);
        Beat(2, 3);
        Assert.False(IsFenced(1), "Its session is exactly over, which is not longer than it.");
        _bed.Pass(SessionMs / 8 + 1);
        Assert.True(IsFenced(1));
        Assert.False(IsFenced(2) || IsFenced(3));
        var partition = _bed.Image.Topics.Find("t")!.Partitions[0];
        Assert.Equal((2, 1), (partition.Leader, partition.LeaderEpoch));
        _bed.CheckInvariants();
    }

    [Fact]
    public void Brokers_that_fall_silent_together_are_fenced_one_by_one()
    {
        var before = _bed.Log.Count;
        _bed.Pass(SessionMs + SessionMs / 8 + 100);
        Assert.All([1, 2, 3], id => Assert.True(IsFenced(id)));
        var fencings = _bed.Log.Skip(before).Select(record => record.Message).OfType<BrokerRegistrationChangeRecord>().ToList();
        Assert.Equal([1, 2, 3], fencings.Select(record => record.BrokerId));
        _bed.Pass(SessionMs * 2);
        Assert.Equal(3, _bed.Log.Skip(before).Count(record => record.Message is BrokerRegistrationChangeRecord));
    }

    [Fact]
    public void Fenced_broker_comes_back_with_its_next_heartbeat()
    {
        _bed.Pass(SessionMs * 2);
        Assert.True(IsFenced(1));
        Beat(1);
        Assert.False(IsFenced(1));
        _bed.Pass(SessionMs - 1);
        Assert.False(IsFenced(1));
        _bed.Pass(SessionMs / 8 + 2);
        Assert.True(IsFenced(1));
    }

    [Fact]
    public void Heartbeat_counts_before_it_is_decided()
    {
        _bed.Pass(SessionMs - 1);
        _bed.Hear(_bed.Heartbeat(1)); // a command before it takes long
        _bed.Pass(SessionMs - 1);
        Assert.False(IsFenced(1));
        Assert.True(IsFenced(2));
    }

    [Fact]
    public void Heartbeat_of_a_process_that_is_not_registered_counts_for_nobody()
    {
        _bed.Pass(SessionMs - 1);
        _bed.Hear(_bed.Heartbeat(1, epoch: 1));
        _bed.Hear(_bed.Heartbeat(99, epoch: 1));
        _bed.Pass(SessionMs / 8 + 2);
        Assert.True(IsFenced(1));
    }

    [Fact]
    public void New_controller_gives_unfenced_brokers_a_whole_session_and_fences_those_that_do_not_come()
    {
        _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(3, wantFence: true)));
        _bed.Pass(SessionMs - 1);
        FailOver();
        _bed.Pass(SessionMs - 1);
        Assert.False(IsFenced(1) || IsFenced(2));
        Beat(2);
        var before = _bed.Log.Count;
        _bed.Pass(SessionMs / 8 + 2);
        Assert.True(IsFenced(1));
        Assert.False(IsFenced(2));
        Assert.DoesNotContain(3, _bed.Log.Skip(before).Select(record => record.Message).OfType<BrokerRegistrationChangeRecord>()
            .Select(record => record.BrokerId));
    }

    [Fact]
    public void Broker_whose_process_has_ended_is_fenced_at_once()
    {
        _bed.Create("t", assignments: [[1, 2]]);
        Assert.Empty(Suspects()); // all are connected
        _bed.Disconnect(1);
        Assert.Equal([1], Suspects());
        EndSession(1);
        _bed.Pass(0);
        Assert.True(IsFenced(1));
        Assert.False(IsFenced(2) || IsFenced(3));
        var partition = _bed.Image.Topics.Find("t")!.Partitions[0];
        Assert.Equal((2, 1), (partition.Leader, partition.LeaderEpoch));
        Assert.Empty(Suspects());

        // Whoever comes in its place is no second process: also with other directories.
        var another = ControllerTestBed.Registration(1, incarnation: 2);
        another.LogDirs = [new(1, 2000)];
        Assert.True(_bed.Do(new RegisterBrokerCommand(another)).BrokerEpoch > 0);
        _bed.CheckInvariants();
    }

    [Fact]
    public void Broker_whose_connection_broke_but_whose_process_lives_is_suspected_again_until_it_is_heard()
    {
        _bed.Disconnect(1);
        Assert.Equal([1], Suspects());
        Assert.Empty(Suspects());
        _bed.Pass(QuorumController.SuspicionIntervalMs);
        Assert.Equal([1], Suspects());
        Beat(1);
        _bed.Pass(QuorumController.SuspicionIntervalMs);
        Assert.Empty(Suspects());
        Assert.False(IsFenced(1));
    }

    [Fact]
    public void Broker_that_is_heard_while_its_end_is_looked_for_lives()
    {
        _bed.Disconnect(1);
        Assert.Equal([1], Suspects());
        Beat(1);
        EndSession(1);
        _bed.Pass(0);
        Assert.False(IsFenced(1));
    }

    [Fact]
    public void End_of_a_process_of_before_ends_nothing_of_the_next_one()
    {
        var epoch = _bed.Image.Cluster.Broker(1)!.Epoch;
        _bed.Disconnect(1);
        Assert.Equal([1], Suspects());
        Beat1AsAnotherProcess();
        _bed.Controller.EndSession(1, epoch, _bed.Now);
        _bed.Pass(0);
        Assert.False(IsFenced(1));
    }

    [Fact]
    public void New_controller_suspects_all_that_are_unfenced_and_not_heard_yet()
    {
        _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(3, wantFence: true)));
        FailOver();
        Beat(2);
        Assert.Equal([1], Suspects());
        EndSession(1);
        _bed.Pass(0);
        Assert.True(IsFenced(1));
        Assert.False(IsFenced(2));
    }

    [Fact]
    public void Controller_that_is_not_active_has_nothing_to_do()
    {
        _bed.Controller.Resign();
        Assert.Null(_bed.Controller.NextDeadline);
        var before = _bed.Log.Count;
        _bed.Pass(SessionMs * 3);
        Assert.Equal(before, _bed.Log.Count);
    }

    [Fact]
    public void Another_process_with_the_id_of_one_that_is_alive_is_refused()
    {
        var another = ControllerTestBed.Registration(1, incarnation: 2);
        another.LogDirs = [new(1, 2000)];
        Assert.Equal(ErrorCode.DuplicateBrokerRegistration, _bed.Fails(new RegisterBrokerCommand(another)));
        _bed.Disconnect(1);
        Assert.Equal(ErrorCode.DuplicateBrokerRegistration, _bed.Fails(new RegisterBrokerCommand(another)));
        _bed.Pass(SessionMs + 1);
        Assert.True(_bed.Do(new RegisterBrokerCommand(another)).BrokerEpoch > 0);
    }

    [Fact]
    public void Broker_whose_connection_is_open_keeps_its_id_from_one_with_its_directories()
    {
        var again = ControllerTestBed.Registration(1, incarnation: 2);
        Assert.Equal(ErrorCode.DuplicateBrokerRegistration, _bed.Fails(new RegisterBrokerCommand(again)));
        _bed.Controller.Disconnect(1, new object());
        Assert.Equal(ErrorCode.DuplicateBrokerRegistration, _bed.Fails(new RegisterBrokerCommand(again)));
        _bed.Disconnect(1);
        var epoch = _bed.Do(new RegisterBrokerCommand(again)).BrokerEpoch;
        Assert.Equal((epoch, true), (_bed.Image.Cluster.Broker(1)!.Epoch, IsFenced(1)));
        Assert.Equal(ErrorCode.StaleBrokerEpoch, _bed.Fails(new BrokerHeartbeatCommand(_bed.Heartbeat(1, epoch: epoch - 1))));
    }

    [Fact]
    public void Same_process_may_register_again_at_any_time()
    {
        var epoch = _bed.Image.Cluster.Broker(1)!.Epoch;
        Assert.Equal(epoch, _bed.Do(new RegisterBrokerCommand(ControllerTestBed.Registration(1))).BrokerEpoch);
        Assert.False(IsFenced(1));
        _bed.Pass(SessionMs);
        Assert.False(IsFenced(1));
    }

    [Fact]
    public void Broker_that_was_let_go_comes_back_at_once()
    {
        Assert.True(_bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(1, wantShutDown: true))).ShouldShutDown);
        var again = ControllerTestBed.Registration(1, incarnation: 2);
        again.LogDirs = [new(1, 3000)]; // whatever its directories are: it said itself that it stops
        Assert.True(_bed.Do(new RegisterBrokerCommand(again)).BrokerEpoch > 0);
    }

    [Fact]
    public void Broker_that_starts_is_not_taken_for_one_that_stops()
    {
        var starting = ControllerTestBed.Registration(4);
        var epoch = _bed.Do(new RegisterBrokerCommand(starting)).BrokerEpoch;
        _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(4, epoch, wantFence: true)));
        var another = ControllerTestBed.Registration(4, incarnation: 2);
        Assert.Equal(ErrorCode.DuplicateBrokerRegistration, _bed.Fails(new RegisterBrokerCommand(another)));
    }

    [Fact]
    public void Registered_broker_has_no_session_before_its_first_heartbeat()
    {
        _bed.Do(new RegisterBrokerCommand(ControllerTestBed.Registration(4)));
        Assert.True(_bed.Do(new RegisterBrokerCommand(ControllerTestBed.Registration(4, incarnation: 2))).BrokerEpoch > 0);
    }

    [Fact]
    public void Shutdown_ends_when_every_active_broker_knows_of_it_and_its_offset_does_not_move()
    {
        _bed.Create("t", assignments: [[1, 2]]);
        var wish = _bed.Heartbeat(1, wantShutDown: true);
        Assert.False(_bed.Do(new BrokerHeartbeatCommand(wish)).ShouldShutDown);
        var began = _bed.NextOffset - 1;
        Assert.Equal(2, _bed.Image.Topics.Find("t")!.Partitions[0].Leader);

        // A busy cluster: the log grows while the broker waits, and only what began its shutdown must be known.
        _bed.Create("u", assignments: [[2, 3]]);
        Assert.False(_bed.Do(new BrokerHeartbeatCommand(wish)).ShouldShutDown);
        BeatAt(2, began);
        BeatAt(3, began - 1);
        Assert.False(_bed.Do(new BrokerHeartbeatCommand(wish)).ShouldShutDown);
        BeatAt(3, began);
        var reply = _bed.Do(new BrokerHeartbeatCommand(wish));
        Assert.True(reply is { ShouldShutDown: true, IsFenced: true, InControlledShutdown: false });
        Assert.True(IsFenced(1));
    }

    [Fact]
    public void Broker_that_leads_nothing_may_go_at_once_without_a_shutdown_record()
    {
        var reply = _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(1, wantShutDown: true)));
        Assert.True(reply is { ShouldShutDown: true, IsFenced: true });
        Assert.False(_bed.Image.Cluster.Broker(1)!.InControlledShutdown);
    }

    [Fact]
    public void Shutdown_goes_on_under_the_next_controller()
    {
        _bed.Create("t", assignments: [[1, 2]]);
        var wish = _bed.Heartbeat(1, wantShutDown: true);
        _bed.Do(new BrokerHeartbeatCommand(wish));
        FailOver();
        Assert.False(_bed.Do(new BrokerHeartbeatCommand(wish)).ShouldShutDown);
        Beat(2, 3);
        Assert.True(_bed.Do(new BrokerHeartbeatCommand(wish)).ShouldShutDown);
    }

    [Fact]
    public void Leaderships_are_moved_later_if_nobody_could_take_them_at_first()
    {
        _bed.Create("t", assignments: [[1, 2]]);
        _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(2, wantFence: true)));
        var partition = _bed.Image.Topics.Find("t")!;
        _bed.Write(new PartitionChangeRecord { TopicId = partition.Id, PartitionId = 0, Isr = [1, 2], EligibleLeaderReplicas = [] });
        _bed.Write(new PartitionChangeRecord { TopicId = partition.Id, PartitionId = 0, Isr = [1] });
        var wish = _bed.Heartbeat(1, wantShutDown: true);
        _bed.Do(new BrokerHeartbeatCommand(wish));
        Beat(2, 3);
        Assert.True(_bed.Do(new BrokerHeartbeatCommand(wish)).ShouldShutDown);
        Assert.NotEqual(1, _bed.Image.Topics.Find("t")!.Partitions[0].Leader);
    }

    private bool IsFenced(int id) => _bed.Image.Cluster.Broker(id)!.Fenced;

    private int[] Suspects() => [.. _bed.Controller.SuspectBrokers(_bed.Image, _bed.Now).Select(broker => broker.Id)];

    private void EndSession(int id) => _bed.Controller.EndSession(id, _bed.Image.Cluster.Broker(id)!.Epoch, _bed.Now);

    private void Beat1AsAnotherProcess()
    {
        _bed.Do(new RegisterBrokerCommand(ControllerTestBed.Registration(1, incarnation: 2)));
        Beat(1);
    }

    private void Beat(params ReadOnlySpan<int> ids)
    {
        foreach (var id in ids)
            _bed.Do(new BrokerHeartbeatCommand(_bed.Heartbeat(id)));
    }

    private void BeatAt(int id, long offset)
    {
        var heartbeat = _bed.Heartbeat(id);
        heartbeat.CurrentMetadataOffset = offset;
        _bed.Do(new BrokerHeartbeatCommand(heartbeat));
    }

    private void FailOver()
    {
        _bed.Controller.Resign();
        _bed.Do(new ActivateCommand([], -1));
    }
}
