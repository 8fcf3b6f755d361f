namespace Ottla.StateMachines.Raft;

/// <summary>A place in the log: an end offset and the epoch of the record before it. Names snapshots, too.</summary>
/// <param name="Offset">The first offset that is not contained.</param>
/// <param name="Epoch">The epoch of the last record contained; 0 when there is none.</param>
public readonly record struct LogPosition(long Offset, int Epoch) : IComparable<LogPosition>
{
    /// <summary>Raft's "up to date": the later epoch wins, then the longer log.</summary>
    public int CompareTo(LogPosition other) => Epoch != other.Epoch ? Epoch.CompareTo(other.Epoch) : Offset.CompareTo(other.Offset);

    public static bool operator <(LogPosition left, LogPosition right) => left.CompareTo(right) < 0;

    public static bool operator >(LogPosition left, LogPosition right) => left.CompareTo(right) > 0;

    public static bool operator <=(LogPosition left, LogPosition right) => left.CompareTo(right) <= 0;

    public static bool operator >=(LogPosition left, LogPosition right) => left.CompareTo(right) >= 0;
}
