using System.Globalization;
using Ottla.Cli.Partitions;

namespace Ottla.Cli.Framework;

/// <summary>Tells how far long work is: a line on standard error that is written over, and nothing unless that is a terminal.</summary>
/// <param name="error">Standard error.</param>
/// <param name="time">The clock.</param>
/// <param name="what">What is counted: <c>records</c>.</param>
internal sealed class Progress(TextWriter error, TimeProvider time, string what)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);
    private const int LookEvery = 256;

    private readonly bool _isShown = !Console.IsErrorRedirected && Console.IsInputRedirected;
    private readonly long _began = time.GetTimestamp();
    private long _toldAt = time.GetTimestamp();
    private long _count;
    private long _bytes;
    private bool _hasTold;

    /// <summary>Counts what is done.</summary>
    public void Add(long count, long bytes)
    {
        _count += count;
        _bytes += bytes;
        if (!_isShown || _count % LookEvery != 0 || time.GetElapsedTime(_toldAt) < Interval)
            return;
        _toldAt = time.GetTimestamp();
        _hasTold = true;
        var rate = (long)(_bytes / Math.Max(0.001, time.GetElapsedTime(_began).TotalSeconds));
        error.Write($"\r{_count.ToString("N0", CultureInfo.InvariantCulture)} {what}, {ByteText.Of(_bytes)}, {ByteText.Of(rate)}/s   ");
    }

    /// <summary>Takes the line away.</summary>
    public void End()
    {
        if (_hasTold)
            error.Write("\r\u001b[K");
    }
}
