using System.Collections.Immutable;
using Ottla.Configuration;

namespace Ottla.StateMachines.Metadata;

/// <summary>The resource of a dynamic config.</summary>
/// <param name="Type">The kind of resource.</param>
/// <param name="Name">Its name. For brokers: the id, or "" for the default of all brokers.</param>
public readonly record struct ConfigResource(ConfigResourceType Type, string Name)
{
    /// <summary>The default of all brokers.</summary>
    public static readonly ConfigResource DefaultBroker = new(ConfigResourceType.Broker, "");

    /// <summary>A topic.</summary>
    public static ConfigResource Topic(string name) => new(ConfigResourceType.Topic, name);

    /// <summary>A broker.</summary>
    public static ConfigResource Broker(int id) =>
        new(ConfigResourceType.Broker, id.ToString(System.Globalization.CultureInfo.InvariantCulture));

    /// <inheritdoc/>
    public override string ToString() => $"{Type}:{Name}";
}

/// <summary>The dynamic configs of topics, brokers, groups and client metrics. Immutable.</summary>
public sealed record ConfigsImage(ImmutableDictionary<ConfigResource, ImmutableSortedDictionary<string, string>> ByResource)
{
    public static readonly ConfigsImage Empty = new(ImmutableDictionary<ConfigResource, ImmutableSortedDictionary<string, string>>.Empty);

    internal static readonly ImmutableSortedDictionary<string, string> None =
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal);

    /// <summary>The configs set on a resource; empty when there are none.</summary>
    public ImmutableSortedDictionary<string, string> Of(ConfigResource resource) => ByResource.GetValueOrDefault(resource, None);

    /// <summary>One config of a resource; null when it is not set.</summary>
    public string? Value(ConfigResource resource, string name) => Of(resource).GetValueOrDefault(name);

    /// <inheritdoc/>
    public bool Equals(ConfigsImage? other)
    {
        if (other is null || ByResource.Count != other.ByResource.Count)
            return false;
        foreach (var (resource, configs) in ByResource)
        {
            if (!other.ByResource.TryGetValue(resource, out var others) || !ContentEquality.Entries(configs, others))
                return false;
        }

        return true;
    }

    /// <inheritdoc/>
    public override int GetHashCode() => ByResource.Count;
}
