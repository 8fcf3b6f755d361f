namespace Ottla.Client.Consumers;

/// <summary>
/// What a consumer hands out one by one, as an asynchronous enumeration whose step allocates nothing and finds most items at hand.
/// </summary>
/// <typeparam name="T">What is handed out.</typeparam>
/// <param name="engine">The consumer's engine.</param>
/// <param name="tryTake">Takes the next item if it is at hand.</param>
/// <param name="cancellation">Ends the enumeration.</param>
internal sealed class RecordStream<T>(ConsumerEngine engine, TryTake<T> tryTake, CancellationToken cancellation) : IAsyncEnumerable<T>
{
    /// <inheritdoc/>
    public IAsyncEnumerator<T> GetAsyncEnumerator(CancellationToken cancellationToken = default) =>
        new Enumerator(engine, tryTake, cancellation, cancellationToken);

    private sealed class Enumerator : IAsyncEnumerator<T>
    {
        private readonly ConsumerEngine _engine;
        private readonly TryTake<T> _tryTake;
        private readonly CancellationTokenSource? _either;
        private readonly CancellationToken _token;
        private T _current = default!;

        public Enumerator(ConsumerEngine engine, TryTake<T> tryTake, CancellationToken one, CancellationToken other)
        {
            _engine = engine;
            _tryTake = tryTake;
            _token = one.CanBeCanceled ? one : other;
            if (one.CanBeCanceled && other.CanBeCanceled && one != other)
            {
                _either = CancellationTokenSource.CreateLinkedTokenSource(one, other);
                _token = _either.Token;
            }
        }

        public T Current => _current;

        public ValueTask<bool> MoveNextAsync()
        {
            if (_token.IsCancellationRequested)
                return ValueTask.FromException<bool>(new OperationCanceledException(_token));
            try
            {
                return _tryTake(out _current) ? new ValueTask<bool>(true) : WaitAsync();
            }
            catch (Exception e)
            {
                return ValueTask.FromException<bool>(e);
            }
        }

        public ValueTask DisposeAsync()
        {
            _either?.Dispose();
            return ValueTask.CompletedTask;
        }

        private async ValueTask<bool> WaitAsync()
        {
            do
            {
                await _engine.WaitAsync(_token, _token);
                _token.ThrowIfCancellationRequested();
            }
            while (!_tryTake(out _current));
            return true;
        }
    }
}

/// <summary>Takes the next item if it is at hand.</summary>
internal delegate bool TryTake<T>(out T item);
