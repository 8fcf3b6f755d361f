namespace Ottla.Kernel;

/// <summary>How busy some threads have been since they began.</summary>
/// <param name="ThreadCount">How many there are, or may be.</param>
/// <param name="BusyTime">How long they have worked, all together.</param>
public readonly record struct ThreadLoad(int ThreadCount, TimeSpan BusyTime);
