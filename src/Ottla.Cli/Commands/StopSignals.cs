using System.Runtime.InteropServices;

namespace Ottla.Cli.Commands;

/// <summary>Completes a task and cancels a token when SIGTERM, SIGINT or SIGHUP arrives. Lives as long as the command's work.</summary>
internal sealed class StopSignals : IDisposable
{
    private readonly TaskCompletionSource _requested = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _cancellation = new();
    private readonly PosixSignalRegistration[] _registrations;

    public StopSignals() =>
        _registrations =
        [
            .. ((PosixSignal[])[PosixSignal.SIGTERM, PosixSignal.SIGINT, PosixSignal.SIGHUP]).Select(
                signal => PosixSignalRegistration.Create(signal, OnSignal)),
        ];

    public Task Requested => _requested.Task;

    /// <summary>The exit code of a process that a signal ended, as shells see it: 143 for SIGTERM; null while there was none.</summary>
    public int? ExitCode { get; private set; }

    /// <summary>Cancelled at the first signal.</summary>
    public CancellationToken Token => _cancellation.Token;

    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        _cancellation.Dispose();
    }

    private void OnSignal(PosixSignalContext context)
    {
        const int shellBase = 128;
        ExitCode ??= shellBase + context.Signal switch
        {
            PosixSignal.SIGHUP => 1,
            PosixSignal.SIGINT => 2,
            _ => 15,
        };
        context.Cancel = true; // The command ends in order first, then the process by itself.
        _requested.TrySetResult();
        _cancellation.Cancel();
    }
}
