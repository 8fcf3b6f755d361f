using System.Globalization;

namespace Ottla.Benchmarks.Churn;

/// <summary>What a process held at some moment of the churn.</summary>
/// <param name="ResidentBytes">Resident memory.</param>
/// <param name="OpenFiles">Descriptors.</param>
internal readonly record struct ChurnSample(long ResidentBytes, int OpenFiles);

/// <summary>
/// Whether memory and descriptors stay level: what the last third of the samples has is compared with the third before it. The first third
/// warms up.
/// </summary>
internal sealed class ChurnLevels
{
    /// <summary>Below this many samples nothing can be said.</summary>
    public const int SamplesMin = 9;

    private const double GrowthMax = 1.15;
    private const long SlackBytes = 16 * 1024 * 1024;
    private const int SlackFiles = 64;

    private readonly List<ChurnSample> _samples = [];

    public int Count => _samples.Count;

    public void Add(ChurnSample sample) => _samples.Add(sample);

    /// <summary>What has grown; empty when everything is level.</summary>
    public IReadOnlyList<string> Findings()
    {
        if (_samples.Count < SamplesMin)
            return [];
        var findings = new List<string>();
        Compare("resident memory", Medians(sample => sample.ResidentBytes), SlackBytes,
            bytes => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0} MB"));
        Compare("open files", Medians(sample => sample.OpenFiles), SlackFiles,
            files => string.Create(CultureInfo.InvariantCulture, $"{files:0}"));
        return findings;

        void Compare(string name, (double Before, double After) medians, double slack, Func<double, string> show)
        {
            if (medians.After > medians.Before * GrowthMax + slack)
                findings.Add($"{name} grew from {show(medians.Before)} to {show(medians.After)}");
        }
    }

    /// <summary>The medians of the thirds, for people.</summary>
    public string Describe()
    {
        var bytes = Medians(sample => sample.ResidentBytes);
        var files = Medians(sample => sample.OpenFiles);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"resident memory {bytes.Before / 1e6:0} MB, then {bytes.After / 1e6:0} MB; open files {files.Before:0}, then "
                + $"{files.After:0}; at most {_samples.Max(sample => sample.ResidentBytes) / 1e6:0} MB and "
                    + $"{_samples.Max(sample => sample.OpenFiles)} files");
    }

    private (double Before, double After) Medians(Func<ChurnSample, double> value)
    {
        var third = _samples.Count / 3;
        return (Median(_samples.GetRange(_samples.Count - 2 * third, third)), Median(_samples.GetRange(_samples.Count - third, third)));

        double Median(List<ChurnSample> samples)
        {
            var sorted = samples.Select(value).Order().ToArray();
            return sorted[sorted.Length / 2];
        }
    }
}
