namespace Ottla.Simulator;

/// <summary>Something that runs from a seed alone: the same seed gives the same run on every machine.</summary>
public interface ISimulation
{
    /// <summary>What the command line calls it.</summary>
    string Name { get; }

    /// <summary>What it does to what, in a line.</summary>
    string Description { get; }

    /// <summary>Runs one seed to its end.</summary>
    /// <param name="seed">Everything random follows from it.</param>
    /// <param name="log">Where to tell what happens, for whoever looks at one seed; null for silence.</param>
    /// <exception cref="SimulationException">An invariant does not hold.</exception>
    void Run(ulong seed, TextWriter? log = null);
}

/// <summary>What a simulation found: an invariant that does not hold.</summary>
public sealed class SimulationException(string message, Exception? cause = null) : Exception(message, cause);
