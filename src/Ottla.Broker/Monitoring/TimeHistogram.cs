using System.Numerics;

namespace Ottla.Broker.Monitoring;

/// <summary>The times of a moment: quantiles of the last minutes, count and sum since the start.</summary>
/// <param name="Count">How many times were recorded since the start.</param>
/// <param name="SumMs">Their sum, in milliseconds.</param>
/// <param name="QuantilesMs">
/// The quantiles of <see cref="TimeHistogram.Quantiles"/>, in milliseconds; NaN when nothing was recorded lately.
/// </param>
public readonly record struct TimeSummary(long Count, double SumMs, IReadOnlyList<double> QuantilesMs);

/// <summary>Counts times in buckets whose width grows with the time: a quantile is off by 6 % at most.</summary>
/// <remarks>
/// Any thread records, without a lock and without garbage: one addition for the bucket and one for the sum. Threads have counters of their
/// own where many record at once. The memory is taken with the first time that is recorded.
/// </remarks>
/// <param name="cellCount">How many sets of counters there are; a power of two.</param>
public sealed class TimeHistogram(int cellCount = 1)
{
    /// <summary>Below this many microseconds each has a bucket of its own.</summary>
    private const int ExactBelow = 16;

    private const int ExactBits = 4;
    private const int BucketsPerOctave = 8;
    private const int OctaveBits = 3;

    /// <summary>Longer times (18 hours) are counted as that.</summary>
    private const int LastOctave = 35;
    private const int BucketCount = ExactBelow + ((LastOctave - ExactBits + 1) * BucketsPerOctave);

    /// <summary>The sum of the ticks is behind the buckets.</summary>
    private const int SumIndex = BucketCount;

    private readonly long[]?[] _cells = new long[]?[cellCount];

    /// <summary>The quantiles that are read, as Kafka reports them.</summary>
    public static IReadOnlyList<double> Quantiles { get; } = [0.5, 0.75, 0.95, 0.98, 0.99, 0.999];

    /// <summary>Records a time.</summary>
    public void Record(TimeSpan time)
    {
        var index = Environment.CurrentManagedThreadId & (_cells.Length - 1);
        var cell = _cells[index] ?? NewCell(index);
        Interlocked.Increment(ref cell[BucketOf(time.Ticks / TimeSpan.TicksPerMicrosecond)]);
        Interlocked.Add(ref cell[SumIndex], time.Ticks);
    }

    /// <summary>Adds what was recorded so far to the counters of a reader.</summary>
    public void AddTo(TimeCounts counts)
    {
        foreach (var cell in _cells)
        {
            if (cell is null)
                continue;
            for (var i = 0; i <= SumIndex; i++)
                counts.Values[i] += Interlocked.Read(ref cell[i]);
        }
    }

    private long[] NewCell(int index)
    {
        var cell = new long[SumIndex + 1];
        return Interlocked.CompareExchange(ref _cells[index], cell, null) ?? cell;
    }

    private static int BucketOf(long microseconds)
    {
        if (microseconds < ExactBelow)
            return (int)Math.Max(microseconds, 0);
        var octave = BitOperations.Log2((ulong)microseconds);
        if (octave > LastOctave)
            return BucketCount - 1;
        var step = (int)(microseconds >> (octave - OctaveBits)) & (BucketsPerOctave - 1);
        return ExactBelow + ((octave - ExactBits) * BucketsPerOctave) + step;
    }

    /// <summary>The middle of a bucket, in microseconds.</summary>
    private static double MiddleOf(int bucket)
    {
        if (bucket < ExactBelow)
            return bucket;
        var octave = ((bucket - ExactBelow) / BucketsPerOctave) + ExactBits;
        var step = (bucket - ExactBelow) % BucketsPerOctave;
        var width = 1L << (octave - OctaveBits);
        return ((BucketsPerOctave + step) * width) + (width / 2.0);
    }

    /// <summary>What histograms had counted at one moment.</summary>
    public sealed class TimeCounts
    {
        internal long[] Values { get; } = new long[SumIndex + 1];

        /// <summary>How many times there are.</summary>
        public long Count
        {
            get
            {
                var count = 0L;
                foreach (var each in Values.AsSpan(0, BucketCount))
                    count += each;
                return count;
            }
        }

        /// <summary>Their sum.</summary>
        public TimeSpan Sum => TimeSpan.FromTicks(Values[SumIndex]);

        /// <summary>Adds what others have counted.</summary>
        public void Add(TimeCounts other)
        {
            for (var i = 0; i < Values.Length; i++)
                Values[i] += other.Values[i];
        }

        /// <summary>Adds times of zero: of those who did not wait.</summary>
        public void AddZeros(long count) => Values[0] += count;

        /// <summary>A summary, with the quantiles of what came since <paramref name="before"/>.</summary>
        internal TimeSummary Since(TimeCounts before)
        {
            var recent = new long[BucketCount];
            var recentCount = 0L;
            for (var i = 0; i < BucketCount; i++)
                recentCount += recent[i] = Math.Max(Values[i] - before.Values[i], 0);
            var quantiles = new double[Quantiles.Count];
            for (var i = 0; i < quantiles.Length; i++)
                quantiles[i] = QuantileOf(recent, recentCount, Quantiles[i]);
            return new TimeSummary(Count, Sum.TotalMilliseconds, quantiles);
        }

        private static double QuantileOf(long[] buckets, long count, double quantile)
        {
            if (count == 0)
                return double.NaN;
            var rank = (long)Math.Ceiling(quantile * count);
            var below = 0L;
            for (var i = 0; i < buckets.Length; i++)
            {
                below += buckets[i];
                if (below >= rank)
                    return MiddleOf(i) / 1000;
            }

            return MiddleOf(buckets.Length - 1) / 1000;
        }
    }
}

/// <summary>
/// Makes summaries of what a histogram counts. Its quantiles are of the time since an earlier reading: the newest one that is at least
/// <see cref="WindowMin"/> old.
/// </summary>
/// <param name="time">The clock.</param>
public sealed class TimeWindow(TimeProvider time)
{
    private TimeHistogram.TimeCounts _base = new();
    private TimeHistogram.TimeCounts? _next;
    private long _nextAt;

    /// <summary>The least time that quantiles are of, once the node is as old.</summary>
    public static TimeSpan WindowMin { get; } = TimeSpan.FromMinutes(1);

    /// <summary>Reads a summary. One call at a time.</summary>
    public TimeSummary Read(TimeHistogram.TimeCounts counts)
    {
        if (_next is null)
            (_next, _nextAt) = (counts, time.GetTimestamp());
        else if (time.GetElapsedTime(_nextAt) >= WindowMin)
            (_base, _next, _nextAt) = (_next, counts, time.GetTimestamp());
        return counts.Since(_base);
    }
}
