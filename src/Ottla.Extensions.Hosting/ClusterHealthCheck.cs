using Microsoft.Extensions.Diagnostics.HealthChecks;
using Ottla.Client;

namespace Ottla.Extensions.Hosting;

/// <summary>Whether a node of the cluster answers, and how many there are. It takes no longer than the check's time-out.</summary>
/// <param name="client">The client.</param>
internal sealed class ClusterHealthCheck(OttlaClient client) : IHealthCheck
{
    /// <inheritdoc/>
    public async Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default)
    {
        try
        {
            await using var admin = client.CreateAdmin();
            var cluster = await admin.DescribeClusterAsync(cancellation: cancellationToken);
            return HealthCheckResult.Healthy($"{cluster.Brokers.Count} nodes of cluster {cluster.ClusterId} are known.");
        }
        catch (KafkaException e)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, e.Message, e);
        }
        catch (OperationCanceledException e)
        {
            return new HealthCheckResult(context.Registration.FailureStatus, "The cluster did not answer in time.", e);
        }
    }
}
