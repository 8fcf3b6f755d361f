using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Sockets;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Harness;

/// <summary>
/// Creates topics without end, each name once, one after another at every broker, and writes down what was answered. What it knows is the
/// judge of a cluster whose controllers are killed. Owned by one test.
/// </summary>
public sealed class TopicCreationLoad : IAsyncDisposable
{
    private const int TimeoutMs = 8000;

    private readonly string _prefix;
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<string, Creation> _outcomes = new();
    private readonly List<Task> _workers;
    private int _next;
    private int _answered;

    private TopicCreationLoad(LocalCluster cluster, string prefix)
    {
        _prefix = prefix;
        _workers = [.. cluster.Brokers.Select(WorkAsync)];
    }

    /// <summary>How many creations were answered without an error.</summary>
    public int Answered => Volatile.Read(ref _answered);

    /// <summary>Begins.</summary>
    public static TopicCreationLoad Start(LocalCluster cluster, string prefix) => new(cluster, prefix);

    /// <summary>Ends it; a request that is under way is waited for.</summary>
    public async Task StopAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_workers);
    }

    /// <summary>
    /// Compares what was answered with what is there: all that was created is, under the id that was told, once; what was refused is not;
    /// what nobody answered is there once, or not at all.
    /// </summary>
    /// <returns>How many of each there are.</returns>
    public string Check(ClusterMetadata metadata)
    {
        var there = metadata.Topics.Where(topic => topic.Name.StartsWith(_prefix, StringComparison.Ordinal)).ToLookup(topic => topic.Name);
        var (created, refused, unknown, repeated) = (0, 0, 0, 0);
        foreach (var (name, outcome) in _outcomes)
        {
            var found = there[name].ToList();
            Assert.True(found.Count <= 1, $"{name} is there {found.Count} times");
            switch (outcome.Error)
            {
                case 0:
                    created++;
                    Assert.True(found.Count == 1, $"{name} was created, and is not there");
                    Assert.Equal(outcome.TopicId, found[0].Id);
                    break;
                case ClusterClient.TopicAlreadyExists: // the broker's own second attempt found what the first had made
                    repeated++;
                    Assert.True(found.Count == 1, $"{name} was said to be there, and is not");
                    break;
                case null or ClusterClient.RequestTimedOut:
                    unknown++;
                    break;
                default:
                    refused++;
                    Assert.True(found.Count == 0, $"{name} was refused with {outcome.Error}, and is there");
                    break;
            }
        }

        foreach (var topic in there)
            Assert.True(_outcomes.ContainsKey(topic.Key), $"{topic.Key} is there, and nobody asked for it");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{created} created, {repeated} made by an attempt that broke off, {refused} refused, {unknown} without an answer");
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        _stop.Dispose();
    }

    private async Task WorkAsync(ClusterNode broker)
    {
        await Task.Yield();
        RawConnection? connection = null;
        while (!_stop.IsCancellationRequested)
        {
            connection ??= await TryConnectAsync(broker);
            if (connection is null)
                continue;
            var name = string.Create(CultureInfo.InvariantCulture, $"{_prefix}{Interlocked.Increment(ref _next)}");
            var outcome = await ClusterClient.CreateTopicAsync(connection, name, TimeoutMs);
            _outcomes[name] = outcome;
            if (outcome.Error == 0)
                Interlocked.Increment(ref _answered);
            if (outcome.Error is not null)
                continue;
            await connection.DisposeAsync();
            connection = null;
        }

        if (connection is not null)
            await connection.DisposeAsync();
    }

    private async Task<RawConnection?> TryConnectAsync(ClusterNode broker)
    {
        try
        {
            return await RawConnection.OpenAsync(broker.BrokerPort!.Value);
        }
        catch (SocketException)
        {
            // Down: until the test starts it again.
            await Task.Delay(TimeSpan.FromMilliseconds(20));
            return null;
        }
    }
}
