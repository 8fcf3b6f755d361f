namespace Ottla.StateMachines.Groups.Classic;

/// <summary>The states of a classic group. Their names are what descriptions show.</summary>
public enum ClassicGroupState
{
    /// <summary>No members; perhaps offsets.</summary>
    Empty,

    /// <summary>Waits until its members have joined the next generation.</summary>
    PreparingRebalance,

    /// <summary>All know the generation; waits for the leader's assignment.</summary>
    CompletingRebalance,

    /// <summary>All can have their assignment.</summary>
    Stable,
}
