using System.Threading.Tasks.Sources;
using Ottla.Protocol;
using Ottla.StateMachines.Coordinators;

namespace Ottla.Broker.Hosts.Coordinators;

/// <summary>
/// A request to a coordinator, and the task that awaits its answer. The coordinator's loop answers once; one task awaits it.
/// </summary>
/// <param name="wakesInline">Whether that task goes on within the loop, instead of on another thread.</param>
internal sealed class ReplyWaiter<TReply>(bool wakesInline) : ReplyReceiver<TReply>, IValueTaskSource<TReply>
{
    private ManualResetValueTaskSourceCore<TReply> _answer = new() { RunContinuationsAsynchronously = !wakesInline };
    private bool _isAnswered;

    /// <summary>Completes with the reply.</summary>
    /// <exception cref="ApiException">The request fails.</exception>
    public ValueTask<TReply> Reply => new(this, _answer.Version);

    public override void Receive(TReply reply)
    {
        if (_isAnswered)
            return;
        _isAnswered = true;
        _answer.SetResult(reply);
    }

    public override void Fail(ApiError error)
    {
        if (_isAnswered)
            return;
        _isAnswered = true;
        _answer.SetException(new ApiException(error.Code, error.Message));
    }

    TReply IValueTaskSource<TReply>.GetResult(short token) => _answer.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<TReply>.GetStatus(short token) => _answer.GetStatus(token);

    void IValueTaskSource<TReply>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _answer.OnCompleted(continuation, state, token, flags);
}
