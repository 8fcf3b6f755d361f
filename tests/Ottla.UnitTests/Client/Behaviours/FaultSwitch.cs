using Ottla.Protocol.Messages;
using Ottla.Protocol;
using Ottla.Simulator.Faults;
using Ottla.Testing;

namespace Ottla.UnitTests.Client.Behaviours;

/// <summary>What goes wrong while a behaviour is shown.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Decide">Says what becomes of a request; may start something in the cluster.</param>
internal sealed record FaultSwitch(string Name, Func<BehaviourRun, SeenRequest, RequestFault?> Decide)
{
    private static readonly ErrorCode[] s_coordinatorErrors =
        [ErrorCode.NotCoordinator, ErrorCode.CoordinatorNotAvailable, ErrorCode.CoordinatorLoadInProgress];

    /// <summary>Longer than a request may take.</summary>
    public static readonly TimeSpan Late = TimeSpan.FromSeconds(3);

    private static readonly HashSet<ApiKey> s_ofLeaders =
        [ApiKey.Produce, ApiKey.Fetch, ApiKey.ListOffsets, ApiKey.OffsetForLeaderEpoch, ApiKey.DeleteRecords, ApiKey.DescribeProducers];

    private static readonly HashSet<ApiKey> s_ofCoordinators =
    [
        ApiKey.JoinGroup, ApiKey.SyncGroup, ApiKey.Heartbeat, ApiKey.LeaveGroup, ApiKey.OffsetCommit, ApiKey.OffsetFetch,
        ApiKey.ConsumerGroupHeartbeat, ApiKey.InitProducerId, ApiKey.AddPartitionsToTxn, ApiKey.AddOffsetsToTxn, ApiKey.TxnOffsetCommit,
        ApiKey.EndTxn, ApiKey.DescribeGroups, ApiKey.ConsumerGroupDescribe, ApiKey.DeleteGroups, ApiKey.OffsetDelete,
        ApiKey.DescribeTransactions,
    ];

    private static readonly HashSet<ApiKey> s_ofControllers =
    [
        ApiKey.CreateTopics, ApiKey.DeleteTopics, ApiKey.CreatePartitions, ApiKey.IncrementalAlterConfigs, ApiKey.ElectLeaders,
        ApiKey.AlterPartitionReassignments, ApiKey.ListPartitionReassignments, ApiKey.AlterClientQuotas, ApiKey.AlterUserScramCredentials,
        ApiKey.UpdateFeatures, ApiKey.DescribeQuorum,
    ];

    /// <summary>
    /// All of them. The first request of each API meets its fault, the second one does not, and so on for a while: whatever is sent, it is
    /// disturbed at its first attempt. Not for ever, since two things that wait for each other could keep step with it.
    /// </summary>
    public static IReadOnlyDictionary<string, FaultSwitch> All { get; } = new FaultSwitch[]
    {
        new("none", (_, _) => null),
        Each("reset before every request", new RequestFault.Cut()),
        Each("reset after every request", new RequestFault.CutAfter()),
        Once("answers lost", new RequestFault.Drop()),
        Each("answers late", new RequestFault.Delay(Late)),
        new("errors", (_, request) => IsMet(request) ? ErrorFor(request) : null),
        new("leaders moved", (run, request) => Moves(request, s_ofLeaders, run.MoveLeaders)),
        new("coordinators moved", (run, request) => Moves(request, s_ofCoordinators, run.MoveCoordinators)),
        new("controller moved", (run, request) => Moves(request, s_ofControllers, run.MoveController)),
    }.ToDictionary(each => each.Name);

    private static FaultSwitch Each(string name, RequestFault fault) => new(name, (_, request) => IsMet(request) ? fault : null);

    /// <summary>A fault that costs seconds each time.</summary>
    private static FaultSwitch Once(string name, RequestFault fault) => new(name, (_, request) => request.Number == 1 ? fault : null);

    /// <summary>Those that wait for the other members of a group may take long; they are disturbed once.</summary>
    private static bool IsMet(SeenRequest request) =>
        request.Number == 1 || (request.Number is 3 or 5 && request.Key is not (ApiKey.JoinGroup or ApiKey.SyncGroup));

    private static RequestFault? Moves(SeenRequest request, HashSet<ApiKey> apis, Action move)
    {
        if (apis.Contains(request.Key) && request.Number is 1 or 4)
            move();
        return null;
    }

    private static RequestFault? ErrorFor(SeenRequest request) => request.Key switch
    {
        ApiKey.Produce => new RequestFault.Refuse(ErrorCode.NotLeaderOrFollower),
        ApiKey.FindCoordinator => new RequestFault.Refuse(ErrorCode.CoordinatorNotAvailable, ErrorLevel.Items),
        ApiKey.Metadata => new RequestFault.RefuseAfter(ErrorCode.LeaderNotAvailable, ErrorLevel.Items),
        ApiKey.Fetch or ApiKey.ListOffsets => new RequestFault.RefuseAfter(ErrorCode.NotLeaderOrFollower, ErrorLevel.Items),
        ApiKey.CreateTopics or ApiKey.DeleteTopics or ApiKey.CreatePartitions =>
            new RequestFault.Refuse(ErrorCode.NotController, ErrorLevel.Items),
        ApiKey.SyncGroup => new RequestFault.Refuse(ErrorCode.NotCoordinator), // a coordinator that loads does not know whom it answers
        _ when s_ofCoordinators.Contains(request.Key) =>
            new RequestFault.Refuse(s_coordinatorErrors[request.Number / 2 % s_coordinatorErrors.Length]),
        _ => null,
    };
}
