using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Coordinators;

/// <summary>What a <see cref="CounterMachine"/> is asked.</summary>
internal abstract record CounterCommand;

/// <inheritdoc/>
internal abstract record CounterCommand<TReply> : CounterCommand, ICoordinatorCommand<CounterCommand, TReply>
{
    CounterCommand ICoordinatorCommand<CounterCommand, TReply>.Command => this;
}

/// <summary>Adds to a counter. The reply is its new value.</summary>
internal sealed record AddCommand(string Name, long Amount) : CounterCommand<long>;

/// <summary>Deletes counters. The reply has the names of those that there were.</summary>
internal sealed record DeleteCommand(params string[] Names) : CounterCommand<IReadOnlyList<string>>;

/// <summary>
/// The example of CONTRIBUTING.md: a coordinator of counters. Its log has the newest value of each counter; the records are those of
/// offsets, so that the example needs no schema of its own.
/// </summary>
internal sealed class CounterMachine : ICoordinatorMachine<CounterCommand>
{
    private const short ValueVersion = 4;

    private readonly Dictionary<string, long> _counters = new(StringComparer.Ordinal);

    /// <summary>The counters, as the log has them.</summary>
    public IReadOnlyDictionary<string, long> Counters => _counters;

    /// <inheritdoc/>
    public Instant? NextDeadline => null;

    /// <inheritdoc/>
    public void Decide(CounterCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects)
    {
        switch (command)
        {
            case AddCommand add:
                effects.Reply(replyTo.For(add), Add(add, effects));
                break;
            case DeleteCommand delete:
                effects.Reply(replyTo.For(delete), Delete(delete, effects));
                break;
            default:
                throw new InvalidOperationException($"{command.GetType().Name} is not a command of counters.");
        }
    }

    /// <inheritdoc/>
    public void OnDeadline(Instant now, CoordinatorEffects effects)
    {
        // A counter waits for nothing.
    }

    /// <inheritdoc/>
    public void Apply(long offset, in CoordinatorRecord record, ProducerIdAndEpoch transaction)
    {
        var name = ((OffsetCommitKey)record.Key).Group;
        if (record.Value is OffsetCommitValue value)
            _counters[name] = value.Offset;
        else
            _counters.Remove(name);
    }

    /// <inheritdoc/>
    public void ApplyMarker(ProducerIdAndEpoch transaction, bool isCommit)
    {
        // Counters are in no transactions.
    }

    /// <inheritdoc/>
    public void OnLoaded(MetadataImage image, BrokerConfig config, Instant now, CoordinatorEffects effects)
    {
        // There are no sessions to begin.
    }

    /// <inheritdoc/>
    public void OnMetadata(MetadataDelta delta, BrokerConfig config, Instant now, CoordinatorEffects effects)
    {
        // Counters have nothing to do with topics.
    }

    /// <inheritdoc/>
    public void OnUnloading()
    {
        // There is no soft state.
    }

    private long Add(AddCommand add, CoordinatorEffects effects)
    {
        if (add.Name.Length == 0)
            throw new ApiException(ErrorCode.InvalidRequest, "A counter has a name.");
        var sum = _counters.GetValueOrDefault(add.Name) + add.Amount;
        effects.Write(new CoordinatorRecord(KeyOf(add.Name), new OffsetCommitValue { Offset = sum }, ValueVersion));
        return sum;
    }

    private string[] Delete(DeleteCommand delete, CoordinatorEffects effects)
    {
        string[] known = [.. delete.Names.Distinct(StringComparer.Ordinal).Where(_counters.ContainsKey)];
        effects.Write(known.Select(name => CoordinatorRecord.Tombstone(KeyOf(name))));
        return known;
    }

    private static OffsetCommitKey KeyOf(string name) => new() { Group = name };
}
