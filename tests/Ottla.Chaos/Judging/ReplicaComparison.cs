using System.Globalization;
using Ottla.Chaos.Clients;
using Ottla.Chaos.Machines;

namespace Ottla.Chaos.Judging;

/// <summary>
/// Are the replicas of a partition the same, byte for byte? Followers store what leaders have stored, so all segments of a replica, one
/// behind the other, are what those of the others are. The nodes must be stopped in order.
/// </summary>
internal static class ReplicaComparison
{
    private const string LogSuffix = ".log";
    private const int BufferBytes = 1 << 20;

    /// <summary>Finds replicas that differ.</summary>
    public static IEnumerable<string> Find(IReadOnlyList<Machine> machines, int partitions)
    {
        for (var partition = 0; partition < partitions; partition++)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"{Workload.Topic}-{partition}");
            var replicas = machines.SelectMany(machine => machine.Disks.Select(disk => (machine, Path.Combine(disk.Directory, name))))
                .Where(each => Directory.Exists(each.Item2)).ToList();
            foreach (var (machine, directory) in replicas.Skip(1))
            {
                if (FindDifference(replicas[0].Item2, directory) is { } difference)
                    yield return $"{name} of {replicas[0].machine} and of {machine}: {difference}";
            }
        }
    }

    /// <summary>How two directories of a partition differ; null when they do not.</summary>
    internal static string? FindDifference(string one, string other)
    {
        using var first = new SegmentStream(one);
        using var second = new SegmentStream(other);
        var (a, b) = (new byte[BufferBytes], new byte[BufferBytes]);
        for (var position = 0L; ; position += BufferBytes)
        {
            var (readOfA, readOfB) = (first.Read(a), second.Read(b));
            var common = a.AsSpan(0, Math.Min(readOfA, readOfB)).CommonPrefixLength(b);
            if (common < Math.Min(readOfA, readOfB))
                return string.Create(CultureInfo.InvariantCulture, $"they differ at byte {position + common}");
            if (readOfA != readOfB)
                return string.Create(CultureInfo.InvariantCulture, $"one ends at byte {position + common}, the other goes on");
            if (readOfA < BufferBytes)
                return null;
        }
    }

    /// <summary>The segments of a log, one behind the other.</summary>
    private sealed class SegmentStream(string directory) : IDisposable
    {
        private readonly Queue<string> _files = new(
            Directory.EnumerateFiles(directory).Where(file => file.EndsWith(LogSuffix, StringComparison.Ordinal))
                .Order(StringComparer.Ordinal));

        private FileStream? _open;

        /// <summary>Fills the buffer, or as much as there is.</summary>
        public int Read(Span<byte> buffer)
        {
            var filled = 0;
            while (filled < buffer.Length)
            {
                if (_open is null)
                {
                    if (!_files.TryDequeue(out var file))
                        break;
                    _open = File.OpenRead(file);
                }

                var count = _open.Read(buffer[filled..]);
                filled += count;
                if (count == 0)
                {
                    _open.Dispose();
                    _open = null;
                }
            }

            return filled;
        }

        public void Dispose() => _open?.Dispose();
    }
}
