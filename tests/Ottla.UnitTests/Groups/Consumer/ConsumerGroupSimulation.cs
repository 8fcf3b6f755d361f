using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using static Ottla.UnitTests.Groups.Consumer.ConsumerGroupTestBed;
using static Ottla.UnitTests.Groups.CoordinatorTestBed;

namespace Ottla.UnitTests.Groups.Consumer;

/// <summary>
/// A group whose members, topics and coordinator do at random what they do in the wild; everything follows from the seed.
/// </summary>
/// <remarks>After every step no partition may have two owners among the members that have not been told to go.</remarks>
internal sealed class ConsumerGroupSimulation
{
    private const int HeartbeatIntervalMs = 5_000;

    private readonly ulong _seed;
    private readonly Prng _random;
    private readonly ConsumerGroupTestBed _bed;
    private readonly Dictionary<string, Client> _clients = [];
    private readonly int _membersMax;
    private int _lastGroupEpoch;
    private int _made;

    public ConsumerGroupSimulation(ulong seed, int membersMax)
    {
        (_seed, _membersMax, _random) = (seed, membersMax, new Prng(seed));
        _bed = new ConsumerGroupTestBed(seed, ("group.consumer.assignment.interval.ms", _random.NextChance(50) ? "0" : "1000"));
        for (var i = 0; i < 3; i++)
            _bed.CreateTopic(TopicName(i), _random.NextInt(1, 12));
    }

    private static string TopicName(int index) => $"topic-{index}";

    private Client[] Living => [.. _clients.Values.Where(client => !client.HasCrashed)];

    /// <summary>Anything may happen, some hundred times.</summary>
    public void RunWild(int steps)
    {
        for (var step = 0; step < steps; step++)
        {
            Step();
            CheckOwners();
        }
    }

    /// <summary>Nothing happens any more but heartbeats: soon everybody has what is theirs.</summary>
    public void Settle()
    {
        // A session (nine heartbeats) to notice who is gone, and a few to hand over what they had.
        for (var round = 0; round < 25; round++)
        {
            _bed.Advance(HeartbeatIntervalMs);
            foreach (var client in Living)
            {
                Heartbeat(client, isLost: false);
                client.Revoke();
                CheckOwners();
            }
        }

        CheckSettled();
        Require(ConsumerGroupTestBed.Text(_bed.Group) == ConsumerGroupTestBed.Text(
            _bed.Replay().Context.Find<StateMachines.Groups.Consumer.ConsumerGroup>(GroupId)), "the log tells another story");
    }

    private void Step()
    {
        var client = Living is { Length: > 0 } living ? living[_random.NextInt(living.Length)] : null;
        switch (_random.NextInt(100))
        {
            case < 10 when _clients.Count < _membersMax:
                Start();
                break;
            case < 13 when client is not null:
                Leave(client);
                break;
            case < 16 when client is not null:
                client.HasCrashed = true;
                break;
            case < 19:
                ChangeTopics();
                break;
            case < 22 when client is not null:
                client.Subscribe(_random);
                break;
            case < 24:
                FailOver();
                break;
            case < 35:
                _bed.Advance(_random.NextInt(HeartbeatIntervalMs));
                break;
            case < 50 when client is not null:
                client.Revoke();
                break;
            default:
                if (client is not null)
                    Heartbeat(client, isLost: _random.NextChance(10));
                break;
        }
    }

    private void Start()
    {
        var instanceId = _random.NextChance(30) ? $"instance-{_random.NextInt(4)}" : null;
        if (instanceId is not null && Living.Any(other => other.InstanceId == instanceId))
            return;
        foreach (var crashed in _clients.Values.Where(other => other.HasCrashed && _random.NextChance(20)).ToArray())
            _clients.Remove(crashed.MemberId);
        var client = new Client($"member-{++_made}", instanceId);
        client.Subscribe(_random);
        _clients.Add(client.MemberId, client);
    }

    private void Leave(Client client)
    {
        var request = Beat(client.MemberId, client.InstanceId is not null && _random.NextChance(50) ? -2 : -1);
        request.InstanceId = client.InstanceId;
        Try(request);
        _clients.Remove(client.MemberId);
    }

    private void ChangeTopics()
    {
        var name = TopicName(_random.NextInt(4));
        if (_bed.Image.Topics.Find(name) is not { } topic)
            _bed.CreateTopic(name, _random.NextInt(1, 12), new Uuid((ulong)_random.NextInt(1, int.MaxValue), 7));
        else if (_random.NextChance(70))
            _bed.AddPartitions(name, _random.NextInt(1, 4));
        else
            _bed.DeleteTopic(name);
    }

    private void FailOver()
    {
        var before = ConsumerGroupTestBed.Text(_bed.Machine.Context.Find<StateMachines.Groups.Consumer.ConsumerGroup>(GroupId));
        _bed.FailOver();
        Require(before == ConsumerGroupTestBed.Text(_bed.Machine.Context.Find<StateMachines.Groups.Consumer.ConsumerGroup>(GroupId)),
            "the log tells another story");
    }

    private void Heartbeat(Client client, bool isLost)
    {
        if (client.IsFenced)
            client.Reset();
        var response = Try(client.Request());
        if (_bed.Machine.Context.Find<StateMachines.Groups.Consumer.ConsumerGroup>(GroupId) is { } group)
        {
            Require(group.GroupEpoch >= _lastGroupEpoch, "the group's epoch shrank");
            _lastGroupEpoch = group.GroupEpoch;
        }

        if (isLost)
            client.ExpectsFullAnswer = true;
        else if (response is not null)
            Require(client.Take(response), $"the epoch of {client.MemberId} shrank");
        else
            client.IsFenced = true;
    }

    private ConsumerGroupHeartbeatResponse? Try(ConsumerGroupHeartbeatRequest request)
    {
        try
        {
            return _bed.Send(request);
        }
        catch (ApiException e) when (e.Error.Code is ErrorCode.FencedMemberEpoch or ErrorCode.UnknownMemberId or ErrorCode.GroupIdNotFound
            or ErrorCode.UnreleasedInstanceId or ErrorCode.FencedInstanceId)
        {
            return null;
        }
    }

    /// <summary>Members that are not (any more) in the group have been fenced, whether they know or not.</summary>
    private void CheckOwners()
    {
        var owners = new Dictionary<TopicIdPartition, string>();
        foreach (var client in _clients.Values.Where(client => !client.IsFenced && IsMember(client)))
        {
            foreach (var partition in client.Owned)
                Require(owners.TryAdd(partition, client.MemberId),
                    $"{owners.GetValueOrDefault(partition)} and {client.MemberId} both have {partition}");
        }
    }

    private bool IsMember(Client client) => _bed.Machine.Context.Find(GroupId)?.HasMember(client.MemberId) == true;

    private void CheckSettled()
    {
        var living = Living;
        if (_bed.Machine.Context.Find(GroupId) is not { } group)
        {
            Require(living.Length == 0, "there is no group");
            return;
        }

        Require(group.StateName == (living.Length == 0 ? "Empty" : "Stable"), $"the group is {group.StateName}");
        Require(living.All(IsMember), "a living member is not in the group");
        var wanted = living.SelectMany(client => client.Topics(_bed.Image)).Distinct()
            .SelectMany(topic => Enumerable.Range(0, topic.Partitions.Length), (topic, index) => new TopicIdPartition(topic.Id, index))
            .Order();
        var owned = living.SelectMany(client => client.Owned).Order();
        Require(wanted.SequenceEqual(owned), $"wanted {string.Join(' ', wanted)}, owned {string.Join(' ', owned)}");
        foreach (var client in living)
            Require(client.Owned.All(partition => client.Topics(_bed.Image).Any(topic => topic.Id == partition.TopicId)),
                "a member has what it did not ask for");
    }

    private void Require(bool holds, string what)
    {
        if (!holds)
            Assert.Fail($"seed {_seed}, at {_bed.Now.UnixMilliseconds}: {what}");
    }

    /// <summary>A consumer: what it thinks it has, and what it has been told.</summary>
    private sealed class Client(string memberId, string? instanceId)
    {
        private readonly HashSet<TopicIdPartition> _toRevoke = [];
        private string[]? _names;
        private string? _regex;
        private bool _subscriptionChanged;
        private int _epoch;
        private bool _reportsOwned;

        public string MemberId { get; } = memberId;

        public string? InstanceId { get; } = instanceId;

        public bool HasCrashed { get; set; }

        public bool IsFenced { get; set; }

        public bool ExpectsFullAnswer { get; set; }

        public HashSet<TopicIdPartition> Owned { get; } = [];

        public void Subscribe(Prng random)
        {
            _regex = random.NextChance(25) ? $"topic-[{random.NextInt(2)}-{random.NextInt(2, 4)}]" : "";
            _names = _regex.Length > 0 ? [] : [.. Enumerable.Range(0, 4).Where(_ => random.NextChance(60)).Select(TopicName)];
            _subscriptionChanged = true;
        }

        public IEnumerable<StateMachines.Metadata.TopicImage> Topics(StateMachines.Metadata.MetadataImage image) =>
            image.Topics.ByName.Values.Where(topic => _names!.Contains(topic.Name)
                || (_regex!.Length > 0 && topic.Name[^1] >= _regex[7] && topic.Name[^1] <= _regex[9]));

        public void Reset()
        {
            (_epoch, IsFenced) = (0, false);
            Owned.Clear();
            _toRevoke.Clear();
        }

        public ConsumerGroupHeartbeatRequest Request()
        {
            var isFull = _epoch == 0 || ExpectsFullAnswer;
            var request = Beat(MemberId, _epoch, isFull || _reportsOwned ? Owned : null);
            request.InstanceId = InstanceId;
            if (isFull)
                request.RebalanceTimeoutMs = 60_000;
            if (isFull || _subscriptionChanged)
                (request.SubscribedTopicNames, request.SubscribedTopicRegex) = (_names, _regex);
            if (_epoch == 0)
                request.TopicPartitions = [];
            return request;
        }

        public bool Take(ConsumerGroupHeartbeatResponse response)
        {
            var grows = response.MemberEpoch >= _epoch;
            _epoch = response.MemberEpoch;
            (ExpectsFullAnswer, _subscriptionChanged, _reportsOwned) = (false, false, false);
            if (response.Assignment is not { } assignment)
                return grows;
            var assigned = Partitions(assignment).ToHashSet();
            _toRevoke.UnionWith(Owned.Where(partition => !assigned.Contains(partition)));
            _toRevoke.ExceptWith(assigned);
            Owned.UnionWith(assigned);
            _reportsOwned = _toRevoke.Count == 0;
            return grows;
        }

        public void Revoke()
        {
            if (_toRevoke.Count == 0)
                return;
            Owned.ExceptWith(_toRevoke);
            _toRevoke.Clear();
            _reportsOwned = true;
        }
    }
}
