using Microsoft.Extensions.Time.Testing;

namespace Ottla.UnitTests;

/// <summary>Kafka counts in milliseconds.</summary>
internal static class FakeTimeExtensions
{
    /// <summary>Moves the clock by milliseconds and fires what becomes due.</summary>
    public static void AdvanceMs(this FakeTimeProvider time, long milliseconds) => time.Advance(TimeSpan.FromMilliseconds(milliseconds));
}
