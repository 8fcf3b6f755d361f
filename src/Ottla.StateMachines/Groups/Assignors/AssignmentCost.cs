using Ottla.StateMachines.Metadata;

namespace Ottla.StateMachines.Groups.Assignors;

/// <summary>Estimates how long an assignment takes.</summary>
internal static class AssignmentCost
{
    /// <summary>The largest number of members and partitions for which an assignment is computed on the calling thread.</summary>
    private const int CheapSizeMax = 1000;

    /// <summary>Whether others should not wait for an assignment.</summary>
    /// <param name="memberCount">How many members the group has.</param>
    /// <param name="topics">The names of the topics that they subscribe to, and that a request names.</param>
    /// <param name="image">The topics of the cluster.</param>
    public static bool IsHigh(int memberCount, IEnumerable<string> topics, TopicsImage image)
    {
        var size = (long)memberCount;
        foreach (var topic in topics)
        {
            size += image.Find(topic)?.Partitions.Length ?? 0;
            if (size > CheapSizeMax)
                return true;
        }

        return size > CheapSizeMax;
    }
}
