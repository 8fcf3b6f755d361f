using System.Text.Json.Serialization;

namespace Ottla.HistoryChecker.History;

/// <summary>A part of an <see cref="Operation"/>.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "do")]
[JsonDerivedType(typeof(Send), "send")]
[JsonDerivedType(typeof(Poll), "poll")]
[JsonDerivedType(typeof(Assign), "assign")]
[JsonDerivedType(typeof(Subscribe), "subscribe")]
[JsonDerivedType(typeof(Rebalance), "rebalance")]
public abstract record Step;

/// <summary>A record was sent. A value is sent to a partition once, but for an application that repeats what it is not sure of.</summary>
/// <param name="Partition">Where to.</param>
/// <param name="Value">What tells the record from all others of the partition.</param>
/// <param name="Offset">Where it was stored, once that was acknowledged. In a transaction that says nothing about its end.</param>
public sealed record Send(string Partition, long Value, long? Offset = null) : Step
{
    /// <inheritdoc/>
    public override string ToString() => $"send {Value} to {Partition}{(Offset is { } offset ? $" at {offset}" : "")}";
}

/// <summary>Records were received.</summary>
/// <param name="Records">In the order in which the application got them.</param>
public sealed record Poll(IReadOnlyList<PolledRecord> Records) : Step
{
    private const int ShownRecordsMax = 8;

    /// <inheritdoc/>
    public override string ToString()
    {
        var shown = string.Join(", ", Records.Take(ShownRecordsMax).Select(record => $"{record.Partition} {record.Offset}:{record.Value}"));
        return $"poll [{shown}{(Records.Count > ShownRecordsMax ? $", and {Records.Count - ShownRecordsMax} more" : "")}]";
    }
}

/// <summary>A record that a <see cref="Poll"/> got.</summary>
/// <param name="Partition">Where from.</param>
/// <param name="Offset">Its place there.</param>
/// <param name="Value">The value that was sent.</param>
public readonly record struct PolledRecord(string Partition, long Offset, long Value);

/// <summary>
/// From here on the process reads just these partitions. Where it stands in those that it read before stays, unless it says otherwise.
/// </summary>
/// <param name="Partitions">What it reads.</param>
public sealed record Assign(IReadOnlyList<AssignedPartition> Partitions) : Step
{
    /// <inheritdoc/>
    public override string ToString() =>
        "assign ["
        + string.Join(", ", Partitions.Select(each => each.Start is { } start ? $"{each.Partition} from {start}" : each.Partition))
        + "]";
}

/// <summary>A partition of an <see cref="Assign"/>.</summary>
/// <param name="Partition">Which.</param>
/// <param name="Start">The offset to read from, when it is known.</param>
public readonly record struct AssignedPartition(string Partition, long? Start = null);

/// <summary>
/// From here on a group decides what the process reads, and from where: its polls may go back and leave things to others.
/// </summary>
/// <param name="Topics">What it is interested in.</param>
public sealed record Subscribe(IReadOnlyList<string> Topics) : Step
{
    /// <inheritdoc/>
    public override string ToString() => $"subscribe [{string.Join(", ", Topics)}]";
}

/// <summary>The group changed what the process reads, within an operation.</summary>
/// <param name="Partitions">What was taken or given.</param>
public sealed record Rebalance(IReadOnlyList<string> Partitions) : Step
{
    /// <inheritdoc/>
    public override string ToString() => $"rebalance [{string.Join(", ", Partitions)}]";
}
