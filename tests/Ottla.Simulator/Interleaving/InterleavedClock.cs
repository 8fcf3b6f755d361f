using Microsoft.Extensions.Time.Testing;

namespace Ottla.Simulator.Interleaving;

/// <summary>The clock of an <see cref="Interleaver"/>: it stands still while actors work, and fires timers when it is advanced.</summary>
internal sealed class InterleavedClock : FakeTimeProvider
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 2, 0, 0, 0, TimeSpan.Zero);

    public InterleavedClock()
        : base(s_start)
    {
    }

    /// <summary>How long the run takes already, in milliseconds.</summary>
    public long NowMs => (long)(GetUtcNow() - s_start).TotalMilliseconds;

    public void AdvanceMs(int milliseconds) => Advance(TimeSpan.FromMilliseconds(milliseconds));
}
