namespace Ottla.Simulator.Worlds;

/// <summary>
/// Decides which sudden deaths of nodes a cluster must survive: what is stored nowhere else must not go. One for all nodes of a world.
/// </summary>
internal interface IDeathGate
{
    /// <summary>Whether the node's process may be killed now. Called between two steps, or in the middle of a file operation.</summary>
    bool MayDie(SimNode node);

    /// <summary>Whether its host may lose power now, and with it what is not flushed; asked only when it may die.</summary>
    bool MayLosePower(SimNode node);

    /// <summary>It dies now.</summary>
    void OnDeath(SimNode node, bool losesPower);

    /// <summary>It has stopped in order, and is about to be gone.</summary>
    void OnEnd(SimNode node);
}
