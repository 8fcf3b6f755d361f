using Ottla.Kernel;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Groups.Consumer;

namespace Ottla.StateMachines.Groups.Classic;

/// <summary>Decides about classic groups.</summary>
/// <remarks>Part of a <see cref="GroupMachine"/>; lives as long.</remarks>
public sealed class ClassicDecisions(GroupContext context, ConsumerDecisions consumer)
{
    internal GroupContext Context => context;

    internal ConsumerDecisions Consumer => consumer;

    /// <summary>JoinGroup.</summary>
    public void Join(JoinGroupCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects)
    {
    }

    /// <summary>SyncGroup.</summary>
    public void Sync(SyncGroupCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects)
    {
    }

    /// <summary>Heartbeat.</summary>
    public void Heartbeat(HeartbeatCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects)
    {
    }

    /// <summary>LeaveGroup.</summary>
    public void Leave(LeaveGroupCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects)
    {
    }

    /// <summary>DescribeGroups.</summary>
    public void Describe(DescribeGroupCommand command, ReplyTo replyTo, CoordinatorEffects effects)
    {
    }

    /// <summary>Takes over a group's record.</summary>
    public void Apply(in CoordinatorRecord record)
    {
    }

    /// <summary>Does what is due about a classic group.</summary>
    public void OnDeadline(GroupDeadline due, Instant now, CoordinatorEffects effects)
    {
    }

    /// <summary>The sessions of all members begin.</summary>
    public void OnLoaded(Instant now, CoordinatorEffects effects)
    {
    }
}
