using System.Text;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Cluster;

/// <summary>Prints the quorum of controllers as kafka-metadata-quorum does.</summary>
internal static class QuorumDescriptionText
{
    private const long Unknown = -1;

    /// <summary><c>describe --status</c>.</summary>
    public static string Status(string clusterId, QuorumDescription quorum)
    {
        var leader = LeaderOf(quorum);
        var last = quorum.Voters.MinBy(voter => voter.LogEndOffset) ?? leader;
        var lagMs = last == leader ? 0
            : leader.LastCaughtUp is not { } leaderAt || last.LastCaughtUp is not { } lastAt ? Unknown
                : (long)(leaderAt - lastAt).TotalMilliseconds;
        return $"ClusterId:              {clusterId}\n"
            + $"LeaderId:               {quorum.LeaderId}\n"
            + $"LeaderEpoch:            {quorum.LeaderEpoch}\n"
            + $"HighWatermark:          {quorum.HighWatermark}\n"
            + $"MaxFollowerLag:         {leader.LogEndOffset - last.LogEndOffset}\n"
            + $"MaxFollowerLagTimeMs:   {lagMs}\n"
            + $"CurrentVoters:          {Replicas(quorum.Voters, quorum)}\n"
            + $"CurrentObservers:       {Replicas(quorum.Observers, quorum)}\n";
    }

    /// <summary><c>describe --replication</c>.</summary>
    /// <param name="quorum">The quorum.</param>
    /// <param name="now">For <c>--human-readable</c>: the time that others are relative to; null for absolute times.</param>
    public static string Replication(QuorumDescription quorum, DateTimeOffset? now)
    {
        var leader = LeaderOf(quorum);
        return TabTable.Of(
            ["NodeId", "DirectoryId", "LogEndOffset", "Lag", "LastFetchTimestamp", "LastCaughtUpTimestamp", "Status"],
            [
                Row(leader, "Leader"), .. quorum.Voters.Where(voter => voter != leader).Select(voter => Row(voter, "Follower")),
                .. quorum.Observers.Where(observer => observer != leader).Select(observer => Row(observer, "Observer")),
            ]);

        string[] Row(QuorumReplica replica, string status) =>
        [
            $"{replica.Id}", $"{replica.DirectoryId}", $"{replica.LogEndOffset}", $"{leader.LogEndOffset - replica.LogEndOffset}",
            Time(replica.LastFetch), Time(replica.LastCaughtUp), status,
        ];

        // The leader's clock may be ahead of ours.
        string Time(DateTimeOffset? time) => time is not { } at ? $"{Unknown}"
            : now is not { } instant ? $"{at.ToUnixTimeMilliseconds()}" : $"{Math.Max(0, (long)(instant - at).TotalMilliseconds)} ms ago";
    }

    /// <summary><c>CONTROLLER://host:port</c>; an IPv6 address has brackets.</summary>
    public static string Endpoint(RaftVoterEndpoint endpoint) =>
        $"{endpoint.Listener}://{(endpoint.Host.Contains(':') ? $"[{endpoint.Host}]" : endpoint.Host)}:{endpoint.Port}";

    /// <summary>The leader. A leader that is removed from the voters leads on as an observer until the removal is committed.</summary>
    private static QuorumReplica LeaderOf(QuorumDescription quorum) =>
        quorum.Voters.Concat(quorum.Observers).FirstOrDefault(replica => replica.Id == quorum.LeaderId)
        ?? throw new ToolException($"The leader, node {quorum.LeaderId}, is neither a voter nor an observer of its own quorum.");

    private static string Replicas(IEnumerable<QuorumReplica> replicas, QuorumDescription quorum) =>
        $"[{string.Join(", ", replicas.Select(replica => Replica(replica, quorum.Nodes.GetValueOrDefault(replica.Id))))}]";

    private static string Replica(QuorumReplica replica, IReadOnlyList<RaftVoterEndpoint>? endpoints)
    {
        var text = new StringBuilder($"{{\"id\": {replica.Id}");
        if (replica.DirectoryId != Uuid.Zero)
            text.Append($", \"directoryId\": \"{replica.DirectoryId}\"");
        if (endpoints is { Count: > 0 })
            text.Append($", \"endpoints\": [{string.Join(", ", endpoints.Select(endpoint => $"\"{Endpoint(endpoint)}\""))}]");
        return text.Append('}').ToString();
    }
}
