using System.Numerics;
using System.Runtime.InteropServices;
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
/// <param name="isHot">Whether many threads count at once, so that each gets counters of its own.</param>
public sealed class ApiMetrics(bool isHot)
{
    /// <summary>With more threads than this, some share their counters.</summary>
    private const uint CellsMax = 16;

    private readonly Cell[] _cells =
        new Cell[isHot ? Math.Min(CellsMax, BitOperations.RoundUpToPowerOf2((uint)Environment.ProcessorCount)) : 1];

    private readonly ErrorCounts _failures = new();

    /// <summary>Reads the sums. A request that ends meanwhile may be in some of them only.</summary>
    public ApiUsage Read()
    {
        var (requests, successes, ticks) = (0L, 0L, 0L);
        foreach (ref var cell in _cells.AsSpan())
        {
            requests += Interlocked.Read(ref cell.Requests);
            successes += Interlocked.Read(ref cell.Successes);
            ticks += Interlocked.Read(ref cell.Ticks);
        }

        var errors = _failures.NonZero.ToDictionary();
        if (successes > 0)
            errors.Add(ErrorCode.None, successes);
        return new ApiUsage(requests, TimeSpan.FromTicks(ticks), errors);
    }

    /// <summary>Counts an answered request.</summary>
    internal void Count<TResponse>(TResponse response, short version, TimeSpan time)
        where TResponse : class, IResponseMessage<TResponse>
    {
        var tally = new ErrorTally(_failures);
        response.CountErrors(version, ref tally);
        Interlocked.Add(ref Own().Successes, tally.SuccessCount);
        CountUnanswered(time);
    }

    /// <summary>Counts a request that wanted no answer.</summary>
    internal void CountUnanswered(TimeSpan time)
    {
        ref var cell = ref Own();
        Interlocked.Increment(ref cell.Requests);
        Interlocked.Add(ref cell.Ticks, time.Ticks);
    }

    private ref Cell Own() => ref _cells[Environment.CurrentManagedThreadId & (_cells.Length - 1)];

    /// <summary>
    /// The counters of one or a few threads. Two cache lines long, so that the counters of other threads do not slow them down.
    /// </summary>
    [StructLayout(LayoutKind.Sequential, Size = 128)]
    private struct Cell
    {
        public long Requests;
        public long Successes;
        public long Ticks;
    }
}
