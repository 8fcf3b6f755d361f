using Microsoft.Extensions.Hosting;

namespace Ottla.Extensions.Hosting;

/// <summary>Makes a service when the host starts, so that a wrong option ends the start and not a request.</summary>
/// <param name="make">Makes it.</param>
internal sealed class MadeAtStart(Func<object> make) : IHostedService
{
    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        make();
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
