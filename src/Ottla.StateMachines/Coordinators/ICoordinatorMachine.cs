using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Coordinators;

/// <summary>
/// A coordinator's state machine for one partition of its log: for the groups, transactions or share partitions that hash to it. Pure.
/// </summary>
/// <remarks>
/// One loop of the host owns it and calls one step at a time. It has two kinds of state. Persistent state changes only in
/// <see cref="Apply"/> and <see cref="ApplyMarker"/>, so that a replay of the log rebuilds it. Soft state (open requests, session
/// deadlines) may change in any step and is lost with the leadership; soft state that belongs to a record waits for
/// <see cref="CoordinatorEffects.WhenTaken"/>. The host writes the records of a step, applies them at once, and sends replies and outputs
/// once they are committed. If a write fails with an unknown outcome, or the leadership is lost, the host drops the machine and loads a new
/// one.
/// </remarks>
/// <typeparam name="TCommand">The base of the machine's commands.</typeparam>
public interface ICoordinatorMachine<in TCommand>
{
    /// <summary>The time of the next <see cref="OnDeadline"/> call; null for none. The host reads it after every step.</summary>
    Instant? NextDeadline { get; }

    /// <summary>Whether a command may take so long that others should not wait for the thread. A quick estimate.</summary>
    bool IsCostly(TCommand command, Instant now) => false;

    /// <summary>Decides about a command. The reply comes in this step or in a later one (a join that waits for other members).</summary>
    /// <param name="command">The command.</param>
    /// <param name="replyTo">The request to answer.</param>
    /// <param name="now">The current time.</param>
    /// <param name="effects">Empty; receives the effects.</param>
    /// <exception cref="ApiException">Fails the command; the effects are discarded.</exception>
    void Decide(TCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects);

    /// <summary>
    /// Handles deadlines. The host calls it with new effects until <see cref="NextDeadline"/> is after <paramref name="now"/>, so one step
    /// need not handle all.
    /// </summary>
    void OnDeadline(Instant now, CoordinatorEffects effects);

    /// <summary>Applies a record: one that is loaded from the log, or one that the previous step wrote.</summary>
    /// <remarks>A record of a step is the same object that the machine wrote, so the machine can attach data to it.</remarks>
    /// <param name="offset">The offset of the record.</param>
    /// <param name="record">The record.</param>
    /// <param name="transaction">
    /// The transaction of the record, which is pending until its marker; or <see cref="ProducerIdAndEpoch.None"/>.
    /// </param>
    void Apply(long offset, in CoordinatorRecord record, ProducerIdAndEpoch transaction);

    /// <summary>Applies the marker that ends a transaction in this partition.</summary>
    void ApplyMarker(ProducerIdAndEpoch transaction, bool isCommit);

    /// <summary>The log is loaded completely: sessions begin. Called once, before the first command.</summary>
    void OnLoaded(MetadataImage image, BrokerConfig config, Instant now, CoordinatorEffects effects);

    /// <summary>Applies a change of the cluster's metadata or of the configuration.</summary>
    void OnMetadata(MetadataDelta delta, BrokerConfig config, Instant now, CoordinatorEffects effects);

    /// <summary>This node is no longer the coordinator. After this call the host fails all open requests with NOT_COORDINATOR.</summary>
    void OnUnloading();
}
