using Microsoft.Extensions.Logging;
using Ottla.Broker.Peers;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol;
using Ottla.Requests;

namespace Ottla.Broker.Hosts;

/// <summary>
/// Hands out producer ids from blocks that the controller gave this broker (KIP-730). Used by all connections; lives as long as the broker.
/// </summary>
/// <remarks>
/// The next block is asked for when nine tenths of the present one are handed out, so that who needs an id waits for none.
/// </remarks>
/// <param name="channel">The way to the active controller.</param>
/// <param name="nodeId">This broker.</param>
/// <param name="brokerEpoch">This broker's epoch at the moment.</param>
/// <param name="background">Watches the requests for blocks, which nobody awaits.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">The log for people.</param>
public sealed partial class ProducerIds(
    ControllerChannel channel, int nodeId, Func<long> brokerEpoch, BackgroundWork background, TimeProvider time, ILogger logger)
{
    /// <summary>How long a request for an id waits for a block before its client is told to ask again.</summary>
    private static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(1);

    /// <summary>How soon a block is asked for again after a failure, as in Kafka.</summary>
    private static readonly TimeSpan RetryInterval = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private Block _current = new(0, 0);
    private Block? _next;
    private TaskCompletionSource? _asked;

    /// <summary>Returns a producer id that was never used before.</summary>
    /// <exception cref="ApiException">
    /// COORDINATOR_LOAD_IN_PROGRESS: the controller has not given the next block yet; the client asks again.
    /// </exception>
    public async ValueTask<long> NextAsync()
    {
        if (TryTake(out var id, out var asked))
            return id;
        using var timeout = new CancellationTokenSource(WaitMax, time);
        try
        {
            do
                await asked.UntilCanceled(timeout.Token);
            while (!TryTake(out id, out asked));
            return id;
        }
        catch (OperationCanceledException)
        {
            throw new ApiException(
                ErrorCode.CoordinatorLoadInProgress,
                "The block of producer ids is used up, and the controller has not given another one yet.");
        }
    }

    /// <summary>Takes an id, or asks for a block.</summary>
    private bool TryTake(out long id, out Task asked)
    {
        TaskCompletionSource? begun = null;
        lock (_lock)
        {
            if (_current.IsEmpty && _next is { } next)
            {
                _current = next;
                _next = null;
            }

            id = _current.IsEmpty ? -1 : _current.Take();
            if (_current.NeedsSuccessor && _next is null && _asked is null)
                _asked = begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            asked = _asked?.Task ?? Task.CompletedTask;
        }

        if (begun is not null)
            background.Watch("asking for producer ids", FetchBlockAsync(begun));
        return id >= 0;
    }

    /// <summary>Asks until there is a block.</summary>
    private async Task FetchBlockAsync(TaskCompletionSource asked)
    {
        Block? block;
        while ((block = await TryFetchAsync()) is null)
            await Task.Delay(RetryInterval, time, background.Stopping);
        lock (_lock)
        {
            _next = block;
            _asked = null;
        }

        asked.SetResult();
    }

    private async Task<Block?> TryFetchAsync()
    {
        try
        {
            var request = new AllocateProducerIdsRequest { BrokerId = nodeId, BrokerEpoch = brokerEpoch() };
            var answer = await channel.SendAsync<AllocateProducerIdsRequest, AllocateProducerIdsResponse>(request, background.Stopping);
            if (answer.ErrorCode != (short)ErrorCode.None)
            {
                LogRefused((ErrorCode)answer.ErrorCode);
                return null;
            }

            var (first, count) = (answer.ProducerIdStart, answer.ProducerIdLen);
            long after;
            lock (_lock)
                after = _current.End;
            if (first >= after && first >= 0 && count > 0 && first <= long.MaxValue - count)
                return new Block(first, count);
            LogBadBlock(first, count, after); // ids from it could be another producer's
        }
        catch (RequestFailedException e)
        {
            LogNoAnswer(e.Message);
        }

        return null;
    }

    /// <summary>Ids that this broker alone may hand out. Guarded by the lock.</summary>
    private sealed class Block
    {
        private readonly long _prefetchAt;
        private long _next;

        public Block(long first, int count)
        {
            _next = first;
            _prefetchAt = first + (count * 9L / 10);
            End = first + count;
        }

        /// <summary>The first id after it.</summary>
        public long End { get; }

        public bool IsEmpty => _next == End;

        /// <summary>Whether nine tenths are handed out.</summary>
        public bool NeedsSuccessor => _next >= _prefetchAt;

        public long Take() => _next++;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "The controller refused to allocate producer ids: {Error}; asking again")]
    private partial void LogRefused(ErrorCode error);

    [LoggerMessage(
        Level = LogLevel.Error, Message =
            "The controller gave the producer ids from {First} on, {Count} of them, which are not above those before {After}. They are "
                + "not used")]
    private partial void LogBadBlock(long first, int count, long after);

    [LoggerMessage(Level = LogLevel.Warning, Message = "A request for producer ids got no answer: {Reason}; sending it again")]
    private partial void LogNoAnswer(string reason);
}
