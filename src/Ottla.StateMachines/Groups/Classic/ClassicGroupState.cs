namespace Ottla.StateMachines.Groups.Classic;

/// <summary>The states of a classic group. Descriptions show the names.</summary>
public enum ClassicGroupState
{
    /// <summary>There are no members, but perhaps offsets.</summary>
    Empty,

    /// <summary>Waits for members to join the next generation.</summary>
    PreparingRebalance,

    /// <summary>All members know the generation, and the group waits for the leader's assignment.</summary>
    CompletingRebalance,

    /// <summary>Every member can get its assignment.</summary>
    Stable,
}
