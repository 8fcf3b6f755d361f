using Ottla.Kernel;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>The committed metadata of this node, after all publishers have applied it.</summary>
/// <remarks>
/// Lives as long as the node. The <see cref="MetadataLoader"/> writes it; any thread may read it and wait for it.
/// </remarks>
public sealed class MetadataCache
{
    private readonly Lock _lock = new();
    private readonly PriorityQueue<TaskCompletionSource, long> _waiters = new();
    private volatile MetadataImage _current = MetadataImage.Empty;
    private long _publishedOffset = -1;
    private Exception? _failure;
    private event Action<MetadataImage>? Advanced;

    /// <summary>The committed image that all publishers have taken over.</summary>
    public MetadataImage Current => _current;

    /// <summary>
    /// The offset that <see cref="Current"/> has come to, open metadata transactions and control records included; -1 at first.
    /// </summary>
    public long PublishedOffset => Interlocked.Read(ref _publishedOffset);

    /// <summary>Waits until all publishers have taken over everything up to and including <paramref name="offset"/>.</summary>
    public Task WaitForOffset(long offset)
    {
        lock (_lock)
        {
            if (_publishedOffset >= offset)
                return Task.CompletedTask;
            if (_failure is not null)
                return Task.FromException(_failure);
            var waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Enqueue(waiter, offset);
            return waiter.Task;
        }
    }

    /// <summary>Waits until the image is as wanted.</summary>
    /// <exception cref="OperationCanceledException">The wait was cancelled.</exception>
    public async Task<MetadataImage> WhenAsync(Func<MetadataImage, bool> isWanted, CancellationToken cancellation = default)
    {
        while (true)
        {
            MetadataImage image;
            Task next;
            lock (_lock)
            {
                image = _current;
                next = WaitForOffset(_publishedOffset + 1);
            }

            if (isWanted(image))
                return image;
            await next.UntilCanceled(cancellation);
        }
    }

    /// <summary>
    /// Has <paramref name="onAdvance"/> called with each image in which something is new, by the loop that publishes: it must only take
    /// note.
    /// </summary>
    /// <returns>Ends the calls when it is disposed.</returns>
    public IDisposable Subscribe(Action<MetadataImage> onAdvance)
    {
        Advanced += onAdvance;
        return new Subscription(() => Advanced -= onAdvance);
    }

    /// <summary>
    /// All publishers have taken over <paramref name="image"/>, which has everything up to <paramref name="lastOffset"/>.
    /// </summary>
    /// <param name="image">The image.</param>
    /// <param name="lastOffset">The last offset that it has.</param>
    /// <param name="hasNews">Whether anything in it but its place in the log is new.</param>
    internal void Advance(MetadataImage image, long lastOffset, bool hasNews)
    {
        lock (_lock)
        {
            _current = image;
            Interlocked.Exchange(ref _publishedOffset, lastOffset);
            while (_waiters.TryPeek(out var waiter, out var offset) && offset <= lastOffset)
            {
                _waiters.Dequeue();
                waiter.SetResult();
            }
        }

        if (hasNews)
            Advanced?.Invoke(image);
    }

    /// <summary>Nothing more is published: all who wait fail.</summary>
    internal void Fail(Exception failure)
    {
        lock (_lock)
        {
            _failure ??= failure;
            while (_waiters.TryDequeue(out var waiter, out _))
                waiter.SetException(failure);
        }
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
