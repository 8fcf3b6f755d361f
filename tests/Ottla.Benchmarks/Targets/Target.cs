using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Measure;

namespace Ottla.Benchmarks.Targets;

/// <summary>Something that listens and is measured. Used by the thread that runs the scenarios.</summary>
internal class Target(string name, string host, int port, int processId, CountersFile? counters) : IDisposable
{
    /// <summary>What it is called in tables and stored results.</summary>
    public string Name { get; } = name;

    public string Host { get; } = host;

    public int Port { get; } = port;

    public int ProcessId { get; } = processId;

    public TargetAdmin Admin { get; } = new(host, port);

    /// <summary>The target's own report on its runtime; null when it makes none. Waits for the next one.</summary>
    public RuntimeSample? NextRuntimeSample() => counters?.NextSample();

    public void Dispose()
    {
        Dispose(isDisposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Ends what was started.</summary>
    protected virtual void Dispose(bool isDisposing)
    {
    }
}
