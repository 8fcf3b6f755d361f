using Ottla.Kernel;

namespace Ottla.Simulator.Quorum;

/// <summary>A quorum of pure Raft machines under faults, with its voters changing; then quiet, in which it has to go on.</summary>
/// <remarks>
/// What must never happen is checked after every step (<see cref="QuorumInvariants"/>). When the faults end, a random minority stays dead
/// for ever, and the rest must agree on a leader, commit, and all catch up.
/// </remarks>
public sealed class QuorumSimulation : ISimulation
{
    private const int FaultyMs = 60_000;
    private const int SettleMs = 20_000;
    private const int ProgressMs = 10_000;
    private const int SuccessionMs = 500;

    /// <inheritdoc/>
    public string Name => "quorum";

    /// <inheritdoc/>
    public string Description => "controllers elect, replicate, change their voters and lose power, cuts and disks; brokers follow";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null) => Measure(seed, log);

    /// <summary>Runs one seed, and says what happened in it.</summary>
    /// <exception cref="SimulationException">An invariant does not hold.</exception>
    public static QuorumRun Measure(ulong seed, TextWriter? log = null)
    {
        var world = new QuorumWorld(seed, log);
        try
        {
            world.Start();
            world.RunFaulty(FaultyMs);
            world.Heal(SettleMs);
            world.DemandProgress(ProgressMs);
            world.DemandSuccession(SuccessionMs);
            return world.Result;
        }
        catch (Exception e) when (
            e is InvariantViolationException or InvalidOperationException or KeyNotFoundException or ArgumentException)
        {
            throw new SimulationException($"at {world.NowMs} ms, {world.Conditions}: {e.Message}", e);
        }
    }
}

/// <summary>What a run did: a run in which little happened proves little.</summary>
/// <param name="Committed">Batches that were committed.</param>
/// <param name="Leaders">Epochs that had a leader.</param>
/// <param name="Snapshots">Snapshots that were fetched.</param>
/// <param name="VoterChanges">Changes of the voters that were committed.</param>
/// <param name="Truncations">Logs that were cut.</param>
public readonly record struct QuorumRun(int Committed, int Leaders, int Snapshots, int VoterChanges, int Truncations);
