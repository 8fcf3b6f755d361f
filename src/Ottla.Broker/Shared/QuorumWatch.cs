using Microsoft.Extensions.Logging;
using Ottla.Broker.Peers;

namespace Ottla.Broker.Shared;

/// <summary>Logs which controllers a node waits for while none is active. Lives as long as the node.</summary>
internal sealed partial class QuorumWatch(IControllerLocator locator, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>Says every few seconds for whom is waited, and who came, if it took so long or is another one than before.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        ControllerAddress? known = null;
        while (true)
        {
            var hasWaited = false;
            ControllerAddress? current;
            while ((current = locator.Current) is null)
            {
                if (await HasChangedAsync(stopping))
                    continue;
                LogWaiting(locator.Describe());
                hasWaited = true;
            }

            if (hasWaited || (known is not null && known != current))
                LogFound(current, current.Epoch);
            known = current;
            await locator.WaitForChangeAsync(current, stopping);
        }
    }

    /// <summary>Waits for a controller, but not for long.</summary>
    private async Task<bool> HasChangedAsync(CancellationToken stopping)
    {
        using var patience = new CancellationTokenSource(Interval, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stopping);
        try
        {
            await locator.WaitForChangeAsync(null, either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            return false;
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
            Message = "Waiting for an active controller: {Controllers}. A majority of the voters must run and reach each other")]
    private partial void LogWaiting(string controllers);

    [LoggerMessage(Level = LogLevel.Information, Message = "The active controller is {Controller}, epoch {Epoch}")]
    private partial void LogFound(ControllerAddress controller, int epoch);
}
