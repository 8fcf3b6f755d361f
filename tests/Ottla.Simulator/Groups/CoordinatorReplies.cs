using Ottla.StateMachines.Coordinators;

namespace Ottla.Simulator.Groups;

/// <summary>Looks into answers of coordinators, of whose requests the caller knows the type of reply.</summary>
public static class CoordinatorReplies
{
    /// <summary>The reply.</summary>
    /// <exception cref="SimulationException">There is none, but an error or no answer at all; or it is of another type.</exception>
    public static TReply Value<TReply>(this CoordinatorReply? reply) => reply is CoordinatorReply<TReply> typed
        ? typed.Reply
        : throw new SimulationException($"the answer is {reply?.Error.ToString() ?? "lost"} instead of a {typeof(TReply).Name}");
}
