namespace Ottla.Kernel;

/// <summary>A point in wall-clock time, in milliseconds since the Unix epoch: the unit of every timestamp and timeout in Kafka.</summary>
/// <remarks>Pure code takes one as <c>now</c>; outside it, <see cref="Now"/> reads it from a <see cref="TimeProvider"/>.</remarks>
/// <param name="UnixMilliseconds">Milliseconds since 1970-01-01T00:00:00Z.</param>
public readonly record struct Instant(long UnixMilliseconds) : IComparable<Instant>
{
    /// <summary>The present according to <paramref name="time"/>.</summary>
    public static Instant Now(TimeProvider time) => new(time.GetUtcNow().ToUnixTimeMilliseconds());

    /// <inheritdoc/>
    public int CompareTo(Instant other) => UnixMilliseconds.CompareTo(other.UnixMilliseconds);

    /// <summary>The instant <paramref name="milliseconds"/> later; saturates instead of overflowing, as Kafka's "for ever" is Long.MAX.</summary>
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
