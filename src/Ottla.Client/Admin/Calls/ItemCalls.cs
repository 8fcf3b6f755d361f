using Ottla.Client.Calls;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;

namespace Ottla.Client.Admins;

/// <summary>
/// Calls about many items: each goes to the node that can answer it, those of one node in one request; what fails for now goes again, until
/// all have a result or the time is over. Stateless; thread-safe.
/// </summary>
/// <param name="client">The client.</param>
internal sealed class ItemCalls(OttlaClient client)
{
    /// <summary>Makes a call.</summary>
    /// <param name="call">The call.</param>
    /// <param name="items">The items; the same one twice counts once.</param>
    /// <param name="route">Where they go; disposed by this method.</param>
    /// <param name="cancellation">The caller's token.</param>
    /// <returns>A result for each item, errors and the end of the time too.</returns>
    /// <exception cref="OperationCanceledException">The caller's token was cancelled.</exception>
    public async Task<Dictionary<TKey, AdminResult<TValue>>> RunAsync<TKey, TValue, TRequest, TResponse>(
        ItemCall<TKey, TValue, TRequest, TResponse> call, IEnumerable<TKey> items, IItemRoute<TKey> route, CancellationToken cancellation)
        where TKey : notnull
        where TRequest : IRequestMessage<TRequest>
        where TResponse : IResponseMessage<TResponse>
    {
        using (route)
        {
            using var deadline = new CallDeadline(client.Options.ApiTimeout, client.Options.TimeProvider, cancellation);
            var run = new ItemRun<TKey, TValue, TRequest, TResponse>(client, call, route, [.. items.Distinct()], deadline);
            return await run.RunAsync();
        }
    }
}

/// <summary>What is particular to a call about items.</summary>
internal sealed record ItemCall<TKey, TValue, TRequest, TResponse>
    where TKey : notnull
{
    /// <summary>Makes the request for a version, for items that go to one node, with the time that is left.</summary>
    public required Func<short, IReadOnlyList<TKey>, TimeSpan, TRequest> Request { get; init; }

    /// <summary>Reads the results out of an answer.</summary>
    public required Action<TResponse, ItemAnswers<TKey, TValue>> Read { get; init; }

    /// <summary>Which errors are tried again.</summary>
    public required Func<ErrorCode, bool> IsRetriable { get; init; }

    /// <summary>The newest version to send.</summary>
    public short VersionMax { get; init; } = short.MaxValue;

    /// <summary>Whether every item needs a request of its own.</summary>
    public bool IsOneByOne { get; init; }
}

/// <summary>Takes the results out of one answer.</summary>
/// <param name="asked">The items of the request.</param>
internal sealed class ItemAnswers<TKey, TValue>(IReadOnlyList<TKey> asked)
    where TKey : notnull
{
    /// <summary>The items of the request.</summary>
    public IReadOnlyList<TKey> Asked { get; } = asked;

    /// <summary>The results so far.</summary>
    public Dictionary<TKey, AdminResult<TValue>> Results { get; } = [];

    /// <summary>Why there is no answer, so that the items go again; null when there is one.</summary>
    public string? Lost { get; set; }

    /// <summary>Takes an item that is done.</summary>
    public void Add(TKey item, TValue value) => Results[item] = new AdminResult<TValue>(value);

    /// <summary>Takes an item with its error.</summary>
    public void Fail(TKey item, ErrorCode error, string? message = null) => Results[item] = new AdminResult<TValue>(error, message);

    /// <summary>Takes an error of all items.</summary>
    public void FailAll(ErrorCode error, string? message = null)
    {
        foreach (var item in Asked)
            Fail(item, error, message);
    }

    /// <summary>Takes a failure of all items.</summary>
    public void FailAll(KafkaException failure)
    {
        foreach (var item in Asked)
            Results[item] = new AdminResult<TValue>(failure);
    }

    /// <summary>Takes an item: its error if there is one, otherwise the value.</summary>
    public void Take(TKey item, short error, string? message, Func<TValue> value)
    {
        if (error != (short)ErrorCode.None)
            Fail(item, (ErrorCode)error, message);
        else
            Add(item, value());
    }
}

/// <summary>One call about items, from its start to its end.</summary>
internal sealed class ItemRun<TKey, TValue, TRequest, TResponse>(
    OttlaClient client, ItemCall<TKey, TValue, TRequest, TResponse> call, IItemRoute<TKey> route, IReadOnlyList<TKey> items,
    CallDeadline deadline)
    where TKey : notnull
    where TRequest : IRequestMessage<TRequest>
    where TResponse : IResponseMessage<TResponse>
{
    private readonly Dictionary<TKey, AdminResult<TValue>> _results = [];
    private readonly Dictionary<TKey, ApiError> _lastFailures = [];

    /// <summary>Asks until every item has a result, or the time is over.</summary>
    public async Task<Dictionary<TKey, AdminResult<TValue>>> RunAsync()
    {
        ExponentialBackoff? backoff = null;
        try
        {
            for (var failures = 1; ; failures++)
            {
                await AskAsync([.. items.Where(item => !_results.ContainsKey(item))]);
                if (_results.Count == items.Count)
                    return _results;
                backoff ??= client.Options.NewRetryBackoff(client.NewRandom());
                await Task.Delay(backoff.DelayAfter(failures), client.Options.TimeProvider, deadline.Token);
            }
        }
        catch (OperationCanceledException) when (deadline.IsOver)
        {
            GiveUp();
            return _results;
        }
        catch (KafkaTimeoutException)
        {
            GiveUp(); // the coordinators were not found in time
            return _results;
        }
        catch (KafkaException e)
        {
            foreach (var item in items.Where(item => !_results.ContainsKey(item)))
                _results[item] = new AdminResult<TValue>(e.ErrorCode, e.InnerException?.Message ?? e.Message);
            return _results;
        }
    }

    /// <summary>Asks every node once for the items that have no result yet.</summary>
    private async Task AskAsync(List<TKey> open)
    {
        var unknown = open.Where(item => route.Find(item) is { Node: null, Error.IsFailure: false }).ToList();
        if (unknown.Count > 0)
            await route.LookUpAsync(unknown, deadline.Token);
        var groups = new Dictionary<NodeAddress, List<TKey>>();
        foreach (var item in open)
        {
            var destination = route.Find(item);
            if (destination.Error.IsFailure)
                _results[item] = new AdminResult<TValue>(destination.Error.Code, destination.Error.Message);
            else if (destination.Node is not { } node)
                _lastFailures[item] = new ApiError(ErrorCode.None, $"no node is known for {item}");
            else if (groups.TryGetValue(node, out var group))
                group.Add(item);
            else
                groups[node] = [item];
        }

        var asked = groups.SelectMany(group => call.IsOneByOne
            ? group.Value.Select(item => AskNodeAsync(group.Key, [item]))
            : [AskNodeAsync(group.Key, group.Value)]).ToList();
        foreach (var answers in await Task.WhenAll(asked))
            Take(answers);
    }

    private async Task<ItemAnswers<TKey, TValue>> AskNodeAsync(NodeAddress node, List<TKey> asked)
    {
        var answers = new ItemAnswers<TKey, TValue>(asked);
        var wait = deadline.Left < client.Options.RequestTimeout ? deadline.Left : client.Options.RequestTimeout;
        try
        {
            var answer = await client.Connections.Shared.To(node).SendAsync<TRequest, TResponse>(
                version => call.Request(version, asked, wait), wait, call.VersionMax, deadline.Token);
            call.Read(answer, answers);
            foreach (var item in asked.Where(item => !answers.Results.ContainsKey(item)))
                answers.Fail(item, ErrorCode.UnknownServerError, $"The answer of {node} does not name {item}");
        }
        catch (RequestFailedException e) when (e.IsRefusal())
        {
            answers.FailAll(e.ToKafkaException());
        }
        catch (RequestFailedException e)
        {
            answers.Lost = e.Message;
        }

        return answers;
    }

    private void Take(ItemAnswers<TKey, TValue> answers)
    {
        if (answers.Lost is { } reason)
        {
            foreach (var item in answers.Asked)
            {
                _lastFailures[item] = new ApiError(ErrorCode.NetworkException, reason);
                route.OnFailure(item, null);
            }

            return;
        }

        foreach (var (item, result) in answers.Results)
        {
            if (result.IsSuccess || !call.IsRetriable(result.Error))
            {
                _results[item] = result;
                continue;
            }

            _lastFailures[item] = new ApiError(result.Error, result.Message ?? result.Error.ToKafkaName());
            route.OnFailure(item, result.Error);
        }
    }

    /// <summary>The time is over: what is open says so, and why.</summary>
    private void GiveUp()
    {
        foreach (var item in items.Where(item => !_results.ContainsKey(item)))
        {
            var failure = _lastFailures.GetValueOrDefault(item);
            _results[item] = failure.Code == ErrorCode.ThrottlingQuotaExceeded
                ? new AdminResult<TValue>(failure.Code, failure.Message)
                : new AdminResult<TValue>(
                    ErrorCode.RequestTimedOut,
                    deadline.TimedOut($"{TRequest.ApiKey}", failure.Message ?? client.Metadata.LastFailure, null).Message);
        }
    }
}
