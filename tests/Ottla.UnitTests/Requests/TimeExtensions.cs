using System.Diagnostics;
using Ottla.UnitTests.Network;

namespace Ottla.UnitTests.Requests;

/// <summary>Moving a clock while tasks on other threads follow it.</summary>
internal static class TimeExtensions
{
    /// <summary>Moves the clock step by step until something is over.</summary>
    public static async Task AdvanceUntilAsync(this ManualTimeProvider time, Task over, long stepMs)
    {
        var watch = Stopwatch.StartNew();
        while (!over.IsCompleted)
        {
            Assert.True(watch.Elapsed < Frames.Patience, "it is never over");
            time.AdvanceMs(stepMs);
            await Task.WhenAny(over, Task.Delay(1)); // lets the tasks that the clock has woken go on
        }
    }
}
