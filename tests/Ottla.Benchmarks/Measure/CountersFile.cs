namespace Ottla.Benchmarks.Measure;

/// <summary>
/// A target's counters file, read by the thread that runs the scenarios. A target that never writes one is asked once and then left alone.
/// </summary>
internal sealed class CountersFile(string path)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4); // it is rewritten every second
    private const int PollMs = 10;

    private bool _isSilent;

    /// <summary>Waits for a report that was written after this call; null when the target writes none.</summary>
    public RuntimeSample? NextSample()
    {
        if (_isSilent)
            return null;
        var asked = DateTime.UtcNow;
        while (DateTime.UtcNow - asked < Patience)
        {
            if (File.GetLastWriteTimeUtc(path) > asked)
                return RuntimeSample.Parse(File.ReadAllText(path));
            Thread.Sleep(PollMs);
        }

        _isSilent = true;
        return null;
    }
}
