using System.Globalization;

namespace Ottla.Chaos.Clients;

/// <summary>A client that reads the topic: as a member of a group, which commits what it has read, or all partitions by itself.</summary>
internal sealed class Reader : ClientProcess
{
    private readonly Dictionary<int, long> _highest = [];

    private Reader(ClientProgram program, string name, string group, string folder, IReadOnlyList<string> arguments, RunLog log)
        : base(program, name, folder, arguments, log) => Group = group;

    /// <summary>The group of no group.</summary>
    public const string NoGroup = "-";

    public string Group { get; }

    public bool IsMember => Group != NoGroup;

    /// <summary>Who has to have read everything: the group, or this reader.</summary>
    public string Audience => IsMember ? Group : Name;

    /// <summary>What it did, in order. Only after the end.</summary>
    public List<ReaderEvent> Events { get; } = [];

    /// <summary>Starts one.</summary>
    /// <param name="program">Its library.</param>
    /// <param name="name">Its name in the run's folder.</param>
    /// <param name="setting">Where it works.</param>
    /// <param name="group">Its group, or <see cref="NoGroup"/>.</param>
    public static Reader Start(ClientProgram program, string name, ClientSetting setting, string group) => new(
        program, name, group, setting.Folder,
        ["read", setting.Bootstrap, setting.Topic, setting.Partitions.ToString(CultureInfo.InvariantCulture), group], setting.Log);

    /// <summary>How many records it has read.</summary>
    public int Count { get; private set; }

    /// <summary>The highest offset of a partition that it has read; -1 when none.</summary>
    public long HighestOf(int partition)
    {
        lock (Lock)
            return _highest.GetValueOrDefault(partition, -1);
    }

    protected override void OnLine(string[] words, TimeSpan now)
    {
        switch (words)
        {
            case ["poll", var partition, var offset, var value]:
                var polled = new ReaderEvent(ReaderEventKind.Poll, now, (int)Number(partition), Number(offset), Number(value));
                _highest[polled.Partition] = Math.Max(polled.Offset, _highest.GetValueOrDefault(polled.Partition, -1));
                Events.Add(polled);
                Count++;
                break;
            case ["commit", var partition, var offset]:
                Events.Add(new ReaderEvent(ReaderEventKind.Commit, now, (int)Number(partition), Number(offset)));
                break;
            case ["assign", .. var partitions]:
                Events.AddRange(partitions.Where(each => each.Length > 0)
                    .Select(each => new ReaderEvent(ReaderEventKind.Assign, now, (int)Number(each))));
                break;
            case ["revoke", ..]:
                break; // the next owner's assignment counts
            case ["uncommitted", ..] or ["fatal", ..] or ["error", ..]:
                OnError(words, now);
                break;
            default:
                throw new InvalidDataException($"{Name} tells '{string.Join(' ', words)}'");
        }
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);
}

internal enum ReaderEventKind
{
    /// <summary>A record was read.</summary>
    Poll,

    /// <summary>An offset was committed, and that was answered.</summary>
    Commit,

    /// <summary>A group gave the reader a partition: it goes on where the group has committed.</summary>
    Assign,
}

/// <summary>Something that a reader did.</summary>
internal readonly record struct ReaderEvent(ReaderEventKind Kind, TimeSpan At, int Partition, long Offset = -1, long Value = -1);
