namespace Ottla.Kernel;

/// <summary>A point in wall-clock time in milliseconds since the Unix epoch, the unit of all of Kafka's timestamps and timeouts.</summary>
/// <remarks>
/// Pure code takes it as a parameter <c>now</c>; other code reads it with <see cref="Now"/> from a <see cref="TimeProvider"/>.
/// </remarks>
/// <param name="UnixMilliseconds">Milliseconds since 1970-01-01T00:00:00Z.</param>
public readonly record struct Instant(long UnixMilliseconds) : IComparable<Instant>
{
    /// <summary>Reads the current time from <paramref name="time"/>.</summary>
    public static Instant Now(TimeProvider time) => new(time.GetUtcNow().ToUnixTimeMilliseconds());

    /// <inheritdoc/>
    public int CompareTo(Instant other) => UnixMilliseconds.CompareTo(other.UnixMilliseconds);

    /// <summary>
    /// The instant <paramref name="milliseconds"/> later. It saturates instead of overflowing, because Kafka writes "for ever" as the
    /// largest long.
    /// </summary>
    public Instant AddMilliseconds(long milliseconds)
    {
        var sum = unchecked(UnixMilliseconds + milliseconds);
        var overflowed = ((UnixMilliseconds ^ sum) & (milliseconds ^ sum)) < 0;
        return new Instant(!overflowed ? sum : milliseconds > 0 ? long.MaxValue : long.MinValue);
    }

    /// <summary>Milliseconds from <paramref name="earlier"/> to this instant; saturates, as <see cref="AddMilliseconds"/> does.</summary>
    public long MillisecondsSince(Instant earlier)
    {
        var difference = unchecked(UnixMilliseconds - earlier.UnixMilliseconds);
        var overflowed = ((UnixMilliseconds ^ earlier.UnixMilliseconds) & (UnixMilliseconds ^ difference)) < 0;
        return !overflowed ? difference : UnixMilliseconds < 0 ? long.MinValue : long.MaxValue;
    }

    public static bool operator <(Instant left, Instant right) => left.UnixMilliseconds < right.UnixMilliseconds;

    public static bool operator >(Instant left, Instant right) => left.UnixMilliseconds > right.UnixMilliseconds;

    public static bool operator <=(Instant left, Instant right) => left.UnixMilliseconds <= right.UnixMilliseconds;

    public static bool operator >=(Instant left, Instant right) => left.UnixMilliseconds >= right.UnixMilliseconds;
}
