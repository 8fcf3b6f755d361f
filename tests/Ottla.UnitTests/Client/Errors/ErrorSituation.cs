using Ottla.Client;
using Ottla.Protocol.Messages;
using Ottla.Protocol;
using Ottla.Simulator.Faults;
using Ottla.Testing;

namespace Ottla.UnitTests.Client.Errors;

/// <summary>A situation in which a request is answered with an error, and what the program does that meets it.</summary>
/// <param name="Group">What the recording of the Java client calls its kind.</param>
/// <param name="Case">What the recording calls it.</param>
/// <param name="Api">The API.</param>
/// <param name="Level">Which error codes are set.</param>
/// <param name="IsAfter">Whether a broker carries the request out.</param>
/// <param name="RunAsync">The program. It says how it ended, in the words of the recording.</param>
internal sealed record ErrorSituation(
    string Group, string Case, ApiKey Api, ErrorLevel Level, bool IsAfter, Func<ErrorProbe, Task<string>> RunAsync)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Group}: {Case}";
}

/// <summary>One run of a situation with one error.</summary>
/// <param name="run">The client.</param>
/// <param name="situation">The situation.</param>
/// <param name="error">The error.</param>
internal sealed class ErrorProbe(ClientRun run, ErrorSituation situation, ErrorCode error)
{
    private SeenRequest? _refused;
    private bool _isArmed;
    private int _skipped;

    public OttlaClient Client => run.Client;

    public int Number => run.Number;

    public ErrorCode Error => error;

    public TimeProvider Clock => run.Process.Clock;

    public Task DelayAsync(int milliseconds) => run.Process.Delay(TimeSpan.FromMilliseconds(milliseconds));

    /// <summary>Another client of the same cluster, whose requests nobody refuses.</summary>
    public OttlaClient NewClient() => new(run.Client.Options with { Transport = run.Process.Transport });

    /// <summary>From now on, the first request of the API is answered with the error.</summary>
    /// <param name="skipped">How many of them come before it, and are answered as they should be.</param>
    public void Arm(int skipped = 0)
    {
        (_isArmed, _skipped) = (true, skipped);
        run.Faults.Decide = Decide;
    }

    /// <summary>Whether the request was sent that is answered with the error.</summary>
    public bool WasRefused => _refused is not null;

    /// <summary>Requests of the API that were sent after the one that was answered with the error.</summary>
    public int Repeats => _refused is null ? 0
        : run.Faults.Seen.Count(request => request.Key == situation.Api && request.Number > _refused.Number);

    /// <summary>For a call that has succeeded.</summary>
    public string RetriesOrEnds() => Repeats > 0 ? "retries" : "ends";

    private RequestFault? Decide(SeenRequest request)
    {
        if (!_isArmed || _refused is not null || request.Key != situation.Api || _skipped-- > 0)
            return null;
        _refused = request;
        return situation.IsAfter
            ? new RequestFault.RefuseAfter(error, situation.Level)
            : new RequestFault.Refuse(error, situation.Level);
    }
}
