using System.Globalization;
using System.Text;
using Ottla.Kernel;
using Ottla.Protocol.Messages;

namespace Ottla.Cli.Quorum;

/// <summary>Prints an answer to DescribeQuorum as kafka-metadata-quorum does.</summary>
internal static class QuorumText
{
    private const long Unknown = -1;

    /// <summary><c>describe --status</c>.</summary>
    public static string Status(
        string clusterId, DescribeQuorumResponse.PartitionData quorum, IReadOnlyList<DescribeQuorumResponse.Node> nodes)
    {
        var leader = LeaderOf(quorum);
        var last = quorum.CurrentVoters.MinBy(voter => voter.LogEndOffset) ?? leader;
        var lagMs = last == leader ? 0
            : leader.LastCaughtUpTimestamp == Unknown || last.LastCaughtUpTimestamp == Unknown ? Unknown
            : leader.LastCaughtUpTimestamp - last.LastCaughtUpTimestamp;
        return string.Create(CultureInfo.InvariantCulture, $"""
            ClusterId:              {clusterId}
            LeaderId:               {quorum.LeaderId}
            LeaderEpoch:            {quorum.LeaderEpoch}
            HighWatermark:          {quorum.HighWatermark}
            MaxFollowerLag:         {leader.LogEndOffset - last.LogEndOffset}
            MaxFollowerLagTimeMs:   {lagMs}
            CurrentVoters:          {Replicas(quorum.CurrentVoters, nodes)}
            CurrentObservers:       {Replicas(quorum.Observers, nodes)}

            """).ReplaceLineEndings("\n");
    }

    /// <summary><c>describe --replication</c>.</summary>
    /// <param name="quorum">The answer.</param>
    /// <param name="now">For <c>--human-readable</c>: the time that others are relative to; null for absolute times.</param>
    public static string Replication(DescribeQuorumResponse.PartitionData quorum, Instant? now)
    {
        var leader = LeaderOf(quorum);
        var followers = quorum.CurrentVoters.Where(voter => voter != leader);
        string[][] rows =
        [
            ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"],
            Row(leader, "Leader"), .. followers.Select(voter => Row(voter, "Follower")),
            .. quorum.Observers.Where(observer => observer != leader).Select(observer => Row(observer, "Observer")),
        ];
        return Table(rows);

        string[] Row(DescribeQuorumResponse.ReplicaState replica, string status) =>
        [
            Number(replica.ReplicaId), replica.ReplicaDirectoryId.ToString(), Number(replica.LogEndOffset),
            Number(leader.LogEndOffset - replica.LogEndOffset), Time(replica.LastFetchTimestamp), Time(replica.LastCaughtUpTimestamp),
                status,
        ];

        // The leader's clock may be ahead of ours.
        string Time(long milliseconds) => milliseconds == Unknown || now is not { } instant
            ? Number(milliseconds)
            : $"{Number(Math.Max(0, instant.UnixMilliseconds - milliseconds))} ms ago";
    }

    /// <summary>The leader. A leader that is removed from the voters leads on as an observer until the removal is committed.</summary>
    private static DescribeQuorumResponse.ReplicaState LeaderOf(DescribeQuorumResponse.PartitionData quorum) =>
        quorum.CurrentVoters.Concat(quorum.Observers).FirstOrDefault(replica => replica.ReplicaId == quorum.LeaderId)
        ?? throw new Admin.AdminException($"The leader, node {quorum.LeaderId}, is neither a voter nor an observer of its own quorum.");

    private static string Replicas(
        IEnumerable<DescribeQuorumResponse.ReplicaState> replicas, IReadOnlyList<DescribeQuorumResponse.Node> nodes) =>
        "["
        + string.Join(", ", replicas.Select(replica => Replica(replica, nodes.FirstOrDefault(node => node.NodeId == replica.ReplicaId))))
        + "]";

    private static string Replica(DescribeQuorumResponse.ReplicaState replica, DescribeQuorumResponse.Node? node)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"{{\"id\": {replica.ReplicaId}");
        if (replica.ReplicaDirectoryId != Uuid.Zero)
            text.Append(CultureInfo.InvariantCulture, $", \"directoryId\": \"{replica.ReplicaDirectoryId}\"");
        if (node is { Listeners.Length: > 0 })
        {
            var endpoints = node.Listeners.Select(listener => $"\"{Endpoint(listener.Name, listener.Host, listener.Port)}\"");
            text.Append(CultureInfo.InvariantCulture, $", \"endpoints\": [{string.Join(", ", endpoints)}]");
        }

        return text.Append('}').ToString();
    }

    /// <summary><c>CONTROLLER://host:port</c>; an IPv6 address has brackets.</summary>
    public static string Endpoint(string listener, string host, int port) =>
        string.Create(
            CultureInfo.InvariantCulture, $"{listener}://{(host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host)}:{port}");

    /// <summary>Lays out columns as wide as their widest cell, each with a tab behind it.</summary>
    private static string Table(string[][] rows)
    {
        var text = new StringBuilder();
        var widths = Enumerable.Range(0, rows[0].Length).Select(column => rows.Max(row => row[column].Length)).ToArray();
        foreach (var row in rows)
        {
            for (var column = 0; column < row.Length; column++)
                text.Append(row[column].PadRight(widths[column])).Append('\t');
            text.Append('\n');
        }

        return text.ToString();
    }

    private static string Number(long value) => value.ToString(CultureInfo.InvariantCulture);
}
