using System.Collections.Immutable;
using Ottla.Configuration;

namespace Ottla.StateMachines.Groups.Assignors;

/// <summary>The assignors that <c>group.consumer.assignors</c> names. Immutable.</summary>
public sealed class PartitionAssignors
{
    private static readonly ImmutableArray<(string JavaClass, IPartitionAssignor Assignor)> s_builtIn =
    [
        ("org.apache.kafka.coordinator.group.assignor.UniformAssignor", new UniformAssignor()),
        ("org.apache.kafka.coordinator.group.assignor.RangeAssignor", new RangeAssignor()),
    ];

    private readonly ImmutableArray<IPartitionAssignor> _assignors;

    /// <summary>
    /// Makes the assignors of a configuration, which names them or Kafka's classes of them. Other classes cannot be loaded and are ignored.
    /// </summary>
    public PartitionAssignors(BrokerConfig config)
    {
        Config = config;
        _assignors = [.. config.GroupConsumerAssignors.Select(Find).OfType<IPartitionAssignor>().Distinct()];
        if (_assignors.IsEmpty)
            _assignors = [s_builtIn[0].Assignor];
    }

    /// <summary>The configuration.</summary>
    public BrokerConfig Config { get; }

    /// <summary>The assignor of groups whose members do not choose one.</summary>
    public IPartitionAssignor Default => _assignors[0];

    /// <summary>The names of the assignors, the default's first.</summary>
    public IEnumerable<string> Names => _assignors.Select(assignor => assignor.Name);

    /// <summary>Whether members may choose the assignor <paramref name="name"/>.</summary>
    public bool Contains(string name) => Names.Contains(name, StringComparer.Ordinal);

    /// <summary>
    /// The assignor that most members choose; if several have as many votes, the first by name. If nobody chooses a known one, the default.
    /// </summary>
    /// <param name="votes">The choice of each member; null for none.</param>
    public IPartitionAssignor Preferred(IEnumerable<string?> votes)
    {
        var name = votes.OfType<string>().CountBy(vote => vote)
            .OrderByDescending(count => count.Value).ThenBy(count => count.Key, StringComparer.Ordinal).FirstOrDefault().Key;
        return _assignors.FirstOrDefault(assignor => assignor.Name == name) ?? Default;
    }

    private static IPartitionAssignor? Find(string configured) =>
        s_builtIn.FirstOrDefault(builtIn => builtIn.Assignor.Name == configured || builtIn.JavaClass == configured).Assignor;
}
