using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Coordinators;
using Ottla.StateMachines.Transactions;
using static Ottla.UnitTests.Transactions.TransactionTestBed;

namespace Ottla.UnitTests.Transactions;

/// <summary>
/// Random histories of producers of all versions, late and repeated requests, lost markers, crashes and failing writes. After every step
/// the log gives the state that the machine has, and every record follows from the one before; at the end every transaction is decided
/// everywhere as the log says.
/// </summary>
public sealed class TransactionModelTests
{
    private static readonly string[] Ids = ["t", "u", "v"];
    private static readonly TopicPartition[] Partitions = [A0, A1, B0];

    public static TheoryData<ulong> Seeds => [.. Enumerable.Range(1, 80).Select(seed => (ulong)seed)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void HistoryIsSound(ulong seed) => new Run(seed).Execute(steps: 300);

    private sealed class Run(ulong seed)
    {
        private readonly Prng _prng = new(seed);
        private readonly TransactionTestBed _bed = new(2);
        private readonly List<TransactionCommand> _sent = [];
        private readonly Dictionary<string, ProducerIdAndEpoch> _producers = Ids.ToDictionary(id => id, _ => ProducerIdAndEpoch.None);
        private readonly Dictionary<string, TransactionMetadata> _last = [];

        /// <summary>Partitions that got the marker of the outcome that is being written.</summary>
        private readonly Dictionary<string, HashSet<TopicPartition>> _marked = [];

        private int _checked;

        public void Execute(int steps)
        {
            try
            {
                for (var i = 0; i < steps; i++)
                {
                    Step();
                    Check();
                }

                Settle();
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"seed {seed}: {e.Message}", e);
            }
        }

        private void Step()
        {
            _bed.Now = _bed.Now.AddMilliseconds(_prng.NextInt(50));
            _bed.IsDiskFull = _prng.NextInt(30) == 0;
            var id = Pick(Ids);
            switch (_prng.NextInt(20))
            {
                case < 2:
                    Initialize(id, expects: _prng.NextInt(2) == 0);
                    break;
                case < 8:
                    Send(new AddPartitionsCommand(id, _producers[id], [Pick(Partitions), Pick(Partitions)], Version()));
                    break;
                case < 12:
                    if (Send(new EndTransactionCommand(id, _producers[id], _prng.NextInt(2) == 0, Version())) is ProducerIdAndEpoch next
                        && next != ProducerIdAndEpoch.None && _prng.NextInt(4) > 0)
                        _producers[id] = next;
                    break;
                case < 16:
                    WriteMarkers();
                    break;
                case 16:
                    if (_sent.Count > 0)
                        _bed.Ask(Pick(_sent)); // late, or repeated
                    break;
                case 17:
                    _bed.Advance(_prng.NextInt(20_000));
                    break;
                case 18:
                    if (_prng.NextInt(4) == 0)
                        _bed.Crash();
                    break;
                default:
                    ExhaustEpochs(id);
                    break;
            }
        }

        private void Initialize(string id, bool expects)
        {
            var known = _producers[id];
            if (Send(InitCommand(
                id, expects && known != ProducerIdAndEpoch.None ? known : null, timeoutMs: 5_000)) is ProducerIdAndEpoch given
                    && _prng.NextInt(5) > 0)
                _producers[id] = given;
        }

        /// <summary>The producer of the reply; null when there is none, or none yet.</summary>
        private ProducerIdAndEpoch? Send(TransactionCommand command)
        {
            _sent.Add(command);
            return (_bed.Ask(command) as CoordinatorReply<ProducerIdAndEpoch>)?.Reply;
        }

        private void WriteMarkers()
        {
            if (_bed.Markers.Count == 0)
                return;
            var markers = _bed.Markers.Dequeue();
            var results = markers.Partitions.ToDictionary(
                partition => partition, _ => _prng.NextInt(4) == 0 ? ErrorCode.NotEnoughReplicas : ErrorCode.None);
            foreach (var (partition, error) in results)
            {
                if (error == ErrorCode.None)
                    Mark(markers, partition);
            }

            if (_prng.NextInt(8) == 0)
                _bed.Crash(); // before the answer: all are written again
            else
                _bed.Ask(new MarkersWrittenCommand(markers, results));
        }

        /// <summary>
        /// A partition takes a marker: it must be the outcome that the log says, of a transaction that the partition is in.
        /// </summary>
        private void Mark(WriteMarkersOutput markers, TopicPartition partition)
        {
            var known = _bed.Get(markers.TransactionalId);
            Assert.Equal(markers.IsCommit ? TransactionState.PrepareCommit : TransactionState.PrepareAbort, known.State);
            Assert.Equal(known.Producer, markers.Producer);
            Assert.Contains(partition, known.Partitions);
            if (!_marked.TryGetValue(markers.TransactionalId, out var marked))
                _marked.Add(markers.TransactionalId, marked = []);
            marked.Add(partition);
        }

        /// <summary>Moves an id to the end of its epochs, as 32,000 transactions would.</summary>
        private void ExhaustEpochs(string id)
        {
            var known = _bed.Machine.Transactions.SingleOrDefault(transaction => transaction.TransactionalId == id);
            if (known is null || !known.State.IsIdle() || known.ProducerEpoch >= 32_000 || _prng.NextInt(3) > 0)
                return;
            var moved = known with { ProducerEpoch = (short)(TransactionMetadata.LastUsableEpoch - _prng.NextInt(3)) };
            _bed.Log.Add(moved.ToRecord(2));
            _last[id] = moved;
            _checked = _bed.Log.Count;
            _producers[id] = moved.Producer;
            _bed.Crash();
        }

        private void Check()
        {
            var replayed = _bed.Replay().Transactions.ToDictionary(transaction => transaction.TransactionalId);
            Assert.Equal(_bed.Machine.Transactions.ToDictionary(transaction => transaction.TransactionalId), replayed);
            for (; _checked < _bed.Log.Count; _checked++)
            {
                var record = _bed.Log[_checked];
                var next = TransactionMetadata.FromRecord((TransactionLogKey)record.Key, (TransactionLogValue)record.Value!);
                if (_last.TryGetValue(next.TransactionalId, out var last))
                    CheckTransition(last, next);
                else
                    Assert.Equal((TransactionState.Empty, (short)0), (next.State, next.ProducerEpoch));
                _last[next.TransactionalId] = next;
            }
        }

        private void CheckTransition(TransactionMetadata last, TransactionMetadata next)
        {
            Assert.True(next.LastUpdateMs >= last.LastUpdateMs);
            Assert.Equal(last.ProducerId, next.PreviousProducerId);
            var bump = next.ProducerId == last.ProducerId ? next.ProducerEpoch - last.ProducerEpoch : int.MinValue;
            var bumpsEpoch = next.ClientTransactionVersion >= 2;
            switch (next.State)
            {
                case TransactionState.Empty:
                    Assert.True(last.State.IsIdle());
                    Assert.True(bump is 0 or 1 || next.ProducerEpoch == 0, $"an epoch goes up by one, not by {bump}");
                    Assert.Empty(next.Partitions);
                    break;
                case TransactionState.Ongoing:
                    Assert.True(last.State.IsIdle() || last.State == TransactionState.Ongoing);
                    Assert.Equal(0, bump);
                    Assert.True(next.Partitions.IsSupersetOf(last.State == TransactionState.Ongoing ? last.Partitions : []));
                    _marked.Remove(next.TransactionalId);
                    break;
                case TransactionState.PrepareCommit or TransactionState.PrepareAbort:
                    Assert.True(
                        last.State == TransactionState.Ongoing
                        || (last.State.IsIdle() && bumpsEpoch && next.State == TransactionState.PrepareAbort));
                    Assert.Equal(bumpsEpoch ? 1 : 0, bump);
                    Assert.True(next.Partitions.SetEquals(last.Partitions));
                    Assert.Equal(last.IsEpochExhausted && bumpsEpoch, next.NextProducerId >= 0);
                    _marked.Remove(next.TransactionalId);
                    break;
                case TransactionState.CompleteCommit or TransactionState.CompleteAbort:
                    Assert.Equal(
                        next.State == TransactionState.CompleteCommit ? TransactionState.PrepareCommit : TransactionState.PrepareAbort,
                        last.State);
                    Assert.True(last.NextProducerId >= 0 ? next.Producer == new ProducerIdAndEpoch(last.NextProducerId, 0) : bump == 0);
                    Assert.True(
                        last.Partitions.SetEquals(_marked.GetValueOrDefault(next.TransactionalId, [])),
                        "complete means that every partition has its marker");
                    break;
                default:
                    Assert.Fail($"{next.State} is never written");
                    break;
            }
        }

        /// <summary>Everything heals: whatever was decided is completed, and whatever was open times out.</summary>
        private void Settle()
        {
            _bed.IsDiskFull = false;
            for (var i = 0; i < 100; i++)
            {
                while (_bed.Markers.Count > 0)
                {
                    var markers = _bed.Markers.Dequeue();
                    foreach (var partition in markers.Partitions)
                        Mark(markers, partition);
                    _bed.Ask(new MarkersWrittenCommand(
                        markers, markers.Partitions.ToDictionary(partition => partition, _ => ErrorCode.None)));
                    Check();
                }

                _bed.Advance(1_000);
                Check();
            }

            Assert.All(_bed.Machine.Transactions, transaction => Assert.True(transaction.State.IsIdle()));
            Assert.All(_bed.Machine.Transactions,
                transaction => Assert.Equal((short)(transaction.ProducerEpoch + 1) % 32_767, _bed.Init(transaction.TransactionalId).Epoch));
        }

        private short Version() => (short)(_prng.NextInt(2) * 2);

        private T Pick<T>(IReadOnlyList<T> from) => from[_prng.NextInt(from.Count)];
    }
}
