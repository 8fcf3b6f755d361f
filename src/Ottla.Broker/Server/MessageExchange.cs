using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>A request and its response, which the connection reuses for later requests of the same API.</summary>
internal abstract class MessageExchange
{
    /// <summary>What waits for the response, once one had to be waited for.</summary>
    public object? LateAnswer { get; set; }

    /// <summary>Makes both messages as new.</summary>
    public abstract void Reset();
}

/// <inheritdoc cref="MessageExchange"/>
internal sealed class MessageExchange<TRequest, TResponse> : MessageExchange
    where TRequest : IReusableMessage, new()
    where TResponse : IReusableMessage, new()
{
    public TRequest Request { get; } = new();

    public TResponse Response { get; } = new();

    public override void Reset()
    {
        Request.Reset();
        Response.Reset();
    }
}

/// <summary>
/// The exchanges of one connection that wait for their next use. Lives as long as its connection; handlers give back from any thread.
/// </summary>
internal sealed class MessageExchanges
{
    /// <summary>How many exchanges a connection keeps. Only bursts need more.</summary>
    private const int IdleMax = 8;

    private readonly Lock _lock = new();
    private readonly List<MessageExchange> _idle = [];

    /// <summary>An exchange with empty messages.</summary>
    public TExchange Rent<TExchange>()
        where TExchange : MessageExchange, new()
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

        return new TExchange();
    }

    /// <summary>Takes back an exchange whose response is encoded.</summary>
    public void Return(MessageExchange exchange)
    {
        exchange.Reset();
        lock (_lock)
        {
            if (_idle.Count < IdleMax)
                _idle.Add(exchange);
        }
    }
}
