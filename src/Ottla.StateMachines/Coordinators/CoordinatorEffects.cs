using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Controller;

namespace Ottla.StateMachines.Coordinators;

/// <summary>Names a request that waits for its answer. The host gives the number; it is never given twice.</summary>
public readonly record struct ReplyTo(long Number);

/// <summary>An answer to a request: what its command says it is answered with, or an error.</summary>
/// <param name="To">Whom.</param>
/// <param name="Reply">The answer; null when there is an error.</param>
/// <param name="Error">Why there is none.</param>
public readonly record struct CoordinatorReply(ReplyTo To, object? Reply, ApiError Error);

/// <summary>Something that a machine wants done outside, once its records are committed. What comes of it comes back as a command.</summary>
public abstract record CoordinatorOutput;

/// <summary>What one step of a coordinator's machine wants: records to write as one batch, and what is to happen once they are committed.</summary>
/// <remarks>
/// Made by the host and lent to the machine for one step. When the records cannot be written, none is applied, and every reply of the step is
/// replaced by the error. A step without records has its replies sent once everything that was written before it is committed: an answer may
/// rest on it. Soft state that goes with a record changes in <see cref="WhenTaken"/>, or is set right again in <see cref="WhenRefused"/>.
/// </remarks>
public sealed class CoordinatorEffects
{
    private readonly List<CoordinatorRecord> _records = [];
    private readonly List<CoordinatorReply> _replies = [];
    private readonly List<CoordinatorOutput> _outputs = [];
    private readonly List<Action<CoordinatorEffects>> _whenTaken = [];
    private readonly List<Action<Instant, CoordinatorEffects>> _whenRefused = [];

    /// <summary>What to write, in order.</summary>
    public IReadOnlyList<CoordinatorRecord> Records => _records;

    /// <summary>Whom to answer what.</summary>
    public IReadOnlyList<CoordinatorReply> Replies => _replies;

    /// <summary>What to do outside.</summary>
    public IReadOnlyList<CoordinatorOutput> Outputs => _outputs;

    /// <summary>Whose transaction the records are part of; <see cref="ProducerIdAndEpoch.None"/> when they are part of none.</summary>
    public ProducerIdAndEpoch Transaction { get; set; } = ProducerIdAndEpoch.None;

    /// <summary>Whether the records must be written as one batch or not at all; otherwise they may be split anywhere, and some may be missing.</summary>
    public bool IsAtomic { get; set; } = true;

    /// <summary>Whether there is nothing to do.</summary>
    public bool IsEmpty => _records.Count == 0 && _replies.Count == 0 && _outputs.Count == 0;

    /// <summary>Writes a record.</summary>
    public void Write(in CoordinatorRecord record) => _records.Add(record);

    /// <summary>Writes records.</summary>
    public void Write(IEnumerable<CoordinatorRecord> records) => _records.AddRange(records);

    /// <summary>Answers a request.</summary>
    public void Reply(ReplyTo to, object reply) => _replies.Add(new CoordinatorReply(to, reply, ApiError.None));

    /// <summary>Answers a request with an error.</summary>
    public void Fail(ReplyTo to, ErrorCode error, string? message = null) => _replies.Add(new CoordinatorReply(to, null, new ApiError(error, message)));

    /// <summary>Has something done outside.</summary>
    public void Output(CoordinatorOutput output) => _outputs.Add(output);

    /// <summary>
    /// Has something done once the step's records are applied, or at the end of a step without records. It may add replies and outputs,
    /// but no records.
    /// </summary>
    public void WhenTaken(Action<CoordinatorEffects> action) => _whenTaken.Add(action);

    /// <summary>
    /// Has something done as a step of its own if the records of this one cannot be written. Replies of this step are answered with the
    /// error before.
    /// </summary>
    public void WhenRefused(Action<Instant, CoordinatorEffects> action) => _whenRefused.Add(action);

    /// <summary>The records are applied: does what was to be done then. Called by the host.</summary>
    public void Take()
    {
        var recordCount = _records.Count;
        foreach (var action in _whenTaken)
            action(this);
        Invariant.Check(_records.Count == recordCount, "nothing is written once the records are applied");
    }

    /// <summary>
    /// The records cannot be written: what is to be done as the next step; null when there is nothing. Called by the host.
    /// </summary>
    public Action<Instant, CoordinatorEffects>? Refuse()
    {
        if (_whenRefused.Count == 0)
            return null;
        Action<Instant, CoordinatorEffects>[] actions = [.. _whenRefused];
        return (now, effects) => Array.ForEach(actions, action => action(now, effects));
    }

    /// <summary>Forgets everything, for the next step.</summary>
    public void Clear()
    {
        _records.Clear();
        _replies.Clear();
        _outputs.Clear();
        _whenTaken.Clear();
        _whenRefused.Clear();
        Transaction = ProducerIdAndEpoch.None;
        IsAtomic = true;
    }
}
