using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>The order in which Kafka's admin client lists groups: that of a hash table by id.</summary>
internal static class JavaGroupOrder
{
    /// <summary>Groups in that order.</summary>
    public static IEnumerable<ListedGroup> Of(IEnumerable<ListedGroup> groups) =>
        JavaHashOrder.Of(groups.Select(group => group.GroupId)).Select(id => groups.First(group => group.GroupId == id));
}
