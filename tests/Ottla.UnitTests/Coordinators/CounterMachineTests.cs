using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Simulator.Groups;
using Ottla.StateMachines.Coordinators;

namespace Ottla.UnitTests.Coordinators;

/// <summary>How a machine is tested as a pure function: the test writes its records and applies them, as the host does.</summary>
public sealed class CounterMachineTests
{
    private readonly CounterMachine _machine = new();
    private readonly List<CoordinatorRecord> _log = [];
    private long _lastReplyTo;

    [Fact]
    public void Counters_add_up_and_are_deleted()
    {
        Assert.Equal(2, Ask(new AddCommand("a", 2)));
        Assert.Equal(5, Ask(new AddCommand("a", 3)));
        Assert.Equal(1, Ask(new AddCommand("b", 1)));
        Assert.Equal(["a"], Ask(new DeleteCommand("a", "a", "c")));
        Assert.Equal(7, Ask(new AddCommand("a", 7)));
    }

    [Fact]
    public void The_log_has_all_that_the_machine_knows()
    {
        Ask(new AddCommand("a", 2));
        Ask(new AddCommand("b", 3));
        Ask(new DeleteCommand("a"));
        var successor = new CounterMachine();
        for (var offset = 0; offset < _log.Count; offset++)
            successor.Apply(offset, _log[offset], ProducerIdAndEpoch.None);
        Assert.Equal(_machine.Counters, successor.Counters);
        Assert.Equal(3, Assert.Single(successor.Counters).Value);
    }

    [Fact]
    public void A_command_that_fails_writes_nothing()
    {
        Assert.Equal(ErrorCode.InvalidRequest, Assert.Throws<ApiException>(() => { Ask(new AddCommand("", 1)); }).Error.Code);
        Assert.Empty(_log);
    }

    [Fact]
    public void A_reply_reaches_only_who_waits_for_its_type()
    {
        var effects = new CoordinatorEffects();
        _machine.Decide(new AddCommand("a", 2), new ReplyTo(1), default, effects);
        var (expected, other) = (new Receiver<long>(), new Receiver<string>());
        Assert.Single(effects.Replies).Deliver(expected);
        Assert.Equal((2, ErrorCode.None), (expected.Reply, expected.Error.Code));
        Assert.Throws<InvariantViolationException>(() => effects.Replies[0].Deliver(other));
        new FailedReply(new ReplyTo(1), new ApiError(ErrorCode.NotCoordinator)).Deliver(other);
        Assert.Equal(ErrorCode.NotCoordinator, other.Error.Code);
    }

    private TReply Ask<TReply>(CounterCommand<TReply> command)
    {
        var effects = new CoordinatorEffects();
        _machine.Decide(command, new ReplyTo(++_lastReplyTo), new Instant(1_000), effects);
        foreach (var record in effects.Records)
        {
            _machine.Apply(_log.Count, record, ProducerIdAndEpoch.None);
            _log.Add(record);
        }

        effects.Take();
        var reply = Assert.Single(effects.Replies);
        Assert.Equal(_lastReplyTo, reply.To.Number);
        return reply.Value<TReply>();
    }

    private sealed class Receiver<TReply> : ReplyReceiver<TReply>
    {
        public TReply? Reply { get; private set; }

        public ApiError Error { get; private set; } = ApiError.None;

        public override void Receive(TReply reply) => Reply = reply;

        public override void Fail(ApiError error) => Error = error;
    }
}
