namespace Ottla.Simulator.Disk;

/// <summary>
/// The machine (or the process) died: nothing that it still tries to do with its disk happens. No I/O error, so that nobody handles it as
/// one.
/// </summary>
public sealed class PowerLossException() : Exception("The machine is dead.");
