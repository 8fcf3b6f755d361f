using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups;

namespace Ottla.Simulator.Groups;

/// <summary>Remembers whom the coordinator knew, so that each UNKNOWN_MEMBER_ID must have a reason.</summary>
/// <remarks>
/// There are two. A coordinator that takes over knows the last generation that was written, and none of those that joined since: in a storm
/// these may be all. And who was silent for a session is given up. Whoever is told so once has to stop using its id, or its epoch.
/// </remarks>
internal sealed class MembershipLedger
{
    private readonly Dictionary<string, Sighting> _lastKnown = new(StringComparer.Ordinal);
    private int _failovers;

    /// <summary>The coordinator has lost what was not written.</summary>
    public void NoteFailover() => _failovers++;

    /// <summary>The coordinator has answered a consumer.</summary>
    /// <param name="consumer">Who asked.</param>
    /// <param name="command">What it asked.</param>
    /// <param name="reply">The answer.</param>
    /// <param name="arrives">Whether the answer arrives.</param>
    /// <param name="now">The time of the answer.</param>
    /// <exception cref="SimulationException">The consumer is told UNKNOWN_MEMBER_ID without a reason, or again.</exception>
    public void NoteAnswer(SimulatedConsumer consumer, GroupCommand command, CoordinatorReply reply, bool arrives, Instant now)
    {
        var error = SimulatedConsumer.ErrorOf(reply);
        if (error is ErrorCode.None or ErrorCode.RebalanceInProgress or ErrorCode.MemberIdRequired)
        {
            if (IdOf(command, reply) is { Length: > 0 } known)
                _lastKnown[known] = new Sighting(now, _failovers, WasTold: false);
            return;
        }

        if (error != ErrorCode.UnknownMemberId || !consumer.IsRunning || IdOf(command, reply: null) is not { } memberId)
            return;
        if (!_lastKnown.TryGetValue(memberId, out var last))
            throw new SimulationException($"at {now.UnixMilliseconds}: {consumer} uses the id \"{memberId}\", which it was never given");
        if (last.Failovers == _failovers && now < last.At.AddMilliseconds(consumer.SessionTimeoutMs))
            throw new SimulationException(
                $"at {now.UnixMilliseconds}: {consumer} was known {now.MillisecondsSince(last.At)} ms ago, and is not any more: "
                    + $"{command.GetType().Name}");
        if (last.WasTold)
            throw new SimulationException(
                $"at {now.UnixMilliseconds}: {consumer} uses the id {memberId}, although it was told that it is unknown");
        _lastKnown[memberId] = last with { WasTold = arrives };
    }

    private static string? IdOf(GroupCommand command, CoordinatorReply? reply) => command switch
    {
        JoinGroupCommand join => (reply as CoordinatorReply<JoinGroupResponse>)?.Reply.MemberId ?? join.Request.MemberId,
        SyncGroupCommand sync => sync.Request.MemberId,
        HeartbeatCommand heartbeat => heartbeat.Request.MemberId,
        ConsumerGroupHeartbeatCommand heartbeat => heartbeat.Request.MemberId,
        _ => null,
    };

    private readonly record struct Sighting(Instant At, int Failovers, bool WasTold);
}
