using Microsoft.Extensions.Logging;
using Ottla.Broker.Peers;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>Keeps a controller registered with the active one (KIP-919): who it is, where it listens, which features it has.</summary>
/// <remarks>
/// One loop, as long as the node lives: it registers whenever the metadata lacks a registration of this process and its level has them. An
/// attempt that fails in any way, also by time-out, is followed by another.
/// </remarks>
internal sealed partial class ControllerRegistrar(
    ControllerRegistrationRequest registration, ControllerChannel channel, MetadataCache metadata, NodePlatform platform, ILogger logger)
{
    private static readonly TimeSpan BackoffMin = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan BackoffMax = TimeSpan.FromSeconds(120);

    /// <summary>
    /// How long a registration that the controller took note of may take to come back in the metadata, before another one is made: it may
    /// have been undone in between.
    /// </summary>
    private static readonly TimeSpan ReturnPatience = TimeSpan.FromSeconds(5);

    /// <summary>The random part of the waits, by which controllers that failed together do not ask again together.</summary>
    private const double BackoffJitter = 0.02;

    /// <summary>Registers and looks after the registration.</summary>
    public async Task RunAsync(CancellationToken stopping)
    {
        var signal = new LoopSignal(platform.Time);
        using var subscription = metadata.Subscribe(_ => signal.Set());
        var backoff = new ExponentialBackoff(BackoffMin, BackoffMax, BackoffJitter, new Prng(~platform.Seed));
        var failures = 0;
        while (true)
        {
            if (!IsMissing(metadata.Current))
            {
                await signal.WaitAsync(null, stopping);
                continue;
            }

            if (await TryRegisterAsync(stopping))
            {
                failures = 0;
                await WaitForReturnAsync(stopping); // what the metadata says now, it may have said before the registration
            }
            else
            {
                await Task.Delay(backoff.DelayAfter(++failures), platform.Time, stopping);
            }
        }
    }

    private async Task WaitForReturnAsync(CancellationToken stopping)
    {
        using var patience = new CancellationTokenSource(ReturnPatience, platform.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, stopping);
        try
        {
            await metadata.WhenAsync(image => !IsMissing(image), either.Token);
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            // It is missing still: it is made again.
        }
    }

    private bool IsMissing(MetadataImage image) =>
        image.Features.MetadataVersion is { SupportsControllerRegistration: true }
        && image.Cluster.Controllers.GetValueOrDefault(registration.ControllerId)?.IncarnationId != registration.IncarnationId;

    private async Task<bool> TryRegisterAsync(CancellationToken stopping)
    {
        try
        {
            var answer = await channel.SendAsync<ControllerRegistrationRequest, ControllerRegistrationResponse>(registration, stopping);
            if (answer.ErrorCode == (short)ErrorCode.None)
            {
                LogRegistered(registration.ControllerId);
                return true;
            }

            LogFailed($"{(ErrorCode)answer.ErrorCode}: {answer.ErrorMessage}");
        }
        catch (RequestFailedException e)
        {
            LogFailed(e.Message);
        }

        return false;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "Controller {Id} is registered")]
    private partial void LogRegistered(int id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The active controller has not registered this one, which asks again: {Reason}")]
    private partial void LogFailed(string reason);
}
