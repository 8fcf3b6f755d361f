namespace Ottla.UnitTests;

/// <summary>Waits of tests for what other threads bring about.</summary>
internal static class Waiting
{
    /// <summary>Bounds every wait: reached only when something hangs.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>Waits until a condition holds.</summary>
    public static Task UntilAsync(Func<bool> condition) => UntilAsync(() => Task.FromResult(condition()));

    /// <summary>Asks again until a condition holds.</summary>
    public static async Task UntilAsync(Func<Task<bool>> condition)
    {
        using var timeout = new CancellationTokenSource(Patience);
        while (!await condition())
        {
            timeout.Token.ThrowIfCancellationRequested();
            await Task.Delay(1, CancellationToken.None); // the others need the processor
        }
    }
}
