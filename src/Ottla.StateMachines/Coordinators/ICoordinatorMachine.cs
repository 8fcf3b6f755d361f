using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.StateMachines.Controller;
using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Coordinators;

/// <summary>What a coordinator does with one partition of its log: the groups, transactions or share partitions that hash to it. Pure.</summary>
/// <remarks>
/// Owned by one loop of the host, which calls it one step at a time. Two kinds of state: what the records say changes in <see cref="Apply"/> and
/// <see cref="ApplyMarker"/> alone, so that a replay of the log makes it anew; what is soft (who waits for an answer, when a session ends) may
/// change in any step and is lost with the leadership; what of it belongs to a record waits for
/// <see cref="CoordinatorEffects.WhenTaken"/>. The host writes the records of a step, applies them at once, and sends replies and outputs
/// once they are committed. When a write fails that might have succeeded, or leadership is lost, the host drops the machine and makes another.
/// </remarks>
/// <typeparam name="TCommand">The base of the machine's commands.</typeparam>
public interface ICoordinatorMachine<in TCommand>
{
    /// <summary>When <see cref="OnDeadline"/> wants to be called; null for never. Asked after every step.</summary>
    Instant? NextDeadline { get; }

    /// <summary>
    /// Whether deciding about a command may take long enough that nobody else should have to wait for this thread. A guess, made at once.
    /// </summary>
    bool IsCostly(TCommand command, Instant now) => false;

    /// <summary>Decides about a command. It is answered in this step, or in a later one (a join that waits for others).</summary>
    /// <param name="command">What is asked for.</param>
    /// <param name="replyTo">Whom to answer.</param>
    /// <param name="now">The time.</param>
    /// <param name="effects">Empty; filled with what is to happen.</param>
    /// <exception cref="ApiException">The command fails as a whole; the effects are ignored.</exception>
    void Decide(TCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects);

    /// <summary>Does what is due. Called again, with other effects, as long as <see cref="NextDeadline"/> is not after <paramref name="now"/>: one step need not do all.</summary>
    void OnDeadline(Instant now, CoordinatorEffects effects);

    /// <summary>Takes over a record: of the log while it is loaded, or of a step that was written, before the next step.</summary>
    /// <remarks>Of a step, it is the very object that the machine wrote: it may know what belongs to it.</remarks>
    /// <param name="offset">Where it is in the log.</param>
    /// <param name="record">The record.</param>
    /// <param name="transaction">The transaction it is part of, and then pending until the marker; or <see cref="ProducerIdAndEpoch.None"/>.</param>
    void Apply(long offset, in CoordinatorRecord record, ProducerIdAndEpoch transaction);

    /// <summary>Takes over the marker that ends a transaction in this partition.</summary>
    void ApplyMarker(ProducerIdAndEpoch transaction, bool isCommit);

    /// <summary>The log has been read to its end: sessions begin. Called once, before any command.</summary>
    void OnLoaded(MetadataImage image, BrokerConfig config, Instant now, CoordinatorEffects effects);

    /// <summary>Takes over a change of the cluster's metadata or of the configuration.</summary>
    void OnMetadata(MetadataDelta delta, BrokerConfig config, Instant now, CoordinatorEffects effects);

    /// <summary>This node is not the coordinator any more: the host fails all that wait with NOT_COORDINATOR after this.</summary>
    void OnUnloading();
}
