using System.Buffers.Binary;
using System.Diagnostics;
using Ottla.Benchmarks.Load;
using Ottla.Protocol;

namespace Ottla.Benchmarks.Coordinators;

/// <summary>Small prebuilt requests over several connections: at a fixed rate, or as fast as they are answered.</summary>
internal static class FrameLoad
{
    /// <summary>An open loop: latency counts from when a request was due.</summary>
    /// <param name="target">Where to.</param>
    /// <param name="frames">The requests of each connection, sent in turn.</param>
    /// <param name="ratePerSecond">Of all connections together.</param>
    /// <param name="seconds">For how long.</param>
    /// <param name="errorPosition">Where a response has its error code, from the correlation id on.</param>
    public static LoadOutcome AtRate(
        (string Host, int Port) target, byte[][][] frames, int ratePerSecond, double seconds, int errorPosition)
    {
        var each = (int)(ratePerSecond * seconds / frames.Length);
        var ticksBetween = (long)(Stopwatch.Frequency / ((double)ratePerSecond / frames.Length));
        return Worker.RunAll(frames.Length, worker =>
        {
            worker.LatencyTicks = new long[each];
            using var connection = new LoadConnection(target.Host, target.Port);
            var mine = frames[worker.Index];
            var start = Stopwatch.GetTimestamp() + (ticksBetween * worker.Index / frames.Length);
            for (var i = 0; i < each; i++)
            {
                var due = start + (ticksBetween * i);
                while (Stopwatch.GetTimestamp() is var now && now < due)
                    Thread.Sleep(TimeSpan.FromTicks((due - now) * TimeSpan.TicksPerSecond / Stopwatch.Frequency));
                RequestFrame.SetCorrelationId(mine[i % mine.Length], i);
                connection.Send(mine[i % mine.Length]);
                Check(connection.Receive(i).Span, errorPosition);
                worker.LatencyTicks[i] = Stopwatch.GetTimestamp() - due;
            }

            worker.Requests = each;
        });
    }

    /// <summary>A closed loop with some requests ahead of their responses.</summary>
    public static LoadOutcome AsFastAsAnswered(
        (string Host, int Port) target, byte[][][] frames, int inFlight, int requestsEach, int errorPosition) =>
        Worker.RunAll(frames.Length, worker =>
        {
            worker.LatencyTicks = new long[requestsEach];
            using var connection = new LoadConnection(target.Host, target.Port);
            var mine = frames[worker.Index];
            var sentAt = new long[inFlight];
            for (int sent = 0, answered = 0; answered < requestsEach;)
            {
                for (; sent < requestsEach && sent - answered < inFlight; sent++)
                {
                    RequestFrame.SetCorrelationId(mine[sent % mine.Length], sent);
                    sentAt[sent % inFlight] = Stopwatch.GetTimestamp();
                    connection.Send(mine[sent % mine.Length]);
                }

                do
                {
                    Check(connection.Receive(answered).Span, errorPosition);
                    worker.LatencyTicks[answered] = Stopwatch.GetTimestamp() - sentAt[answered % inFlight];
                    answered++;
                }
                while (answered < sent && connection.HasResponse);
            }

            worker.Requests = requestsEach;
        });

    private static void Check(ReadOnlySpan<byte> response, int errorPosition)
    {
        if (BinaryPrimitives.ReadInt16BigEndian(response[errorPosition..]) is var error and not (short)ErrorCode.None)
            throw new BenchException($"A request was answered with {(ErrorCode)error}.");
    }
}
