using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.StateMachines.Coordinators;

/// <summary>Work for the host after the machine's records are committed. The host returns the result as a command.</summary>
public abstract record CoordinatorOutput;

/// <summary>
/// The effects of one step of a coordinator's machine: records to write, then replies and outputs once they are committed.
/// </summary>
/// <remarks>
/// The host owns the object and lends it to the machine for one step. If the records cannot be written, none is applied and the error
/// replaces every reply of the step. The replies of a step without records wait until all earlier writes are committed, because they may
/// depend on them. Soft state that belongs to a record changes in <see cref="WhenTaken"/>, or is corrected in <see cref="WhenRefused"/>.
/// </remarks>
public sealed class CoordinatorEffects
{
    private readonly List<CoordinatorRecord> _records = [];
    private readonly List<CoordinatorReply> _replies = [];
    private readonly List<CoordinatorOutput> _outputs = [];
    private readonly List<Action<CoordinatorEffects>> _whenTaken = [];
    private readonly List<Action<Instant, CoordinatorEffects>> _whenRefused = [];

    /// <summary>The records to write, in order.</summary>
    public IReadOnlyList<CoordinatorRecord> Records => _records;

    /// <summary>The answers to send.</summary>
    public IReadOnlyList<CoordinatorReply> Replies => _replies;

    /// <summary>The work for the host.</summary>
    public IReadOnlyList<CoordinatorOutput> Outputs => _outputs;

    /// <summary>The transaction that the records belong to; <see cref="ProducerIdAndEpoch.None"/> for none.</summary>
    public ProducerIdAndEpoch Transaction { get; set; } = ProducerIdAndEpoch.None;

    /// <summary>
    /// Whether the records must be written as one batch or not at all. Otherwise they may be split, and some may be lost.
    /// </summary>
    public bool IsAtomic { get; set; } = true;

    /// <summary>Whether the step has no effects.</summary>
    public bool IsEmpty => _records.Count == 0 && _replies.Count == 0 && _outputs.Count == 0;

    /// <summary>Adds a record to write.</summary>
    public void Write(in CoordinatorRecord record) => _records.Add(record);

    /// <summary>Adds records to write.</summary>
    public void Write(IEnumerable<CoordinatorRecord> records) => _records.AddRange(records);

    /// <summary>Answers a request.</summary>
    public void Reply<TReply>(ReplyTo<TReply> to, TReply reply) => _replies.Add(new CoordinatorReply<TReply>(to, reply));

    /// <summary>Answers a request with an error.</summary>
    public void Fail(ReplyTo to, ErrorCode error, string? message = null) =>
        _replies.Add(new FailedReply(to, new ApiError(error, message)));

    /// <summary>Adds work for the host.</summary>
    public void Output(CoordinatorOutput output) => _outputs.Add(output);

    /// <summary>
    /// Adds an action for when the step's records are applied, or for the end of a step without records. It may add replies and outputs,
    /// but no records.
    /// </summary>
    public void WhenTaken(Action<CoordinatorEffects> action) => _whenTaken.Add(action);

    /// <summary>
    /// Adds an action that runs as a step of its own if the records of this step cannot be written. The replies of this step get the error
    /// first.
    /// </summary>
    public void WhenRefused(Action<Instant, CoordinatorEffects> action) => _whenRefused.Add(action);

    /// <summary>Runs the actions for applied records. The host calls it.</summary>
    public void Take()
    {
        var recordCount = _records.Count;
        foreach (var action in _whenTaken)
            action(this);
        Invariant.Check(_records.Count == recordCount, "nothing is written once the records are applied");
    }

    /// <summary>Returns the next step if the records cannot be written; null when there is nothing to do. The host calls it.</summary>
    public Action<Instant, CoordinatorEffects>? Refuse()
    {
        if (_whenRefused.Count == 0)
            return null;
        Action<Instant, CoordinatorEffects>[] actions = [.. _whenRefused];
        return (now, effects) => Array.ForEach(actions, action => action(now, effects));
    }

    /// <summary>Clears the object for the next step.</summary>
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
