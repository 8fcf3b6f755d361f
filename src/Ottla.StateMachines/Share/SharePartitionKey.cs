using System.Globalization;
using Ottla.Kernel;

namespace Ottla.StateMachines.Share;

/// <summary>A partition as one share group has it: the group has a state of its own for each partition.</summary>
/// <param name="GroupId">The share group.</param>
/// <param name="TopicId">The topic; one that is created again has another id, and so another state.</param>
/// <param name="Partition">The partition's index.</param>
public readonly record struct SharePartitionKey(string GroupId, Uuid TopicId, int Partition)
{
    /// <summary>The key whose hash says which partition of <c>__share_group_state</c> has the state.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{GroupId}:{TopicId}:{Partition}");
}
