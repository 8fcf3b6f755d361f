namespace Ottla.Broker.Api;

/// <summary>What the requests to share coordinators have in common: partitions of topics, each with an answer of its own.</summary>
internal static class ShareStateRequests
{
    /// <summary>Asks for all partitions at once, and waits for the answers.</summary>
    /// <param name="groupId">The share group; without one there is no answer for any partition.</param>
    /// <param name="topics">The topics.</param>
    /// <param name="partitionsOf">The partitions of a topic.</param>
    /// <param name="askAsync">Answers for a partition; an error is part of the answer.</param>
    /// <returns>The answers, topic by topic.</returns>
    public static async Task<TAnswer[][]> AnswerAsync<TTopic, TPartition, TAnswer>(
        string groupId, TTopic[] topics, Func<TTopic, TPartition[]> partitionsOf, Func<TTopic, TPartition, Task<TAnswer>> askAsync)
    {
        if (groupId.Length == 0)
            return [];
        Task<TAnswer>[][] asked =
            [.. topics.Select(topic => partitionsOf(topic).Select(partition => askAsync(topic, partition)).ToArray())];
        var answers = new TAnswer[asked.Length][];
        for (var i = 0; i < asked.Length; i++)
            answers[i] = await Task.WhenAll(asked[i]);
        return answers;
    }
}
