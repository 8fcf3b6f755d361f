using System.Globalization;

namespace Ottla.Cli.KafkaTools.Perf;

/// <summary>Counts records and how long they took, and prints that as kafka-producer-perf-test does. Guarded by its own lock.</summary>
/// <param name="output">Where reports go.</param>
/// <param name="reportInterval">The time between reports.</param>
/// <param name="isSteadyState">Whether only records after the first ones are counted; the totals say so.</param>
internal sealed class LatencyStats(TextWriter output, TimeSpan reportInterval, bool isSteadyState)
{
    private const double BytesPerMegabyte = 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly TimeProvider _time = TimeProvider.System;
    private readonly long _startedAt = TimeProvider.System.GetTimestamp();
    private readonly List<int> _latencies = [];

    // Guarded by _lock.
    private Window _total;
    private Window _window;
    private long _windowStartedAt = TimeProvider.System.GetTimestamp();

    /// <summary>Takes note of a record that is written.</summary>
    /// <param name="latency">How long it took.</param>
    /// <param name="bytes">Its size.</param>
    public void Add(TimeSpan latency, int bytes)
    {
        lock (_lock)
        {
            var milliseconds = (int)latency.TotalMilliseconds;
            _latencies.Add(milliseconds);
            _total.Add(milliseconds, bytes);
            _window.Add(milliseconds, bytes);
            if (isSteadyState || _time.GetElapsedTime(_windowStartedAt) < reportInterval)
                return;
            Print(_window, _time.GetElapsedTime(_windowStartedAt));
            _window = default;
            _windowStartedAt = _time.GetTimestamp();
        }
    }

    /// <summary>Prints the totals.</summary>
    public void PrintTotal()
    {
        lock (_lock)
        {
            var seconds = _time.GetElapsedTime(_startedAt).TotalSeconds;
            _latencies.Sort();
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{_total.Count}{(isSteadyState ? " steady state" : "")} records sent, {_total.Count / seconds:F6} records/sec "
                    + $"({_total.Bytes / seconds / BytesPerMegabyte:F2} MB/sec), {_total.Average:F2} ms avg latency, "
                        + $"{(double)_total.Most:F2} ms max latency, {At(0.5)} ms 50th, {At(0.95)} ms 95th, {At(0.99)} ms 99th, "
                    + $"{At(0.999)} ms 99.9th."));
        }
    }

    private int At(double part) => _latencies.Count == 0 ? 0 : _latencies[(int)(part * _latencies.Count)];

    private void Print(Window window, TimeSpan elapsed)
    {
        var seconds = elapsed.TotalSeconds;
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{window.Count} records sent, {window.Count / seconds:F1} records/sec ({window.Bytes / seconds / BytesPerMegabyte:F2} "
                + $"MB/sec), {window.Average:F1} ms avg latency, {(double)window.Most:F1} ms max latency."));
        output.Flush();
    }

    private struct Window
    {
        private long _sum;

        public long Count { get; private set; }

        public long Bytes { get; private set; }

        public int Most { get; private set; }

        public readonly double Average => Count == 0 ? 0 : (double)_sum / Count;

        public void Add(int milliseconds, int bytes)
        {
            Count++;
            Bytes += bytes;
            _sum += milliseconds;
            Most = Math.Max(Most, milliseconds);
        }
    }
}
