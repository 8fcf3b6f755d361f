using System.Numerics;
using System.Runtime.InteropServices;
using Ottla.Broker.Monitoring;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Broker.Server;

/// <summary>The sums of the requests of one API since the start.</summary>
/// <param name="RequestCount">The requests that were answered, or needed no answer.</param>
/// <param name="TotalTime">The sum of the times from a request's arrival to its encoded response.</param>
/// <param name="Errors">
/// How often each error code occurred in responses, NONE included. A response counts once for each of its parts that has an error code.
/// </param>
public sealed record ApiUsage(long RequestCount, TimeSpan TotalTime, IReadOnlyDictionary<ErrorCode, long> Errors);

/// <summary>Counts the requests of one API. Any thread counts, without a lock and without garbage; lives as long as its entry.</summary>
public sealed class ApiMetrics
{
    /// <summary>With more threads than this, some share their counters.</summary>
    private const uint CellsMax = 16;

    private readonly Cell[] _cells;
    private readonly ErrorCounts _failures = new();

    /// <summary>Requests that were answered without a wait. They worked all the time.</summary>
    private readonly TimeHistogram _atOnce;
    private readonly TimeHistogram _waitedTotal;
    private readonly TimeHistogram _waitedWork;
    private readonly TimeHistogram _waits;

    /// <summary>Requests whose client was held back, and those whose answers were sent.</summary>
    private readonly TimeHistogram _throttles;
    private readonly TimeHistogram _sends;

    /// <param name="isHot">Whether many threads count at once, so that each gets counters of its own.</param>
    public ApiMetrics(bool isHot)
    {
        var cellCount = isHot ? (int)Math.Min(CellsMax, BitOperations.RoundUpToPowerOf2((uint)Environment.ProcessorCount)) : 1;
        _cells = new Cell[cellCount];
        (_atOnce, _waitedTotal, _waitedWork, _waits) = (new(cellCount), new(cellCount), new(cellCount), new(cellCount));
        (_throttles, _sends) = (new(), new(cellCount));
    }

    /// <summary>Reads the sums. A request that ends meanwhile may be in some of them only.</summary>
    public ApiUsage Read()
    {
        var total = new TimeHistogram.TimeCounts();
        _atOnce.AddTo(total);
        _waitedTotal.AddTo(total);
        return new ApiUsage(total.Count, total.Sum, ReadErrors());
    }

    /// <inheritdoc cref="ApiUsage.Errors"/>
    internal IReadOnlyDictionary<ErrorCode, long> ReadErrors()
    {
        var successes = 0L;
        foreach (ref var cell in _cells.AsSpan())
            successes += Interlocked.Read(ref cell.Successes);
        var errors = _failures.NonZero.ToDictionary();
        if (successes > 0)
            errors.Add(ErrorCode.None, successes);
        return errors;
    }

    /// <summary>Adds the times of all requests to the counters of a reader.</summary>
    /// <param name="total">From the arrival to the encoded response.</param>
    /// <param name="work">The part in which the broker worked, or the request waited for its turn.</param>
    /// <param name="waits">The part in which it waited: for data, for other replicas, for other nodes.</param>
    internal void AddTimesTo(TimeHistogram.TimeCounts total, TimeHistogram.TimeCounts work, TimeHistogram.TimeCounts waits)
    {
        var atOnce = new TimeHistogram.TimeCounts();
        _atOnce.AddTo(atOnce);
        total.Add(atOnce);
        _waitedTotal.AddTo(total);
        work.Add(atOnce);
        _waitedWork.AddTo(work);
        waits.AddZeros(atOnce.Count);
        _waits.AddTo(waits);
    }

    /// <summary>Adds how long clients were held back, and how long answers took on their way out, to the counters of a reader.</summary>
    /// <param name="throttles">For how long clients were held back; zero for most.</param>
    /// <param name="sends">From an encoded response until the system had taken it, behind those before it.</param>
    internal void AddTimesTo(TimeHistogram.TimeCounts throttles, TimeHistogram.TimeCounts sends)
    {
        _throttles.AddTo(throttles);
        _sends.AddTo(sends);
    }

    /// <summary>Counts a request whose client is held back.</summary>
    internal void CountThrottled(TimeSpan time) => _throttles.Record(time);

    /// <summary>Counts a response that was sent.</summary>
    internal void CountSent(TimeSpan time) => _sends.Record(time);

    /// <summary>Counts an answered request.</summary>
    /// <param name="response">The response.</param>
    /// <param name="version">Its version.</param>
    /// <param name="time">The time from the request's arrival.</param>
    /// <param name="waited">The part of it in which the request waited.</param>
    internal void Count<TResponse>(TResponse response, short version, TimeSpan time, TimeSpan waited = default)
        where TResponse : class, IResponseMessage<TResponse>
    {
        var tally = new ErrorTally(_failures);
        response.CountErrors(version, ref tally);
        Interlocked.Add(ref _cells[Environment.CurrentManagedThreadId & (_cells.Length - 1)].Successes, tally.SuccessCount);
        CountUnanswered(time, waited);
    }

    /// <summary>Counts a request that wanted no answer.</summary>
    internal void CountUnanswered(TimeSpan time, TimeSpan waited = default)
    {
        if (waited.Ticks <= 0)
        {
            _atOnce.Record(time);
            return;
        }

        _waitedTotal.Record(time);
        _waitedWork.Record(time - waited);
        _waits.Record(waited);
    }

    /// <summary>
    /// The counters of one or a few threads. Two cache lines long, so that the counters of other threads do not slow them down.
    /// </summary>
    [StructLayout(LayoutKind.Sequential, Size = 128)]
    private struct Cell
    {
        public long Successes;
    }
}
