using System.Diagnostics;
using Ottla.Benchmarks.Measure;
using Ottla.Benchmarks.Reports;
using Ottla.Benchmarks.Scenarios;
using Ottla.Benchmarks.Targets;
using Ottla.Protocol.Messages;

namespace Ottla.Benchmarks.Load;

/// <summary>Makes many of something, lets them be, and reads off the target what each of them holds.</summary>
internal static class ScaleLoad
{
    private const int PartitionsOfTopicMax = 1000;
    private const short SessionFetchVersion = RequestFrame.FetchVersion;
    private const int SettleMs = 1500; // the runtime and the broker give back what they do not need

    public static Sample Run(ScaleScenario scenario, Target target, string name) => scenario switch
    {
        ConnectionsScenario => OfConnections(scenario, target),
        LongPollsScenario =>
            WithPartitions(ScenarioCatalog.Partitions, target, name, _ => OfConnections(scenario, target, LongPoll(target, name))),
        PartitionsScenario => WithPartitions(scenario.Count, target, name, before => Rest(scenario, target, before)),
        SessionScenario => OfSession(scenario, target, name),
        _ => throw new BenchException($"{scenario.Name} is no scale."),
    };

    /// <summary>
    /// Of connections that asked once, and then <paramref name="last"/> of all, whose answer does not come as long as it is measured.
    /// </summary>
    private static Sample OfConnections(ScaleScenario scenario, Target target, byte[]? last = null)
    {
        var before = ProcessUsage.ResidentBytes(target.ProcessId);
        var connections = new List<LoadConnection>(scenario.Count);
        try
        {
            for (var i = 0; i < scenario.Count; i++)
            {
                connections.Add(new LoadConnection(target.Host, target.Port, bufferBytes: 4096));
                connections[i].Ask<ApiVersionsRequest, ApiVersionsResponse>(new ApiVersionsRequest(), TargetAdmin.ApiVersionsVersion);
            }

            if (last is not null)
                connections.ForEach(connection => connection.Send(last));
            return Rest(scenario, target, before);
        }
        finally
        {
            connections.ForEach(connection => connection.Dispose());
        }
    }

    /// <summary>A Fetch that waits, and is known to: an answer within the first moment would be an error.</summary>
    private static byte[] LongPoll(Target target, string name)
    {
        const int maxWaitMs = 60_000;
        const int momentMs = 100;
        var topic = Topics(ScenarioCatalog.Partitions, name).Single().Name;
        using var connection = new LoadConnection(target.Host, target.Port);
        connection.Send(RequestFrame.Fetch(topic, 0, 1 << 20, momentMs, offset: 0));
        if (connection.Receive<FetchResponse>(0, RequestFrame.FetchVersion).Responses is not [{ Partitions: [{ ErrorCode: 0 }] }])
            throw new BenchException("An empty partition cannot be polled.");
        return RequestFrame.Fetch(topic, 0, 1 << 20, maxWaitMs, offset: 0);
    }

    private static Sample OfSession(ScaleScenario scenario, Target target, string name) => WithPartitions(scenario.Count, target, name, _ =>
    {
        const int maxWaitMs = 500;
        var before = ProcessUsage.ResidentBytes(target.ProcessId);
        using var connection = new LoadConnection(target.Host, target.Port);
        var topics = Topics(scenario.Count, name).Select(topic => new FetchRequest.FetchTopic
        {
            Topic = topic.Name,
            Partitions = [
                .. Enumerable.Range(0, topic.Partitions)
                .Select(partition => new FetchRequest.FetchPartition { Partition = partition, PartitionMaxBytes = 1 << 20 })],
        });
        var request = new FetchRequest { MinBytes = 1, MaxBytes = 50 << 20, SessionEpoch = 0, Topics = [.. topics] };
        var session = connection.Ask<FetchRequest, FetchResponse>(request, SessionFetchVersion).SessionId;
        var epoch = 0;
        var polls = 0;
        return Rest(scenario, target, before, () =>
        {
            request = new FetchRequest
            {
                MaxWaitMs = maxWaitMs,
                MinBytes = 1,
                MaxBytes = 50 << 20,
                SessionId = session,
                SessionEpoch = ++epoch
            };
            if (connection.Ask<FetchRequest, FetchResponse>(request, SessionFetchVersion) is { ErrorCode: not 0 } failed)
                throw new BenchException($"An incremental fetch was answered with {failed.ErrorCode}.");
            polls++;
        }) with
        { Requests = polls };
    });

    private static Sample WithPartitions(int count, Target target, string name, Func<long, Sample> measure)
    {
        var before = ProcessUsage.ResidentBytes(target.ProcessId);
        var topics = Topics(count, name).ToList();
        topics.ForEach(topic => target.Admin.CreateTopic(topic.Name, topic.Partitions));
        try
        {
            return measure(before);
        }
        finally
        {
            topics.ForEach(topic => target.Admin.DeleteTopic(topic.Name));
        }
    }

    private static IEnumerable<(string Name, int Partitions)> Topics(int count, string name)
    {
        for (var made = 0; made < count; made += PartitionsOfTopicMax)
            yield return ($"{name}-{made}", Math.Min(PartitionsOfTopicMax, count - made));
    }

    /// <summary>Does nothing, or the same again and again, for the scenario's time.</summary>
    private static Sample Rest(ScaleScenario scenario, Target target, long residentBytesBefore, Action? work = null)
    {
        Thread.Sleep(SettleMs);
        var cpuBefore = ProcessUsage.CpuSeconds(target.ProcessId);
        var started = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(started).TotalSeconds is var elapsed && elapsed < scenario.Seconds)
        {
            if (work is null)
                Thread.Sleep(TimeSpan.FromSeconds(scenario.Seconds - elapsed));
            else
                work();
        }

        var residentBytes = ProcessUsage.ResidentBytes(target.ProcessId);
        return new Sample
        {
            Seconds = Stopwatch.GetElapsedTime(started).TotalSeconds,
            CpuSeconds = ProcessUsage.CpuSeconds(target.ProcessId) - cpuBefore,
            ResidentBytes = residentBytes,
            ResidentBytesEach = (residentBytes - residentBytesBefore) / (double)scenario.Count,
        };
    }
}
