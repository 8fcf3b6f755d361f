namespace Ottla.Protocol.Messages;

/// <summary>How often responses carried each error code other than NONE. Any thread adds, without a lock.</summary>
public sealed class ErrorCounts
{
    private const int LowestCode = (int)ErrorCode.UnknownServerError;

    private static readonly int s_length = Enum.GetValues<ErrorCode>().Max(code => (int)code) - LowestCode + 1;

    private readonly long[] _counts = new long[s_length];

    /// <summary>The counts of all codes that came up, by code.</summary>
    public IEnumerable<KeyValuePair<ErrorCode, long>> NonZero
    {
        get
        {
            for (var i = 0; i < _counts.Length; i++)
            {
                if (Interlocked.Read(ref _counts[i]) is > 0 and var count)
                    yield return KeyValuePair.Create((ErrorCode)(i + LowestCode), count);
            }
        }
    }

    /// <summary>Counts a code once.</summary>
    public void Add(short code)
    {
        var index = code - LowestCode;
        Interlocked.Increment(ref _counts[(uint)index < (uint)_counts.Length ? index : 0]);
    }
}

/// <summary>Adds up the error codes of one response: successes in a number of its own, so that they cost nothing shared.</summary>
/// <param name="failures">Receives the codes other than NONE.</param>
public ref struct ErrorTally(ErrorCounts failures)
{
    /// <summary>How often the code was NONE.</summary>
    public int SuccessCount { get; private set; }

    /// <summary>Counts a code once.</summary>
    public void Add(short code)
    {
        if (code == (short)ErrorCode.None)
            SuccessCount++;
        else
            failures.Add(code);
    }
}
