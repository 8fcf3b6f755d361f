using Ottla.Configuration;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Metadata;

namespace Ottla.UnitTests.Broker.Coordinators;

/// <summary>What a <see cref="NoteMachine"/> is asked.</summary>
internal abstract record NoteCommand;

/// <inheritdoc/>
internal abstract record NoteCommand<TReply> : NoteCommand, ICoordinatorCommand<NoteCommand, TReply>
{
    NoteCommand ICoordinatorCommand<NoteCommand, TReply>.Command => this;
}

/// <summary>Writes notes. Answered with the sum of all lengths.</summary>
internal sealed record WriteNotes(params string[] Texts) : NoteCommand<int>
{
    public ProducerIdAndEpoch Transaction { get; init; } = ProducerIdAndEpoch.None;

    public bool IsAtomic { get; init; } = true;

    public bool WantsOutput { get; init; }
}

/// <summary>Forgets a note.</summary>
internal sealed record EraseNote(string Text) : NoteCommand<int>;

/// <summary>Answered with all notes.</summary>
internal sealed record ReadNotes : NoteCommand<string>;

/// <summary>Answered at a time, with a note that is written then.</summary>
internal sealed record NoteAt(Instant At) : NoteCommand<string>;

/// <summary>Writes a note, and counts what comes of it.</summary>
internal sealed record WriteCounted(string Text) : NoteCommand<string>;

/// <summary>Takes long, it says.</summary>
internal sealed record CostlyRead : NoteCommand<string>;

/// <summary>Fails.</summary>
internal sealed record FailNote(Exception Exception) : NoteCommand<int>;

/// <summary>Writes a note that cannot be taken over.</summary>
internal sealed record WritePoison : NoteCommand<int>;

/// <summary>Writes what no version carries.</summary>
internal sealed record WriteNonsense : NoteCommand<int>;

/// <summary>What is done outside.</summary>
internal sealed record NoteOutput(string Text) : CoordinatorOutput;

/// <summary>The smallest machine that has everything a host must deal with: it keeps a set of texts, in records of offsets.</summary>
internal sealed class NoteMachine : ICoordinatorMachine<NoteCommand>
{
    private const string Poison = "poison";
    private readonly Dictionary<long, List<string>> _pending = [];
    private readonly List<(Instant At, ReplyTo<string> To)> _due = [];

    public SortedDictionary<string, long> Notes { get; } = new(StringComparer.Ordinal);

    public bool IsUnloaded { get; private set; }

    /// <summary>What became of <see cref="WriteCounted"/>.</summary>
    public (int Taken, int Refused) Counted { get; private set; }

    public bool FailsUnloading { get; set; }

    public bool IsCostly(NoteCommand command, Instant now) => command is CostlyRead;

    public int LoadedTopics { get; private set; } = -1;

    public Instant? NextDeadline => _due.Count == 0 ? null : _due.Min(due => due.At);

    public void Decide(NoteCommand command, ReplyTo replyTo, Instant now, CoordinatorEffects effects)
    {
        switch (command)
        {
            case WriteNotes write:
                effects.Write(write.Texts.Select(RecordOf));
                (effects.Transaction, effects.IsAtomic) = (write.Transaction, write.IsAtomic);
                effects.Reply(replyTo.For(write), write.Texts.Sum(text => text.Length));
                if (write.WantsOutput)
                    effects.Output(new NoteOutput(string.Join(',', write.Texts)));
                break;
            case EraseNote erase:
                effects.Write(CoordinatorRecord.Tombstone(KeyOf(erase.Text)));
                effects.Reply(replyTo.For(erase), 0);
                break;
            case WriteCounted write:
                effects.Write(RecordOf(write.Text));
                effects.Reply(replyTo.For(write), write.Text);
                effects.WhenTaken(_ => Counted = (Counted.Taken + 1, Counted.Refused));
                effects.WhenRefused((_, follow) =>
                {
                    Counted = (Counted.Taken, Counted.Refused + 1);
                    follow.Write(RecordOf("refused"));
                });
                break;
            case NoteCommand<string> read and (CostlyRead or ReadNotes):
                effects.Reply(replyTo.For(read), string.Join(',', Notes.Keys));
                break;
            case NoteAt at:
                _due.Add((at.At, replyTo.For(at)));
                break;
            case FailNote fail:
                effects.Write(RecordOf("not written"));
                throw fail.Exception;
            case WritePoison write:
                effects.Write(RecordOf(Poison));
                effects.Reply(replyTo.For(write), 0);
                break;
            case WriteNonsense write:
                effects.Write(new CoordinatorRecord(KeyOf("nonsense"), new OffsetCommitValue(), 99));
                effects.Reply(replyTo.For(write), 0);
                break;
        }
    }

    public void OnDeadline(Instant now, CoordinatorEffects effects)
    {
        var due = _due.MinBy(each => each.At);
        _due.Remove(due);
        effects.Write(RecordOf($"due at {due.At.UnixMilliseconds}"));
        effects.Reply(due.To, "due");
    }

    public void Apply(long offset, in CoordinatorRecord record, ProducerIdAndEpoch transaction)
    {
        var text = ((OffsetCommitKey)record.Key).Topic;
        Invariant.Check(text != Poison, "nobody can take this over");
        if (record.Value is null)
            Notes.Remove(text);
        else if (transaction == ProducerIdAndEpoch.None)
            Notes[text] = offset;
        else
            (_pending.TryGetValue(transaction.Id, out var pending) ? pending : _pending[transaction.Id] = []).Add(text);
    }

    public void ApplyMarker(ProducerIdAndEpoch transaction, bool isCommit)
    {
        if (_pending.Remove(transaction.Id, out var texts) && isCommit)
            texts.ForEach(text => Notes[text] = -1);
    }

    public void OnLoaded(MetadataImage image, BrokerConfig config, Instant now, CoordinatorEffects effects) =>
        LoadedTopics = image.Topics.ByName.Count;

    public void OnMetadata(MetadataDelta delta, BrokerConfig config, Instant now, CoordinatorEffects effects)
    {
        foreach (var topic in delta.Topics.Where(topic => topic.Old is null))
            effects.Write(RecordOf($"topic {topic.Name}"));
    }

    public void OnUnloading()
    {
        IsUnloaded = true;
        if (FailsUnloading)
            throw new InvalidOperationException("a bug");
    }

    public static OffsetCommitKey KeyOf(string text) => new() { Group = "notes", Topic = text };

    private static CoordinatorRecord RecordOf(string text) => new(KeyOf(text), new OffsetCommitValue(), 4);
}
