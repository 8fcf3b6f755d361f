using System.Globalization;
using System.Text;
using Ottla.Storage.Files;

namespace Ottla.Storage.Log;

/// <summary>The start of a leader epoch in a log.</summary>
/// <param name="Epoch">The leader epoch.</param>
/// <param name="StartOffset">The first offset written in it.</param>
public readonly record struct EpochEntry(int Epoch, long StartOffset);

/// <summary>
/// The leader epochs of a log, kept in <c>leader-epoch-checkpoint</c> (KIP-101). They say where a replica truncates after a
/// change of leader.
/// </summary>
/// <remarks>
/// Epochs and start offsets both grow. The file may lack the latest: before the recovery point passes their first batch,
/// <see cref="WriteBack"/> writes them, and until then recovery reads them from the batches. An epoch that has no batches yet costs no
/// write at all. The file must never give batches of one epoch another epoch: a change that would make it wrong is written before the next
/// batch. The log's lock guards it; it lives as long as the log.
/// </remarks>
internal sealed class LeaderEpochCache(IFileSystem fileSystem, string directory)
{
    private readonly List<EpochEntry> _entries = [];
    private string _directory = directory;

    /// <summary>How many entries, from the first on, the file has.</summary>
    private int _writtenCount;

    /// <summary>The file is wrong from this offset on; long.MaxValue when all of it is right.</summary>
    private long _wrongFrom = long.MaxValue;

    /// <summary>The epoch of the last batch that <see cref="Recover"/> accepted, or -1.</summary>
    private int _recoveredEpoch = -1;

    /// <summary>How many batches have <see cref="_recoveredEpoch"/>; the file counts as one more.</summary>
    private int _witnesses;

    /// <summary>The entries of the file when it was read.</summary>
    private readonly HashSet<EpochEntry> _claimed = [];

    /// <summary>Whether the new file is written under its temporary name.</summary>
    private bool _isStaged;

    public string Path => System.IO.Path.Combine(_directory, LogFileNames.LeaderEpochCheckpoint);

    public IReadOnlyList<EpochEntry> Entries => _entries;

    /// <summary>The latest epoch, or -1.</summary>
    public int LatestEpoch => _entries.Count == 0 ? -1 : _entries[^1].Epoch;

    /// <summary>Reads the checkpoint; a missing file is an empty cache.</summary>
    /// <exception cref="InvalidDataException">The file is not such a checkpoint; the cache is empty then.</exception>
    public void Load()
    {
        foreach (var entry in Read(fileSystem, Path).ToList())
            Add(entry);
        _writtenCount = _entries.Count;
        _claimed.UnionWith(_entries);
    }

    /// <summary>Reads the lines of a checkpoint; a missing file has none.</summary>
    /// <exception cref="InvalidDataException">The file is not such a checkpoint.</exception>
    public static IEnumerable<EpochEntry> Read(IFileSystem fileSystem, string path)
    {
        foreach (var line in CheckpointText.Read(fileSystem, path))
        {
            var space = line.IndexOf(' ');
            if (space < 0
                || !int.TryParse(line.AsSpan(0, space), NumberStyles.None, CultureInfo.InvariantCulture, out var epoch)
                || !long.TryParse(line.AsSpan(space + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var startOffset))
                throw new InvalidDataException($"{path} has the malformed line '{line}'.");
            yield return new EpochEntry(epoch, startOffset);
        }
    }

    /// <summary>
    /// Notes that <paramref name="epoch"/> starts at <paramref name="startOffset"/>, where its batches may follow later, and drops epochs
    /// that contradict it. Does nothing when the epoch is known.
    /// </summary>
    public void Begin(int epoch, long startOffset)
    {
        if (_entries.Count > 0 && _entries[^1].Epoch == epoch && _entries[^1].StartOffset <= startOffset)
            return;
        ArgumentOutOfRangeException.ThrowIfNegative(epoch);
        ArgumentOutOfRangeException.ThrowIfNegative(startOffset);
        Add(new EpochEntry(epoch, startOffset));
    }

    /// <summary>As <see cref="Begin"/>, for batches that are about to be written.</summary>
    public void Assign(int epoch, long startOffset)
    {
        Begin(epoch, startOffset);
        if (_wrongFrom != long.MaxValue)
            Write();
    }

    /// <summary>
    /// Notes the epoch of a batch that recovery found, in the order of the log, and drops the file's entries from its offset on that
    /// contradict it. <see cref="Save"/> writes the file.
    /// </summary>
    /// <remarks>
    /// The checksum of a batch does not cover its epoch: a bit may flip, and a torn write may damage an epoch and nothing else. A damaged
    /// epoch must not remove those of the other batches. Where epochs go down, one of the two batches is wrong: the earlier one if no other
    /// has its epoch, otherwise the later one.
    /// </remarks>
    /// <returns>False when the epoch contradicts the known ones.</returns>
    public bool Recover(int epoch, long baseOffset)
    {
        if (epoch < 0)
            return true;
        var isConsistent = true;
        var later = _entries.FindIndex(entry => entry.StartOffset > baseOffset
            || (entry.StartOffset == baseOffset && entry.Epoch != epoch));
        if (later >= 0)
        {
            var claimed = _entries[later]; // it may start later, or it had no batches
            isConsistent = claimed.StartOffset > baseOffset ? claimed.Epoch > epoch : claimed.Epoch < epoch;
            Keep(later);
        }

        if (LatestEpoch > epoch)
        {
            if (_recoveredEpoch == LatestEpoch && _witnesses > 1)
                return false;
            isConsistent = false;
            var known = _entries.FindIndex(entry => entry.Epoch >= epoch);
            if (_entries[known].Epoch == epoch)
                Keep(known + 1);
            else if (_recoveredEpoch != LatestEpoch)
                Keep(known); // only the file says that there was a later one
            else
                return false;
        }

        var entry = new EpochEntry(epoch, baseOffset);
        if (LatestEpoch != epoch)
        {
            Add(entry);
            _witnesses = _claimed.Contains(entry) ? 1 : 0;
        }
        else if (_recoveredEpoch != epoch)
        {
            _witnesses = 1; // the file, or the batches before one that was wrong
        }

        _witnesses++;
        _recoveredEpoch = epoch;
        return isConsistent;
    }

    /// <summary>Drops all epochs, so that <see cref="Recover"/> takes them from all batches of the log.</summary>
    public void BeginRecovery()
    {
        Keep(0);
        _recoveredEpoch = -1;
        _witnesses = 0;
    }

    /// <summary>Writes the file if <see cref="Recover"/> has changed something, or if it is missing.</summary>
    public void Save()
    {
        if (_wrongFrom != long.MaxValue || _writtenCount < _entries.Count || !fileSystem.FileExists(Path))
            Write();
    }

    /// <summary>The end offset of the largest epoch not after <paramref name="epoch"/>, as OffsetForLeaderEpoch answers it.</summary>
    public EpochEndOffset EndOffsetFor(int epoch, long logEndOffset)
    {
        if (epoch < 0)
            return new EpochEndOffset(-1, -1);
        if (LatestEpoch == epoch)
            return new EpochEndOffset(epoch, logEndOffset);
        // A loop, not a lambda: followers ask with every fetch, and a lambda would be an allocation.
        for (var higher = 0; higher < _entries.Count; higher++)
        {
            if (_entries[higher].Epoch > epoch)
                return new EpochEndOffset(higher == 0 ? epoch : _entries[higher - 1].Epoch, _entries[higher].StartOffset);
        }

        return new EpochEndOffset(-1, -1);
    }

    /// <summary>Where an epoch starts, or -1 when it is not known.</summary>
    public long StartOffsetOf(int epoch)
    {
        for (var i = _entries.Count - 1; i >= 0 && _entries[i].Epoch >= epoch; i--)
        {
            if (_entries[i].Epoch == epoch)
                return _entries[i].StartOffset;
        }

        return -1;
    }

    /// <summary>The epoch in which <paramref name="offset"/> was written, or -1.</summary>
    public int EpochForOffset(long offset)
    {
        var higher = _entries.FindIndex(entry => entry.StartOffset > offset);
        var index = (higher < 0 ? _entries.Count : higher) - 1;
        return index < 0 ? -1 : _entries[index].Epoch;
    }

    /// <summary>
    /// Drops the epochs that start at <paramref name="endOffset"/> or after it. The file changes with the next batch: until then a load
    /// ignores its entries past the end of the log.
    /// </summary>
    public void TruncateFromEnd(long endOffset)
    {
        var first = _entries.FindIndex(entry => entry.StartOffset >= endOffset);
        if (first >= 0)
            Keep(first);
    }

    /// <summary>Drops the epochs that end before <paramref name="startOffset"/>. The epoch of that offset starts there then.</summary>
    public void TruncateFromStart(long startOffset)
    {
        var covered = _entries.FindLastIndex(entry => entry.StartOffset <= startOffset);
        if (covered < 0 || (covered == 0 && _entries[0].StartOffset == startOffset))
            return;
        var epoch = _entries[covered].Epoch;
        _entries.RemoveRange(0, covered + 1);
        _entries.Insert(0, new EpochEntry(epoch, startOffset));
        WriteAll();
    }

    /// <summary>Drops all epochs.</summary>
    public void Clear()
    {
        if (_entries.Count == 0)
            return;
        _entries.Clear();
        WriteAll();
    }

    /// <summary>
    /// Writes the epochs with batches before <paramref name="endOffset"/> that the file lacks, so that the recovery point may advance to
    /// it.
    /// </summary>
    /// <exception cref="DiskFullException">The disk is full.</exception>
    public void WriteBack(long endOffset)
    {
        if (NeedsWrite(endOffset))
            WriteNow();
    }

    /// <summary>As <see cref="WriteBack"/>, in two steps with a flush of the volume after each.</summary>
    /// <exception cref="DiskFullException">The disk is full.</exception>
    public void Stage(long endOffset)
    {
        _isStaged = NeedsWrite(endOffset);
        if (_isStaged)
            CheckpointText.Stage(fileSystem, Path, _entries.Count, Text());
    }

    /// <summary>As <see cref="Save"/>, in two steps.</summary>
    public void StageSave()
    {
        _isStaged = _wrongFrom != long.MaxValue || _writtenCount < _entries.Count || !fileSystem.FileExists(Path);
        if (_isStaged)
            CheckpointText.Stage(fileSystem, Path, _entries.Count, Text());
    }

    /// <summary>The second step.</summary>
    public void PublishStaged()
    {
        if (!_isStaged)
            return;
        fileSystem.PublishFile(Path);
        _isStaged = false;
        NoteWritten();
    }

    private bool NeedsWrite(long endOffset) =>
        _wrongFrom < endOffset || (_writtenCount < _entries.Count && _entries[_writtenCount].StartOffset < endOffset);

    /// <summary>Writes the epochs to another directory, and uses that from now on.</summary>
    public void CopyTo(string directory)
    {
        MovedTo(directory);
        WriteNow();
    }

    /// <summary>Notes the new name of the directory.</summary>
    public void MovedTo(string directory) => _directory = directory;

    private void Add(EpochEntry entry)
    {
        // The new entry wins: entries with a later epoch or a later start were never committed.
        var count = _entries.Count;
        while (count > 0 && (_entries[count - 1].Epoch >= entry.Epoch || _entries[count - 1].StartOffset >= entry.StartOffset))
            count--;
        Keep(count);
        _entries.Add(entry);
    }

    /// <summary>Drops all but the first <paramref name="count"/> entries.</summary>
    private void Keep(int count)
    {
        if (count < _writtenCount)
        {
            _wrongFrom = Math.Min(_wrongFrom, _entries[count].StartOffset);
            _writtenCount = count;
        }

        _entries.RemoveRange(count, _entries.Count - count);
    }

    /// <summary>Writes the file because entries in it have changed.</summary>
    private void WriteAll()
    {
        _writtenCount = 0;
        _wrongFrom = long.MinValue;
        Write();
    }

    private void Write()
    {
        try
        {
            WriteNow();
        }
        catch (DiskFullException)
        {
            // The recovery point stays before these epochs until Flush has written them. Until then recovery reads them from the batches.
        }
    }

    private string Text()
    {
        var text = new StringBuilder();
        foreach (var entry in _entries)
            text.Append(CultureInfo.InvariantCulture, $"{entry.Epoch} {entry.StartOffset}\n");
        return text.ToString();
    }

    private void WriteNow()
    {
        CheckpointText.Write(fileSystem, Path, _entries.Count, Text());
        NoteWritten();
    }

    private void NoteWritten()
    {
        _writtenCount = _entries.Count;
        _wrongFrom = long.MaxValue;
    }
}
