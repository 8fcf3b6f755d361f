using System.Globalization;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Simulator.Clients;
using Ottla.Simulator.Worlds;
using Ottla.StateMachines.Metadata;

namespace Ottla.Simulator.Clusters;

/// <summary>
/// Whole nodes as a cluster: clients create topics at any broker while nodes die, hosts lose power and networks are cut. What was answered
/// is there, what was refused is not, and all nodes tell the same story.
/// </summary>
public sealed class ClusterSimulation : ISimulation
{
    private const int Creators = 3;

    /// <summary>Of a hundred requests, how many delete a topic.</summary>
    private const int DeletionPercent = 30;
    private static readonly TimeSpan Duration = TimeSpan.FromSeconds(60);

    /// <summary>
    /// How long a healed cluster may take until it works as a whole: sessions run out, elections are held, brokers come back.
    /// </summary>
    private static readonly TimeSpan RecoveryTime = TimeSpan.FromMinutes(2);

    /// <inheritdoc/>
    public string Name => "cluster";

    /// <inheritdoc/>
    public string Description =>
        "whole nodes in roles: topics are created at any broker; kills, power loss, cuts one way and both, resets, delays";

    /// <inheritdoc/>
    public void Run(ulong seed, TextWriter? log = null) => RunWorld(seed, log);

    /// <summary>Runs one seed.</summary>
    /// <returns>The world, in which all is over.</returns>
    public static World RunWorld(ulong seed, TextWriter? log = null)
    {
        var world = new World(seed, log);
        new Session(world, ClusterConditions.Draw(world.Random)).Run();
        return world;
    }

    private sealed class Session(World world, ClusterConditions conditions)
    {
        /// <summary>A topic that is created once the cluster is healed: it must answer again.</summary>
        private const string TopicAfterHealing = "after-healing";

        private readonly SimCluster _cluster = new(
            world, conditions.Controllers, conditions.Brokers, new Dictionary<string, string>
            {
                ["metadata.log.max.record.bytes.between.snapshots"] = conditions.SnapshotBytes.ToString(CultureInfo.InvariantCulture),
                ["metadata.max.retention.bytes"] = "20000", // old snapshots go, so that those who lag behind must fetch one
            },
            conditions.PowerLossPercent);
        private readonly Dictionary<string, Outcome> _topics = [];
        private bool _isOver;
        private int _lastTopic;

        /// <summary>What is known of a topic by the answers.</summary>
        private enum Outcome
        {
            InDoubt,
            Created,
            Refused,
            Deleted,
        }

        public void Run() => world.Run(DirectAsync);

        private async Task DirectAsync(SimProcess director)
        {
            world.Tell("director",
                $"{conditions}: controllers {string.Join(',', conditions.Controllers)}, brokers {string.Join(',', conditions.Brokers)}");
            world.Network.Weather = new NetworkWeather { StallsPerThousand = conditions.StallsPerThousand };
            var invariants = new ClusterInvariants(_cluster);
            var watch = invariants.WatchAsync(director, () => _isOver);
            director.Watch(watch);
            var chaos = new ClusterChaos(world, _cluster,
            [
                ClusterFault.Stop, ClusterFault.Kill, ClusterFault.KillSoon, ClusterFault.KillAtFileOperation, ClusterFault.CutOff,
                ClusterFault.Cut, ClusterFault.Reset,
            ]);
            var creators = new List<Task>();
            for (var i = 0; i < Creators; i++)
            {
                var process = world.NewProcess(string.Create(CultureInfo.InvariantCulture, $"client{i}"));
                var creator = process.Start(() => CreateTopicsAsync(process));
                director.Watch(creator);
                creators.Add(creator);
            }

            await chaos.RunAsync(director, Duration);
            await UntilAsync(director, () => _cluster.IsWhole);
            await CreateTopicAsync(director, TopicAfterHealing);
            await DemandFencingAsync(director);
            _isOver = true;
            foreach (var creator in creators)
                await creator;
            await UntilAsync(director, AreAtTheSameOffset);
            invariants.Check();
            await watch;
            CheckOutcomes();
        }

        private async Task CreateTopicsAsync(SimProcess process)
        {
            while (!_isOver)
            {
                await process.Delay(TimeSpan.FromMilliseconds(world.Random.NextInt(1, 500)));
                var created = _topics.Where(topic => topic.Value == Outcome.Created).Select(topic => topic.Key).ToList();
                if (created.Count > 0 && world.Random.NextChance(DeletionPercent))
                    await TryDeleteTopicAsync(process, created[world.Random.NextInt(created.Count)]);
                else
                    await TryCreateTopicAsync(process, string.Create(CultureInfo.InvariantCulture, $"topic-{++_lastTopic}"));
            }
        }

        private async Task CreateTopicAsync(SimProcess process, string name)
        {
            for (var attempt = 0; _topics.GetValueOrDefault(name) != Outcome.Created; attempt++)
            {
                if (attempt > 100)
                    throw new SimulationException("a healed cluster creates no topic");
                await TryCreateTopicAsync(process, name);
                await process.Delay(TimeSpan.FromMilliseconds(100));
            }
        }

        private async Task TryCreateTopicAsync(SimProcess process, string name)
        {
            var (broker, client) = NewClient(process);
            var request = new CreateTopicsRequest
            {
                TimeoutMs = 10_000,
                Topics = [new CreateTopicsRequest.CreatableTopic { Name = name, NumPartitions = world.Random.NextInt(1, 4),
                    ReplicationFactor = 1 }],
            };
            _topics.TryAdd(name, Outcome.InDoubt);
            try
            {
                var response = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(request);
                var error = (ErrorCode)response.Topics[0].ErrorCode;
                world.Tell(process.Name, $"{broker.Name} answers {error} to the creation of {name}");
                _topics[name] = error switch
                {
                    // The broker may have asked twice, because the first answer was lost.
                    ErrorCode.None or ErrorCode.TopicAlreadyExists => Outcome.Created,
                    ErrorCode.RequestTimedOut or ErrorCode.NotController or ErrorCode.UnknownServerError or ErrorCode.NetworkException =>
                        Outcome.InDoubt,
                    _ => Outcome.Refused,
                };
                if (error == ErrorCode.None)
                    DemandVisible(broker, name);
                if (error == ErrorCode.UnknownServerError)
                    throw new SimulationException($"{broker.Name} answers UNKNOWN_SERVER_ERROR to the creation of {name}");
            }
            catch (ConnectionLostException)
            {
                // In doubt for ever.
            }
        }

        private async Task TryDeleteTopicAsync(SimProcess process, string name)
        {
            var (broker, client) = NewClient(process, (ApiKey.DeleteTopics, 1, 5));
            _topics[name] = Outcome.InDoubt; // also for those who would delete it too
            try
            {
                var response = await client.CallAsync<DeleteTopicsRequest, DeleteTopicsResponse>(
                    new DeleteTopicsRequest { TimeoutMs = 10_000, TopicNames = [name] });
                var error = (ErrorCode)response.Responses[0].ErrorCode;
                world.Tell(process.Name, $"{broker.Name} answers {error} to the deletion of {name}");
                if (error is ErrorCode.None or ErrorCode.UnknownTopicOrPartition)
                    _topics[name] = Outcome.Deleted;
            }
            catch (ConnectionLostException)
            {
                // In doubt for ever.
            }
        }

        private (SimNode Broker, SimClient Client) NewClient(
            SimProcess process, params (ApiKey Key, short Lowest, short Highest)[] versions)
        {
            var brokers = _cluster.Brokers.ToList();
            var broker = brokers[world.Random.NextInt(brokers.Count)];
            var random = new Prng(world.Random.NextUInt64());
            return (broker, new SimClient(
                process, [broker.EndPoint], new ClientVersions(random, versions), random)
            { RequestTimeout = TimeSpan.FromSeconds(20) });
        }

        /// <summary>
        /// A broker that dies, at times together with the active controller, is fenced within two sessions and an election, and comes back.
        /// </summary>
        private async Task DemandFencingAsync(SimProcess director)
        {
            var leader = _cluster.Nodes.Values.First().Serving!.Shared.Raft.KnownLeader.LeaderId;
            var others = conditions.Brokers.Where(
                id => id != leader && (!conditions.Controllers.Contains(id) || conditions.Controllers.Length > 2)).ToList();
            var victim = others[world.Random.NextInt(others.Count)];
            // With both gone a majority of three would be, if both were voters.
            var takesLeader = conditions.Controllers.Length > 2 && !conditions.Controllers.Contains(victim) && world.Random.NextChance(50);
            _cluster.Nodes[victim].Kill();
            if (takesLeader)
                _cluster.Nodes[leader].Kill();
            await UntilAsync(
                director,
                () => _cluster.Nodes.Values.Any(
                    node => node.Serving is not null && Image(node).Cluster.Broker(victim) is { Fenced: true }));
            await _cluster.StartAllAsync();
            await UntilAsync(director, () => _cluster.IsWhole);
        }

        /// <summary>A client that created a topic can use it at once, where it asked, unless somebody has deleted it already.</summary>
        private void DemandVisible(SimNode broker, string name)
        {
            if (_topics[name] == Outcome.Created && broker.Serving is { } serving
                && serving.Shared.Metadata.Current.Topics.Find(name) is null)
                throw new SimulationException($"{broker.Name} answered that {name} is created, and does not know it");
        }

        private bool AreAtTheSameOffset() =>
            _cluster.Nodes.Values.Select(node => Image(node).Provenance.LastOffset).Distinct().Count() == 1;

        private static MetadataImage Image(SimNode node) => node.Serving!.Shared.Metadata.Current;

        private static async Task UntilAsync(
            SimProcess director, Func<bool> condition,
            [System.Runtime.CompilerServices.CallerArgumentExpression(nameof(condition))] string what = "")
        {
            var deadline = director.Clock.GetUtcNow() + RecoveryTime;
            while (!condition())
            {
                if (director.Clock.GetUtcNow() > deadline)
                    throw new SimulationException($"{what} does not become true within {RecoveryTime} after healing");
                await director.Delay(TimeSpan.FromMilliseconds(20));
            }
        }

        private void CheckOutcomes()
        {
            foreach (var (node, topics) in _cluster.Nodes.Values.Select(node => (node, Image(node).Topics)))
            {
                foreach (var (name, outcome) in _topics)
                {
                    var isThere = topics.Find(name) is not null;
                    if (outcome == Outcome.Created && !isThere)
                        throw new SimulationException($"{node.Name}: {name} was answered as created, and is lost");
                    if (outcome is Outcome.Refused && isThere)
                        throw new SimulationException($"{node.Name}: {name} was refused, and is there");
                    if (outcome is Outcome.Deleted && isThere)
                        throw new SimulationException($"{node.Name}: {name} was answered as deleted, and is there");
                }
            }

            var created = _topics.Count(topic => topic.Value == Outcome.Created);
            var inDoubt = _topics.Count(topic => topic.Value == Outcome.InDoubt);
            world.Tell("checker", $"{created} topics created, {inDoubt} in doubt");
        }
    }
}
