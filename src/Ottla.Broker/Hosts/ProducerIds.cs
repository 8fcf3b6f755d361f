using Ottla.Protocol;
using Ottla.StateMachines.Controller;

namespace Ottla.Broker.Hosts;

/// <summary>Hands out producer ids from blocks that the controller gave this broker (KIP-730). Used by all connections.</summary>
/// <param name="controller">Gives the blocks.</param>
/// <param name="nodeId">This broker.</param>
/// <param name="brokerEpoch">This broker's epoch at the moment.</param>
public sealed class ProducerIds(ControllerChannel controller, int nodeId, Func<long> brokerEpoch) : IDisposable
{
    private readonly SemaphoreSlim _refill = new(1, 1);
    private long _next;
    private long _end;

    /// <summary>An id that nobody was ever given.</summary>
    /// <exception cref="ApiException">The controller gives no more ids.</exception>
    public async ValueTask<long> NextAsync()
    {
        await _refill.WaitAsync();
        try
        {
            if (_next == _end)
            {
                var block = await controller.SubmitAsync(new AllocateProducerIdsCommand(nodeId, brokerEpoch()));
                (_next, _end) = (block.First, block.First + block.Count);
            }

            return _next++;
        }
        finally
        {
            _refill.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _refill.Dispose();
}
