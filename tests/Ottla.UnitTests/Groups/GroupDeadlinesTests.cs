using Ottla.Kernel;
using Ottla.StateMachines.Groups;

namespace Ottla.UnitTests.Groups;

public sealed class GroupDeadlinesTests
{
    private readonly GroupDeadlines _deadlines = new();

    [Fact]
    public void TheEarliestComesFirstAndOnce()
    {
        Schedule("b", 20);
        Schedule("a", 10);

        Assert.Equal(new Instant(10), _deadlines.Next);
        Assert.Equal([], Due(9));
        Assert.Equal(["a", "b"], Due(20));
        Assert.Null(_deadlines.Next);
    }

    [Fact]
    public void ADeadlineCanBeMovedEitherWayAndCancelled()
    {
        Schedule("later", 10);
        Schedule("later", 30);
        Schedule("earlier", 30);
        Schedule("earlier", 10);
        Schedule("never", 10);
        _deadlines.Cancel(DeadlinePurpose.ClassicSession, "group", "never");

        Assert.Equal(new Instant(30), _deadlines.At(DeadlinePurpose.ClassicSession, "group", "later"));
        Assert.Null(_deadlines.At(DeadlinePurpose.ClassicSession, "group", "never"));
        Assert.Equal(["earlier"], Due(29));
        Assert.Equal(["later"], Due(30));
    }

    [Fact]
    public void PurposeGroupAndMemberTellDeadlinesApart()
    {
        _deadlines.Schedule(DeadlinePurpose.ClassicSession, "a", "m", new Instant(1));
        _deadlines.Schedule(DeadlinePurpose.ClassicJoin, "a", "m", new Instant(1));
        _deadlines.Schedule(DeadlinePurpose.ClassicSession, "b", "m", new Instant(1));
        _deadlines.Schedule(DeadlinePurpose.ClassicSession, "a", "n", new Instant(1));

        Assert.Equal(4, _deadlines.Count);
        Assert.Equal(["m", "m", "m", "n"], Due(1).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void HeartbeatsDoNotMakeTheQueueLonger()
    {
        for (var now = 0; now < 100_000; now += 10)
        {
            Schedule($"{now % 100}", now + 10_000);
            Assert.Empty(Due(now));
        }

        Assert.Equal(10, _deadlines.QueuedCount);
    }

    [Fact]
    public void WhatIsCancelledDoesNotPileUp()
    {
        for (var i = 0; i < 100_000; i++)
        {
            Schedule($"{i}", 1_000_000);
            _deadlines.Cancel(DeadlinePurpose.ClassicSession, "group", $"{i}");
        }

        Assert.InRange(_deadlines.QueuedCount, 0, 100);
    }

    [Fact]
    public void RandomChangesGiveWhatASimpleModelGives()
    {
        for (ulong seed = 1; seed <= 20; seed++)
        {
            var random = new Prng(seed);
            var deadlines = new GroupDeadlines();
            var model = new Dictionary<string, long>();
            for (long now = 0; now < 2_000; now++)
            {
                var name = $"{random.NextInt(30)}";
                if (random.NextChance(80))
                {
                    var at = now + random.NextInt(1, 300);
                    deadlines.Schedule(DeadlinePurpose.ClassicSession, "group", name, new Instant(at));
                    model[name] = at;
                }
                else
                {
                    deadlines.Cancel(DeadlinePurpose.ClassicSession, "group", name);
                    model.Remove(name);
                }

                Assert.True(deadlines.Next == (model.Count == 0 ? null : new Instant(model.Values.Min())), $"seed {seed}, at {now}");
                while (deadlines.TryTakeDue(new Instant(now), out var due))
                    Assert.True(model.Remove(due.MemberId, out var at) && at <= now, $"seed {seed}, at {now}");
                Assert.True(model.Values.All(at => at > now), $"seed {seed}, at {now}");
            }
        }
    }

    private void Schedule(string member, long at) => _deadlines.Schedule(DeadlinePurpose.ClassicSession, "group", member, new Instant(at));

    private List<string> Due(long now)
    {
        var due = new List<string>();
        while (_deadlines.TryTakeDue(new Instant(now), out var deadline))
            due.Add(deadline.MemberId);
        return due;
    }
}
