using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client.Producing;

/// <summary>The transactions of a producer: its id and epoch, what the open one has, and the talk with its coordinator.</summary>
/// <remarks>
/// Thread-safe. Calls of the user run one after the other; the sender's loop asks it whether it may write, and tells it of failures. From
/// <c>transaction.version</c> 2 on (KIP-890) partitions join with their first batch, and each end of a transaction brings the next epoch.
/// </remarks>
internal sealed partial class TransactionManager : IDisposable
{
    private const short LastProduceBeforeVersion2 = 11;
    private const short LastTxnOffsetCommitBeforeVersion2 = 4;
    private const short LastTxnOffsetCommitWithNames = 5;
    private const short LastEndTxnBeforeVersion2 = 4;
    private const short LastAddPartitionsOfClients = 3;

    private readonly Lock _lock = new();
    private readonly AsyncTurn _turn = new();
    private readonly OttlaClient _client;
    private readonly ProducerOptions _options;
    private readonly string _id;

    // Guarded by _lock.
    private readonly HashSet<TopicPartition> _joined = [];
    private ProducerIdAndEpoch? _producer;
    private TransactionState _state;
    private AbortableTransactionException? _abortable;
    private FatalProducerException? _fatal;
    private bool _isVersion2;
    private bool _hasBegun;
    private bool _needsNextEpoch;
    private long _number;
    private CancellationTokenSource _aborted = new();

    /// <param name="client">The client.</param>
    /// <param name="options">The producer's options, with a transactional id.</param>
    public TransactionManager(OttlaClient client, ProducerOptions options)
    {
        _client = client;
        _options = options;
        _id = options.TransactionalId!;
    }

    /// <summary>Sends everything and waits for the outcomes; set by the producer.</summary>
    public Func<CancellationToken, Task> FlushAsync { get; set; } = null!;

    /// <summary>Wakes the sender's loop; set by the producer.</summary>
    public Action Wake { get; set; } = null!;

    /// <summary>Ends the producer; set by the producer.</summary>
    public Action<FatalProducerException> Fail { get; set; } = null!;

    /// <summary>The producer's id and epoch; null before the first transaction.</summary>
    public ProducerIdAndEpoch? Producer
    {
        get
        {
            lock (_lock)
                return _producer;
        }
    }

    /// <summary>The newest version of Produce that goes with the cluster's <c>transaction.version</c>.</summary>
    public short ProduceVersionMax
    {
        get
        {
            lock (_lock)
                return _isVersion2 ? short.MaxValue : LastProduceBeforeVersion2;
        }
    }

    /// <summary>Why what was not sent yet is to be given up; null when it is to be sent.</summary>
    public KafkaException? Discards
    {
        get
        {
            lock (_lock)
            {
                return _state == TransactionState.Aborting
                    ? new AbortableTransactionException(ErrorCode.OperationNotAttempted, "The transaction was aborted")
                    : _abortable;
            }
        }
    }

    /// <summary>Whether no call can succeed any more.</summary>
    public bool IsUnusable
    {
        get
        {
            lock (_lock)
                return _fatal is not null;
        }
    }

    /// <summary>The producer is closed.</summary>
    public void Dispose() => _aborted.Dispose();

    /// <summary>Counts the transactions that were begun.</summary>
    public long Number
    {
        get
        {
            lock (_lock)
                return _number;
        }
    }

    /// <summary>The open transaction's number, and what is cancelled when it is aborted.</summary>
    public (long? Number, CancellationToken Aborted) Open()
    {
        lock (_lock)
            return (_number, _aborted.Token);
    }

    /// <summary>Checks that records can be sent.</summary>
    /// <param name="number">
    /// The transaction that the record was given to, which may be about to be committed; null for the open one.
    /// </param>
    /// <exception cref="InvalidOperationException">No transaction is open.</exception>
    /// <exception cref="AbortableTransactionException">The open one has to be aborted.</exception>
    /// <exception cref="FatalProducerException">The producer has to be closed.</exception>
    public void ThrowIfNotOpen(long? number = null)
    {
        lock (_lock)
        {
            ThrowIfFatal();
            if (number is { } given && (given != _number || _state is TransactionState.Aborting or TransactionState.None))
                throw new AbortableTransactionException(ErrorCode.OperationNotAttempted, "The transaction of the record was aborted");
            if (number is null && _state != TransactionState.Open)
                throw new InvalidOperationException("A transactional producer sends in transactions: call BeginTransactionAsync first.");
            if (_abortable is { } cause)
                throw new AbortableTransactionException(cause.ErrorCode, "The transaction has to be aborted", cause);
        }
    }

    /// <summary>
    /// Whether a batch of a partition may be written now; if the partition has to join first, that is begun. Does not wait.
    /// </summary>
    public bool MayWrite(TopicPartition partition)
    {
        lock (_lock)
        {
            if (_producer is null || _state is not (TransactionState.Open or TransactionState.Committing) || _abortable is not null)
                return false;
            if (_isVersion2 || _joined.Contains(partition))
            {
                _hasBegun = true;
                return true;
            }
        }

        RequestJoin(partition);
        return false;
    }

    /// <summary>Takes note that records were not written: the transaction has to be aborted.</summary>
    public void OnRecordsFailed(KafkaException error)
    {
        lock (_lock)
        {
            _needsNextEpoch = true; // the sequences of the epoch are not known any more
            if (_state is TransactionState.Open or TransactionState.Committing)
                _abortable ??= new AbortableTransactionException(error.ErrorCode, "A record was not written", error);
        }
    }

    /// <summary>Takes note that a record could not even be put into a batch: the transaction has to be aborted.</summary>
    /// <param name="number">The transaction that it was given to.</param>
    /// <param name="error">Why.</param>
    public void OnRecordRefused(long number, KafkaException error)
    {
        lock (_lock)
        {
            if (number == _number && _state is TransactionState.Open or TransactionState.Committing)
                _abortable ??= new AbortableTransactionException(error.ErrorCode, "A record was not written", error);
        }
    }

    /// <summary>Begins a transaction; the first one asks the coordinator for the producer's id, which fences older producers.</summary>
    /// <exception cref="FatalProducerException">The producer has to be closed.</exception>
    /// <exception cref="KafkaException">The coordinator refuses.</exception>
    public async Task BeginAsync(CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            bool needsEpoch;
            lock (_lock)
            {
                ThrowIfFatal();
                if (_state != TransactionState.None)
                    throw new InvalidOperationException("A transaction is open: commit or abort it first.");
                needsEpoch = _producer is null || _needsNextEpoch;
            }

            if (needsEpoch)
                await InitializeAsync(cancellation);
            lock (_lock)
            {
                _joined.Clear();
                _hasBegun = false;
                _number++;
                if (_aborted.IsCancellationRequested)
                {
                    _aborted.Dispose();
                    _aborted = new CancellationTokenSource();
                }

                _state = TransactionState.Open;
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>See <see cref="ProducerTransaction.CommitAsync"/>.</summary>
    public async Task CommitAsync(CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            lock (_lock)
            {
                ThrowIfFatal();
                ThrowIfAbortable();
                if (_state is not (TransactionState.Open or TransactionState.Committing))
                    throw new InvalidOperationException("No transaction is open.");
                _state = TransactionState.Committing;
            }

            await FlushAsync(cancellation);
            lock (_lock)
            {
                ThrowIfFatal();
                ThrowIfAbortable();
            }

            await EndAsync(isCommit: true, cancellation);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>See <see cref="ProducerTransaction.AbortAsync"/>.</summary>
    public async Task AbortAsync(CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation);
        try
        {
            lock (_lock)
            {
                ThrowIfFatal();
                if (_state == TransactionState.None)
                    throw new InvalidOperationException("No transaction is open.");
                _state = TransactionState.Aborting;
            }

            Wake();
            _aborted.Cancel(); // records that wait for metadata or memory do so in vain
            await FlushAsync(cancellation); // nothing new is sent: it waits for what is under way
            await EndAsync(isCommit: false, cancellation);
        }
        finally
        {
            _turn.Release();
        }
    }

    private void ThrowIfFatal()
    {
        if (_fatal is { } cause)
            throw new FatalProducerException(cause.ErrorCode, "The producer cannot go on", cause);
    }

    private void ThrowIfAbortable()
    {
        if (_abortable is { } cause)
            throw new AbortableTransactionException(cause.ErrorCode, "The transaction has to be aborted", cause);
    }

    /// <summary>Takes note of an error that ends the transaction or the producer, and returns what to throw.</summary>
    private KafkaException Note(ApiKey api, KafkaException error)
    {
        var exception = error is KafkaTimeoutException ? error : TransactionErrors.Of(api, error);
        lock (_lock)
        {
            if (exception is AbortableTransactionException abortable)
                _abortable ??= abortable;
            else if (exception is FatalProducerException fatal)
                _fatal ??= fatal;
        }

        if (exception is FatalProducerException end)
            Fail(end);
        Wake();
        return exception;
    }
}

/// <summary>What is open.</summary>
internal enum TransactionState
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A transaction.</summary>
    Open,

    /// <summary>One that is to be committed: nothing is added any more.</summary>
    Committing,

    /// <summary>One that is to be aborted: nothing more is sent.</summary>
    Aborting,
}
