namespace Ottla.StateMachines.Raft;

/// <summary>A position in the log: an end offset and the epoch of the last record before it. It also identifies a snapshot.</summary>
/// <param name="Offset">The first offset after the position.</param>
/// <param name="Epoch">The epoch of the last record before the position; 0 when there is none.</param>
public readonly record struct LogPosition(long Offset, int Epoch) : IComparable<LogPosition>
{
    /// <summary>Raft's "up to date" order: the later epoch is greater, then the longer log.</summary>
    public int CompareTo(LogPosition other) => Epoch != other.Epoch ? Epoch.CompareTo(other.Epoch) : Offset.CompareTo(other.Offset);

    public static bool operator <(LogPosition left, LogPosition right) => left.CompareTo(right) < 0;

    public static bool operator >(LogPosition left, LogPosition right) => left.CompareTo(right) > 0;

    public static bool operator <=(LogPosition left, LogPosition right) => left.CompareTo(right) <= 0;

    public static bool operator >=(LogPosition left, LogPosition right) => left.CompareTo(right) >= 0;
}
