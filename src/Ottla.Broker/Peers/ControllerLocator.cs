using Ottla.Broker.Hosts;
using Ottla.Kernel;
using Ottla.Requests;
using Ottla.StateMachines.Raft;

namespace Ottla.Broker.Peers;

/// <summary>Finds the active controller by the leader of the metadata quorum. Lives as long as the node; thread-safe.</summary>
/// <param name="nodeId">This node.</param>
/// <param name="raft">The metadata quorum.</param>
/// <param name="listener">The first of <c>controller.listener.names</c>: the one that nodes reach controllers on.</param>
/// <param name="local">
/// The controller of this node, which is no active one before it has taken the leadership over; null on a broker.
/// </param>
/// <param name="localEndpoints">Where that listens.</param>
internal sealed class ControllerLocator(
    int nodeId, RaftHost raft, string listener, ControllerHost? local, IReadOnlyList<RaftEndpoint> localEndpoints) : IControllerLocator
{
    /// <inheritdoc/>
    public ControllerAddress? Current => AddressOf(raft.KnownLeader);

    /// <inheritdoc/>
    public async Task WaitForChangeAsync(ControllerAddress? seen, CancellationToken cancellation)
    {
        while (true)
        {
            cancellation.ThrowIfCancellationRequested(); // FirstOf below is over at once when the wait for a change was cancelled
            var leader = raft.KnownLeader;
            var current = AddressOf(leader);
            if (current != seen)
                return;
            using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            try
            {
                var changed = raft.Completion.IsCompleted ? Never : raft.WaitForOtherLeaderAsync(leader, over.Token);
                if (leader.LeaderId == nodeId && current is null && local is not null)
                    await TaskWaiting.FirstOf(changed, local.WhenActive).UntilCanceled(cancellation);
                else
                    await changed.UntilCanceled(cancellation);
            }
            finally
            {
                over.Cancel();
            }
        }
    }

    /// <inheritdoc/>
    public string Describe()
    {
        if (Current is { } current)
            return $"the active controller is {current}";
        var quorum = raft.Quorum;
        var leader = raft.KnownLeader;
        if (leader.LeaderId >= 0)
            return leader.LeaderId == nodeId ? "this node is about to become the active controller"
            : $"the active controller is node {leader.LeaderId}, whose address is not known";
        return quorum.VoterSet.Voters.Count == 0
            ? "no controller is active, and the voters are not known yet"
            : $"no controller is active; the voters are {string.Join(", ", quorum.VoterSet.Voters.Select(Describe))}";
    }

    private static Task Never { get; } = new TaskCompletionSource().Task;

    private string Describe(Voter voter) =>
        voter.Endpoints.FirstOrDefault(endpoint => endpoint.Name == listener) is { } endpoint
            ? $"{voter.Key.Id}@{endpoint.Host}:{endpoint.Port}"
            : $"{voter.Key.Id}";

    private ControllerAddress? AddressOf(QuorumLeader leader)
    {
        if (leader.LeaderId < 0 || (leader.LeaderId == nodeId && local?.IsActive != true))
            return null;
        var endpoints = leader.LeaderId == nodeId ? localEndpoints : leader.Endpoints;
        return endpoints.FirstOrDefault(endpoint => endpoint.Name == listener) is { } endpoint
            ? new ControllerAddress(new NodeAddress(leader.LeaderId, endpoint.Host, endpoint.Port), leader.Epoch)
            : null;
    }
}
