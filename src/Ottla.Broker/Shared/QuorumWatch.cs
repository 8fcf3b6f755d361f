using Microsoft.Extensions.Logging;
using Ottla.Broker.Peers;

namespace Ottla.Broker.Shared;

/// <summary>
/// Says in the log for whom a node waits while no controller is active: no node waits in silence. Lives as long as the node.
/// </summary>
internal sealed partial class QuorumWatch(IControllerLocator locator, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>Looks every few seconds.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        using var timer = new PeriodicTimer(Interval, time);
        ControllerAddress? known = null;
        var isWaiting = false;
        while (await timer.WaitForNextTickAsync(stopping))
        {
            var current = locator.Current;
            if (current is null)
                LogWaiting(locator.Describe());
            else if (isWaiting || (known is not null && known != current))
                LogFound(current, current.Epoch);
            isWaiting = current is null;
            known = current ?? known;
        }
    }

    [LoggerMessage(
        Level = LogLevel.Warning,
            Message = "Waiting for an active controller: {Controllers}. A majority of the voters must run and reach each other")]
    private partial void LogWaiting(string controllers);

    [LoggerMessage(Level = LogLevel.Information, Message = "The active controller is {Controller}, epoch {Epoch}")]
    private partial void LogFound(ControllerAddress controller, int epoch);
}
