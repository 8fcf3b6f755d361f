using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Consumer;

/// <summary>Decides about consumer groups (KIP-848).</summary>
/// <remarks>Part of a <see cref="GroupMachine"/>; lives as long.</remarks>
public sealed class ConsumerDecisions(GroupContext context)
{
    /// <summary>What the parts of the machine share.</summary>
    internal GroupContext Context => context;

    /// <summary>ConsumerGroupHeartbeat.</summary>
    public void Heartbeat(ConsumerGroupHeartbeatCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects) =>
        throw new ApiException(ErrorCode.UnsupportedVersion);

    /// <summary>ConsumerGroupDescribe.</summary>
    public void Describe(ConsumerGroupDescribeCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects) =>
        throw new ApiException(ErrorCode.UnsupportedVersion);

    /// <summary>Takes over a record of a consumer group.</summary>
    public void Apply(in CoordinatorRecord record)
    {
    }

    /// <summary>Does what is due about a consumer group.</summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects)
    {
    }

    /// <summary>The sessions of all members begin.</summary>
    public void OnLoaded(Instant now, CoordinatorEffects effects)
    {
    }

    /// <summary>Takes over a change of the metadata; the context has it already.</summary>
    public void OnMetadata(MetadataDelta delta, Instant now, CoordinatorEffects effects)
    {
    }
}
