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

    /// <summary>The assignors of a configuration: by name, or by the name of Kafka's class. Classes of others cannot be loaded, and are left out.</summary>
    public PartitionAssignors(BrokerConfig config)
    {
        Config = config;
        _assignors = [.. config.GroupConsumerAssignors.Select(Find).OfType<IPartitionAssignor>().Distinct()];
        if (_assignors.IsEmpty)
            _assignors = [s_builtIn[0].Assignor];
    }

    /// <summary>The configuration.</summary>
    public BrokerConfig Config { get; }

    /// <summary>What groups use whose members do not ask for any.</summary>
    public IPartitionAssignor Default => _assignors[0];

    /// <summary>The names, the default's first.</summary>
    public IEnumerable<string> Names => _assignors.Select(assignor => assignor.Name);

    /// <summary>Whether members may ask for <paramref name="name"/>.</summary>
    public bool Contains(string name) => Names.Contains(name, StringComparer.Ordinal);

    /// <summary>The assignor that most of some members ask for; of several, the one whose name comes first. The default if they ask for none that there is.</summary>
    /// <param name="votes">What each asks for; null when any will do.</param>
    public IPartitionAssignor Preferred(IEnumerable<string?> votes)
    {
        var name = votes.OfType<string>().CountBy(vote => vote)
            .OrderByDescending(count => count.Value).ThenBy(count => count.Key, StringComparer.Ordinal).FirstOrDefault().Key;
        return _assignors.FirstOrDefault(assignor => assignor.Name == name) ?? Default;
    }

    private static IPartitionAssignor? Find(string configured) =>
        s_builtIn.FirstOrDefault(builtIn => builtIn.Assignor.Name == configured || builtIn.JavaClass == configured).Assignor;
}
