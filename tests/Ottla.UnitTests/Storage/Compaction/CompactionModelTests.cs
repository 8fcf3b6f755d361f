using Microsoft.Extensions.Time.Testing;
using Ottla.Kernel;
using Ottla.Protocol.Batches;
using Ottla.Storage.Compaction;

namespace Ottla.UnitTests.Storage.Compaction;

/// <summary>
/// Random histories of a compacted log, with transactions, rolls, restarts and many compactions, against a plain list of what was written.
/// </summary>
public sealed class CompactionModelTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task CompactionKeepsWhatAReaderOfTheWholeLogEndsUpWith(ulong seed)
    {
        var history = new History(new Prng(seed));
        for (var step = 0; step < 400; step++)
        {
            await history.StepAsync();
            if (step % 20 == 0)
                history.Check($"seed {seed}, step {step}");
        }

        history.EndTransactions();
        await history.CompactFullyAsync();
        history.Check($"seed {seed}, at the end");
        history.CheckThatNothingIsSuperfluous($"seed {seed}, at the end");
        history.Dispose();
    }

    private sealed class History(Prng prng) : IDisposable
    {
        private static readonly CompressionType[] s_codecs = [
            CompressionType.None, CompressionType.None, CompressionType.Gzip, CompressionType.Snappy];
        private readonly Dictionary<long, (string Key, string? Value)> _committed = [];
        private readonly Dictionary<long, (string Key, string? Value)> _all = [];
        private readonly Dictionary<long, List<(long Offset, string Key, string? Value)>> _open = [];
        private readonly Dictionary<long, int> _sequences = [];
        private CompactedLog _log = New(null, prng, null);

        public async Task StepAsync()
        {
            switch (prng.NextUInt64() % 12)
            {
                case 0:
                    _log.Roll();
                    break;
                case 1 or 2:
                    _log.Time.AdvanceMs((long)(prng.NextUInt64() % 800));
                    break;
                case 3:
                    await _log.Manager.Cleaner.CleanDirtiestAsync();
                    Assert.Empty(_log.Manager.Cleaner.Uncleanable);
                    _log.Manager.Tick(Instant.Now(_log.Time));
                    break;
                case 4 when _open.Count > 0:
                    End(_open.Keys.ElementAt((int)(prng.NextUInt64() % (ulong)_open.Count)));
                    break;
                case 5 when prng.NextUInt64() % 4 == 0:
                    Restart();
                    break;
                default:
                    Append();
                    break;
            }
        }

        public void EndTransactions()
        {
            foreach (var producerId in _open.Keys.ToList())
                End(producerId);
        }

        public async Task CompactFullyAsync()
        {
            for (var i = 0; i < 4; i++)
            {
                _log.Append(("final", $"{i}"));
                var offset = _log.Log.LogEndOffset - 1;
                _all[offset] = _committed[offset] = ("final", $"{i}");
                _log.Roll();
                _log.Time.AdvanceMs(5_000);
                while (await _log.Manager.Cleaner.CleanDirtiestAsync())
                {
                }
            }
        }

        /// <summary>
        /// Nothing that is there was not written; and for every key, what committed readers end up with is what they would have without
        /// compaction.
        /// </summary>
        public void Check(string where)
        {
            var records = _log.Records();
            foreach (var (offset, key, value) in records)
                Assert.True(_all[offset] == (key!, value), $"{where}: offset {offset}");
            var aborted = _log.Log.CollectAbortedTransactions(0, long.MaxValue);
            var stable = _log.Log.LastStableOffset;
            var seen = new Dictionary<string, string?>();
            foreach (var (offset, key, value) in records.Where(record => record.Offset < stable && _committed.ContainsKey(record.Offset)))
                seen[key!] = value;
            foreach (var (offset, _, _) in records.Where(record => record.Offset < stable && !_committed.ContainsKey(record.Offset)))
                Assert.True(
                    aborted.Any(transaction => transaction.FirstOffset <= offset && offset <= transaction.LastOffset),
                    $"{where}: aborted offset {offset} is not in the index");
            var expected = new Dictionary<string, string?>();
            foreach (var (_, record) in _committed.Where(pair => pair.Key < stable).OrderBy(pair => pair.Key))
                expected[record.Key] = record.Value;
            Assert.Equal(Alive(expected), Alive(seen));
        }

        public void CheckThatNothingIsSuperfluous(string where)
        {
            var active = _log.Log.ActiveSegmentOffset;
            var records = _log.Records().Where(record => record.Offset < active).ToList();
            Assert.True(records.Select(record => record.Key).Distinct().Count() == records.Count, $"{where}: a key is there twice");
            Assert.All(records, record => Assert.True(_committed.ContainsKey(record.Offset), $"{where}: {record} was aborted"));
        }

        public void Dispose() => _log.Dispose();

        private static CompactedLog New(TestDisk? disk, Prng prng, FakeTimeProvider? time) => new(
            disk,
            CompactedLog.Config with { SegmentBytes = 600 + (int)(prng.NextUInt64() % 2_000) },
            CleanerOptions.Default with
            {
                IoBufferBytes = 400,
                DedupeBufferBytes = KeyOffsetMap.BytesPerSlot * (6 + (long)(prng.NextUInt64() % 40))
            },
            time);

        private void Restart()
        {
            if (prng.NextUInt64() % 2 == 0)
                _log.Manager.Close();
            else
                _log.Log.Flush();
            var old = _log;
            _log = New(old.Disk.Crash(), prng, old.Time);
            old.Dispose();
        }

        private void Append()
        {
            var producerId = (long)(prng.NextUInt64() % 5);
            var isTransactional = producerId is 1 or 2;
            var sequence = _sequences.GetValueOrDefault(producerId);
            var records = new (string? Key, string? Value)[1 + (int)(prng.NextUInt64() % 5)];
            for (var i = 0; i < records.Length; i++)
                records[i] = ($"k{prng.NextUInt64() % 25}", prng.NextUInt64() % 5 == 0 ? null : $"{prng.NextUInt64()}");
            var options = new RecordBatchOptions { Compression = s_codecs[prng.NextUInt64() % (ulong)s_codecs.Length] };
            if (producerId > 0)
                options = options with
                {
                    ProducerId = producerId,
                    ProducerEpoch = 0,
                    BaseSequence = sequence,
                    IsTransactional = isTransactional
                };
            var offset = _log.Append(options, records).FirstOffset;
            _sequences[producerId] = sequence + records.Length;
            foreach (var (key, value) in records)
            {
                _all[offset] = (key!, value);
                if (!isTransactional)
                    _committed[offset] = (key!, value);
                else
                    (_open.TryGetValue(producerId, out var open) ? open : _open[producerId] = []).Add((offset, key!, value));
                offset++;
            }
        }

        private void End(long producerId)
        {
            var commits = prng.NextUInt64() % 2 == 0;
            _log.End(producerId, commits);
            _open.Remove(producerId, out var records);
            foreach (var (offset, key, value) in commits ? records! : [])
                _committed[offset] = (key, value);
        }

        private static IEnumerable<KeyValuePair<string, string?>> Alive(Dictionary<string, string?> values) =>
            values.Where(pair => pair.Value is not null).OrderBy(pair => pair.Key, StringComparer.Ordinal);
    }
}
