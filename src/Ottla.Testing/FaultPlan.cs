using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Testing;

/// <summary>When a fault strikes.</summary>
public enum FaultTiming
{
    /// <summary>Before the broker sees the request: it is not carried out.</summary>
    BeforeHandling,

    /// <summary>When the broker has carried the request out and answered it.</summary>
    AfterHandling,
}

/// <summary>What goes wrong with the requests of clients that come next. Thread-safe.</summary>
/// <remarks>Each call adds to the plan; of several that fit a request, the one that was added first is used up first.</remarks>
public sealed class FaultPlan
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    private readonly Lock _lock = new();
    private readonly LinkedList<Planned> _planned = [];

    internal FaultPlan()
    {
    }

    /// <summary>How many faults are planned and have not struck yet.</summary>
    public int Pending
    {
        get
        {
            lock (_lock)
                return _planned.Sum(each => each.Left);
        }
    }

    /// <summary>The next requests of an API fail with an error code.</summary>
    /// <param name="api">The API.</param>
    /// <param name="error">The error.</param>
    /// <param name="times">How many requests.</param>
    /// <param name="timing">Whether the broker carries them out all the same.</param>
    /// <param name="level">Where in the answer the error is said.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="times"/> is below 1.</exception>
    /// <exception cref="ArgumentException">Answers of the API have no error.</exception>
    public void FailNext(
        ApiKey api, ErrorCode error, int times = 1, FaultTiming timing = FaultTiming.BeforeHandling, ErrorLevel level = ErrorLevel.All)
    {
        if (!ErrorResponses.Know(api))
            throw new ArgumentException($"Answers of {api} have no error", nameof(api));
        Add(api, times, new Fault.Error(error, level, timing));
    }

    /// <summary>The connections on which the next requests of an API come break.</summary>
    /// <param name="api">The API.</param>
    /// <param name="times">How many requests.</param>
    /// <param name="timing">Whether the broker carries them out all the same.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="times"/> is below 1.</exception>
    public void DisconnectNext(ApiKey api, int times = 1, FaultTiming timing = FaultTiming.BeforeHandling) =>
        Add(api, times, new Fault.Disconnect(timing));

    /// <summary>The next requests of an API are lost: they and all later ones of their connections are never answered.</summary>
    /// <param name="api">The API.</param>
    /// <param name="times">How many requests.</param>
    /// <param name="timing">Whether the broker carries them out all the same, and the answer is lost.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="times"/> is below 1.</exception>
    public void DropNext(ApiKey api, int times = 1, FaultTiming timing = FaultTiming.BeforeHandling) =>
        Add(api, times, new Fault.Drop(timing));

    /// <summary>The answers to the next requests of an API, and those behind them on their connections, come late.</summary>
    /// <param name="api">The API.</param>
    /// <param name="by">How late, by the test's clock.</param>
    /// <param name="times">How many requests.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="times"/> is below 1, or <paramref name="by"/> below zero.</exception>
    public void DelayNext(ApiKey api, TimeSpan by, int times = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        Add(api, times, new Fault.Delay(by));
    }

    /// <summary>Waits until everything that is planned has struck.</summary>
    /// <param name="timeout">How long, in real time; null for <see cref="TestTopic.DefaultTimeout"/>.</param>
    /// <exception cref="TimeoutException">It does not in time; the message says what is left.</exception>
    public async Task WaitUntilUsedUpAsync(TimeSpan? timeout = null)
    {
        var began = TimeProvider.System.GetTimestamp();
        while (Pending > 0)
        {
            if (TimeProvider.System.GetElapsedTime(began) > (timeout ?? TestTopic.DefaultTimeout))
                throw new TimeoutException($"No request has met these faults yet: {Describe()}");
            await Task.Delay(Pause, TimeProvider.System);
        }
    }

    /// <summary>Forgets what has not struck yet.</summary>
    public void Clear()
    {
        lock (_lock)
            _planned.Clear();
    }

    /// <summary>The fault of a request that arrives now; null for none.</summary>
    internal Fault? Take(ApiKey api)
    {
        lock (_lock)
        {
            for (var node = _planned.First; node is not null; node = node.Next)
            {
                if (node.Value.Api != api)
                    continue;
                if (--node.Value.Left == 0)
                    _planned.Remove(node);
                return node.Value.Fault;
            }

            return null;
        }
    }

    private string Describe()
    {
        lock (_lock)
            return string.Join("; ", _planned.Select(each => $"{each.Left} of {each.Api} {each.Fault}"));
    }

    private void Add(ApiKey api, int times, Fault fault)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(times, 1);
        lock (_lock)
            _planned.AddLast(new Planned(api, fault) { Left = times });
    }

    private sealed class Planned(ApiKey api, Fault fault)
    {
        public ApiKey Api => api;

        public Fault Fault => fault;

        public int Left { get; set; }
    }
}

/// <summary>What becomes of a request.</summary>
internal abstract record Fault
{
    private Fault()
    {
    }

    public sealed record Error(ErrorCode Code, ErrorLevel Level, FaultTiming Timing) : Fault
    {
        public override string ToString() => $"failed with {Code}{After(Timing)}";
    }

    public sealed record Disconnect(FaultTiming Timing) : Fault
    {
        public override string ToString() => $"disconnected{After(Timing)}";
    }

    public sealed record Drop(FaultTiming Timing) : Fault
    {
        public override string ToString() => $"lost{After(Timing)}";
    }

    public sealed record Delay(TimeSpan By) : Fault
    {
        public override string ToString() => $"delayed by {By.TotalMilliseconds} ms";
    }

    private static string After(FaultTiming timing) => timing == FaultTiming.AfterHandling ? " after it was carried out" : "";
}
