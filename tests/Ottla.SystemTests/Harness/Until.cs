using System.Diagnostics;

namespace Ottla.SystemTests.Harness;

/// <summary>Awaits conditions of other processes, which cannot notify: asks again and again, up to a deadline.</summary>
public static class Until
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(10);

    /// <summary>Returns when <paramref name="condition"/> holds, and fails the test at the deadline.</summary>
    /// <param name="what">What is awaited, for the failure's message.</param>
    /// <param name="limit">How long it may take.</param>
    /// <param name="condition">Is asked again and again.</param>
    public static async Task TrueAsync(string what, TimeSpan limit, Func<Task<bool>> condition)
    {
        var started = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(started) > limit)
                throw new TimeoutException($"Not within {limit.TotalSeconds:0.#} s: {what}.");
            await Task.Delay(Interval);
        }
    }

    /// <inheritdoc cref="TrueAsync(string, TimeSpan, Func{Task{bool}})"/>
    public static Task TrueAsync(string what, TimeSpan limit, Func<bool> condition) =>
        TrueAsync(what, limit, () => Task.FromResult(condition()));
}
