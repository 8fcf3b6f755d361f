using Ottla.Client;

namespace Ottla.Extensions.Hosting;

/// <summary>A topic whose records are tried again some time after they were put there.</summary>
/// <param name="Topic">Its name; it has to exist, or be made by the cluster.</param>
/// <param name="Delay">
/// How long a record waits there; less than half of the consumer's <see cref="ConsumerOptions.MaxPollInterval"/>.
/// </param>
public sealed record RetryTopic(string Topic, TimeSpan Delay);

/// <summary>What a <see cref="RecordWorker{TKey, TValue}"/> reads, and what becomes of records that are not handled.</summary>
public sealed record RecordWorkerOptions
{
    /// <summary>The topics.</summary>
    public required IReadOnlyList<string> Topics { get; init; }

    /// <summary>
    /// Where records go that were not handled, one topic after the other; the worker reads these, too. Order is kept within each of them,
    /// but not between a record and those that came after it.
    /// </summary>
    public IReadOnlyList<RetryTopic> RetryTopics { get; init; } = [];

    /// <summary>
    /// Where records go that were not handled at last, or cannot be deserialized; null to end the worker, and with it the host, instead.
    /// </summary>
    public string? DeadLetterTopic { get; init; }

    /// <summary>The order and the bounds.</summary>
    public ProcessingOptions Processing { get; init; } = new();

    internal void Validate()
    {
        if (Topics.Count == 0 || Topics.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException($"{nameof(Topics)} must name at least one topic, and none that is empty.");
        var all = Topics.Concat(RetryTopics.Select(retry => retry.Topic)).Concat(DeadLetterTopic is { } dead ? [dead] : []).ToList();
        if (all.Distinct(StringComparer.Ordinal).Count() < all.Count)
            throw new ArgumentException("A topic is named twice: topics, retry topics and dead letters must differ.");
        if (RetryTopics.Any(retry => retry.Delay < TimeSpan.Zero))
            throw new ArgumentException($"A {nameof(RetryTopic.Delay)} is negative.");
        if (RetryTopics.Count > 0 && DeadLetterTopic is null)
            throw new ArgumentException($"{nameof(RetryTopics)} need a {nameof(DeadLetterTopic)} for what fails at last.");
    }
}
