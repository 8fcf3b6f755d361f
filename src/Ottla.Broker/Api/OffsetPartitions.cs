using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>
/// The partitions of a request about a group's committed offsets: those that do not exist are answered by this broker, the others by the
/// group's coordinator. Made for one request.
/// </summary>
/// <param name="image">The metadata.</param>
/// <param name="byId">Whether the request names topics by id.</param>
internal sealed class OffsetPartitions(MetadataImage image, bool byId)
{
    /// <summary>The error of each partition, in the order of the request; null for those that exist.</summary>
    private readonly List<ErrorCode?> _errors = [];

    /// <summary>The partitions that exist.</summary>
    public int KnownCount { get; private set; }

    /// <summary>Takes the next topic of the request.</summary>
    /// <param name="name">Its name; empty where ids are used.</param>
    /// <param name="id">Its id; zero where names are used.</param>
    /// <param name="partitions">Its partitions in the request.</param>
    /// <param name="indexOf">Their indexes.</param>
    /// <param name="topic">The topic; null when it does not exist.</param>
    /// <returns>The partitions that exist, to ask the coordinator about.</returns>
    public TPartition[] Add<TPartition>(
        string name, Uuid id, TPartition[] partitions, Func<TPartition, int> indexOf, out TopicImage? topic)
    {
        topic = byId ? image.Topics.Find(id) : image.Topics.Find(name);
        var error = topic is null && byId ? ErrorCode.UnknownTopicId : ErrorCode.UnknownTopicOrPartition;
        var known = new List<TPartition>(partitions.Length);
        foreach (var partition in partitions)
        {
            var exists = topic?.Partition(indexOf(partition)) is not null;
            _errors.Add(exists ? null : error);
            if (exists)
                known.Add(partition);
        }

        KnownCount += known.Count;
        return [.. known];
    }

    /// <summary>One error for all partitions that exist.</summary>
    public IReadOnlyList<ErrorCode> FailKnown(ErrorCode error) => [.. Enumerable.Repeat(error, KnownCount)];

    /// <summary>The errors of all partitions, in the order of the request.</summary>
    /// <param name="known">Those of the partitions that exist.</param>
    public Queue<ErrorCode> Errors(IReadOnlyList<ErrorCode> known)
    {
        Invariant.Check(known.Count == KnownCount, "the coordinator answers every partition that it is asked about");
        var next = 0;
        return new Queue<ErrorCode>(_errors.Select(error => error ?? known[next++]));
    }
}
