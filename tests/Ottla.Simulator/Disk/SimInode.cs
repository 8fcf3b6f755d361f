using Ottla.Kernel;
using Ottla.Storage.Files;

namespace Ottla.Simulator.Disk;

/// <summary>What a name leads to: a file or a directory. Lives as long as a name, or somebody who opened it, does.</summary>
internal abstract class SimInode;

/// <summary>
/// A directory as the process sees it, and as the platter has it. Between the two lie the name changes that the disk keeps in order.
/// </summary>
internal sealed class SimDirectory : SimInode
{
    public SortedDictionary<string, SimInode> Names { get; } = new(StringComparer.Ordinal);

    public SortedDictionary<string, SimInode> DurableNames { get; } = new(StringComparer.Ordinal);

    /// <summary>Grows with every change of a name in it, or of a file's bytes: who looks again need not read all anew.</summary>
    public long Version { get; set; }
}

/// <summary>A creation, removal or rename that is not yet on the platter.</summary>
/// <param name="Directory">Where.</param>
/// <param name="Name">The name that comes, changes or goes.</param>
/// <param name="Node">What the name leads to now; null when it is gone.</param>
/// <param name="OldName">For a rename: the name that is gone in the same step.</param>
internal sealed record NameChange(SimDirectory Directory, string Name, SimInode? Node, string? OldName)
{
    public void Apply(SortedDictionary<string, SimInode> names)
    {
        Directory.Version++;
        if (OldName is not null)
            names.Remove(OldName);
        if (Node is null)
            names.Remove(Name);
        else
            names[Name] = Node;
    }
}

/// <summary>A file: its bytes as the process sees them (the page cache), those on the platter, and the changes in between.</summary>
internal sealed class SimFileNode : SimInode
{
    /// <summary>What a disk writes as a whole, or tears only when it loses power in the middle of it.</summary>
    private const int SectorBytes = 512;

    private const int KeptPercent = 55;
    private const int TornPercent = 15;

    private readonly InMemoryNode _platter;
    private readonly List<Change> _unsynced = [];

    public SimFileNode(InMemoryNode content)
    {
        Cache = content;
        _platter = content.Clone();
    }

    public InMemoryNode Cache { get; }

    /// <summary>Where it lies.</summary>
    public SimDirectory? Directory { get; set; }

    /// <summary>Has no name any more: its bytes take no space once it is closed.</summary>
    public bool IsUnlinked { get; set; }

    public void Write(long position, ReadOnlySpan<byte> source)
    {
        if (position < Cache.Length)
            Rewrites++;
        Touch();
        Cache.Write(position, source);
        _unsynced.Add(new Change(position, source.ToArray(), 0));
    }

    /// <summary>How often it was cut or written over: what was read of it before may not be there any more.</summary>
    public int Rewrites { get; private set; }

    /// <summary>Whether the platter has all that the process sees.</summary>
    public bool IsSynced => _unsynced.Count == 0;

    public void SetLength(long length)
    {
        if (length < Cache.Length)
            Rewrites++;
        Touch();
        Cache.SetLength(length);
        _unsynced.Add(new Change(0, null, length));
    }

    private void Touch()
    {
        if (Directory is not null)
            Directory.Version++;
    }

    public void Flush()
    {
        foreach (var change in _unsynced)
        {
            if (change.Bytes is null)
                _platter.SetLength(change.Length);
            else if (!change.IsLost)
                _platter.Write(change.Position, change.Bytes);
            else
                _platter.SetLength(Math.Max(_platter.Length, change.Position + change.Bytes.Length));
        }

        _unsynced.Clear();
    }

    /// <summary>After a failed flush the kernel takes the pages for clean: a later flush does not write them.</summary>
    public void FailFlush()
    {
        for (var i = 0; i < _unsynced.Count; i++)
            _unsynced[i] = _unsynced[i] with { IsLost = true };
    }

    public void FlipBit(long position, int bit)
    {
        foreach (var node in (InMemoryNode[])[Cache, _platter])
        {
            Span<byte> value = [0];
            if (node.Read(position, value) == 1)
                node.Write(position, [(byte)(value[0] ^ (1 << bit))]);
        }
    }

    /// <summary>
    /// What a machine finds that starts after the power was lost: of every unsynced write all, nothing or some of it, under a length that
    /// the file had at some time since the last flush.
    /// </summary>
    public SimFileNode AfterPowerLoss(Prng random)
    {
        var found = _platter.Clone();
        found.LastWriteMs = Cache.LastWriteMs;
        if (_unsynced.Count == 0)
            return new SimFileNode(found);
        var everything = random.NextChance(25);
        var nothing = !everything && random.NextChance(33);
        var lengthChanges = everything ? _unsynced.Count : nothing ? 0 : random.NextInt(_unsynced.Count + 1);
        var length = found.Length;
        for (var i = 0; i < _unsynced.Count; i++)
        {
            var change = _unsynced[i];
            if (i < lengthChanges)
                length = change.Bytes is null ? change.Length : Math.Max(length, change.Position + change.Bytes.Length);
            if (change.Bytes is not null && !nothing)
                WriteSome(found, change, everything, random);
            else if (change.Bytes is null && i < lengthChanges)
                found.SetLength(change.Length);
        }

        found.SetLength(length);
        return new SimFileNode(found);
    }

    private static void WriteSome(InMemoryNode target, Change change, bool everything, Prng random)
    {
        var rest = change.Bytes.AsSpan();
        for (var position = change.Position; !rest.IsEmpty;)
        {
            var sector = rest[..(int)Math.Min(rest.Length, SectorBytes - position % SectorBytes)];
            var fate = everything ? 0 : random.NextInt(100);
            if (fate < KeptPercent)
                target.Write(position, sector);
            else if (fate < KeptPercent + TornPercent)
                target.Write(position, sector[..random.NextInt(sector.Length)]);
            position += sector.Length;
            rest = rest[sector.Length..];
        }
    }

    /// <summary>A write, or a new length when there are no bytes.</summary>
    private readonly record struct Change(long Position, byte[]? Bytes, long Length, bool IsLost = false);
}
