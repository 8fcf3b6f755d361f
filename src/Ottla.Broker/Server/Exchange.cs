using System.Runtime.CompilerServices;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>A request that is being answered. The connection uses the object again for later requests of the same API.</summary>
/// <remarks>One request at a time has it: from <see cref="Exchanges.Rent"/> until its response is encoded.</remarks>
internal abstract class Exchange
{
    /// <summary>The request's context.</summary>
    public RequestContext Context;

    /// <summary>The place of its response.</summary>
    public ResponseSlot Slot { get; set; } = null!;

    /// <summary>When the handler began to wait, as a timestamp of <see cref="ResponseQueue.Now"/>; 0 when it did not wait.</summary>
    public long WaitsSince { get; protected set; }

    /// <summary>Forgets the request.</summary>
    public virtual void Reset()
    {
        Context = default;
        Slot = null!;
        WaitsSince = 0;
    }
}

/// <inheritdoc cref="Exchange"/>
internal class Exchange<TRequest, TResponse> : Exchange
    where TRequest : IRequestMessage<TRequest>, IFailableRequest<TResponse>
    where TResponse : class, IResponseMessage<TResponse>
{
    private ApiEntry<TRequest, TResponse>? _entry;
    private ValueTaskAwaiter<TResponse?> _response;
    private Action? _finish;
    private bool _wakesInline;

    /// <summary>The body of the request.</summary>
    public TRequest Request { get; set; } = default!;

    /// <summary>Has the entry finish the request when its response is there.</summary>
    /// <param name="entry">The API.</param>
    /// <param name="response">The response.</param>
    /// <param name="wakesInline">Whether the connection may go on in the stack of the thread that brings the response.</param>
    public void Await(ApiEntry<TRequest, TResponse> entry, ValueTask<TResponse?> response, bool wakesInline)
    {
        _entry = entry;
        _response = response.GetAwaiter();
        _wakesInline = wakesInline;
        if (_response.IsCompleted)
        {
            Finish();
            return;
        }

        WaitsSince = Slot.Queue.Now;
        _response.UnsafeOnCompleted(_finish ??= Finish);
    }

    public override void Reset()
    {
        base.Reset();
        Request = default!;
    }

    private void Finish()
    {
        // Before the answer is complete: then the next request may use this object.
        var (entry, response, wakesInline) = (_entry!, _response, _wakesInline);
        (_entry, _response) = (null, default);
        entry.FinishLate(this, response, wakesInline);
    }
}

/// <summary>An exchange of the hot path, whose messages are used again too.</summary>
internal sealed class ReusedExchange<TRequest, TResponse> : Exchange<TRequest, TResponse>
    where TRequest : class, IRequestMessage<TRequest>, IFailableRequest<TResponse>, IReusableMessage, new()
    where TResponse : class, IResponseMessage<TResponse>, IReusableMessage, new()
{
    public ReusedExchange() => Request = new TRequest();

    /// <summary>The response to fill.</summary>
    public TResponse Response { get; } = new();

    public override void Reset()
    {
        var request = Request;
        base.Reset();
        Request = request;
        request.Reset();
        Response.Reset();
    }
}

/// <summary>
/// The exchanges of one connection that wait for their next use. Lives as long as its connection; handlers give back from any thread.
/// </summary>
internal sealed class Exchanges
{
    /// <summary>How many exchanges a connection keeps besides the last one. Only bursts need more.</summary>
    private const int IdleMax = 7;

    private readonly Lock _lock = new();
    private readonly List<Exchange> _idle = [];
    private Exchange? _last;

    /// <summary>An exchange without a request.</summary>
    public TExchange Rent<TExchange>()
        where TExchange : Exchange, new()
    {
        // Mostly a client sends requests of one API, one after the other.
        var last = Interlocked.Exchange(ref _last, null);
        if (last is TExchange same)
            return same;
        if (last is not null)
            Keep(last);
        return TakeIdle<TExchange>() ?? new TExchange();
    }

    /// <summary>Takes back an exchange whose response is encoded.</summary>
    public void Return(Exchange exchange)
    {
        exchange.Reset();
        if (Interlocked.Exchange(ref _last, exchange) is { } other)
            Keep(other);
    }

    private TExchange? TakeIdle<TExchange>()
        where TExchange : Exchange
    {
        lock (_lock)
        {
            for (var i = _idle.Count - 1; i >= 0; i--)
            {
                if (_idle[i] is not TExchange idle)
                    continue;
                _idle.RemoveAt(i);
                return idle;
            }
        }

        return null;
    }

    private void Keep(Exchange exchange)
    {
        lock (_lock)
        {
            if (_idle.Count < IdleMax)
                _idle.Add(exchange);
        }
    }
}
