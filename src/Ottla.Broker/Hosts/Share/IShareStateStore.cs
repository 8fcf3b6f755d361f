using Ottla.Protocol;
using Ottla.StateMachines.Share;
using Ottla.StateMachines.Share.Coordinator;

namespace Ottla.Broker.Hosts.Share;

/// <summary>
/// Where the state of share partitions is kept: the share coordinators of the cluster, on this node or another (KIP-932's persister).
/// </summary>
/// <remarks>Errors are those of the share coordinator, once trying again has not helped.</remarks>
public interface IShareStateStore
{
    /// <summary>Begins with a partition (InitializeShareGroupState).</summary>
    /// <exception cref="ApiException">It was not initialised.</exception>
    Task InitializeAsync(InitializeShareStateCommand command);

    /// <summary>Takes a partition over (ReadShareGroupState).</summary>
    /// <exception cref="ApiException">The state cannot be read; INVALID_REQUEST: there is none.</exception>
    Task<ShareState> ReadAsync(ReadShareStateCommand command);

    /// <summary>Writes changes (WriteShareGroupState).</summary>
    /// <exception cref="ApiException">
    /// They are not written; FENCED_LEADER_EPOCH, FENCED_STATE_EPOCH: nor will others of this writer be.
    /// </exception>
    Task WriteAsync(WriteShareStateCommand command);

    /// <summary>Deletes the state of a partition (DeleteShareGroupState); nothing to delete is no error.</summary>
    /// <exception cref="ApiException">It was not deleted.</exception>
    Task DeleteAsync(DeleteShareStateCommand command);

    /// <summary>Reads offsets and counts (ReadShareGroupStateSummary).</summary>
    /// <exception cref="ApiException">They cannot be read.</exception>
    Task<ShareState> ReadSummaryAsync(ReadShareStateSummaryCommand command);
}
