using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;

namespace Ottla.HistoryChecker.History;

/// <summary>What became of an operation, as far as the client that did it can know.</summary>
public enum Outcome
{
    /// <summary>It happened: what was sent is stored, the transaction is committed.</summary>
    Ok,

    /// <summary>It did not happen and never will: nothing was stored, or the transaction was aborted.</summary>
    Fail,

    /// <summary>Nobody knows: the answer was lost, or the client died. It may also happen later.</summary>
    Info,
}

/// <summary>
/// One operation of one client, begun and ended: a send, a poll, a change of what is read, or a transaction of several steps.
/// </summary>
/// <remarks>
/// A history is a list of them in which the operations of each process are in the order it did them.
/// A process is one client that does one thing at a time; after a crash it goes on under another number.
/// </remarks>
public sealed record Operation
{
    /// <summary>Who did it.</summary>
    public required long Process { get; init; }

    /// <summary>What became of it.</summary>
    public required Outcome Outcome { get; init; }

    /// <summary>Whether all its sends are stored together or not at all.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsTransaction { get; init; }

    /// <summary>What it did, in order.</summary>
    public required IReadOnlyList<Step> Steps { get; init; }

    /// <summary>Anything that helps whoever reads it: an error, a time, a name. No check looks at it.</summary>
    public string? Note { get; init; }

    /// <inheritdoc/>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(
            CultureInfo.InvariantCulture,
            $"process {Process}, {(IsTransaction ? "transaction, " : "")}{Outcome.ToString().ToLowerInvariant()}: ");
        text.AppendJoin("; ", Steps);
        if (Note is not null)
            text.Append(CultureInfo.InvariantCulture, $" ({Note})");
        return text.ToString();
    }
}
