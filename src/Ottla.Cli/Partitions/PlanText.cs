using System.Globalization;
using System.Text;
using Ottla.StateMachines.Balancing;

namespace Ottla.Cli.Partitions;

/// <summary>A plan for people.</summary>
internal static class PlanText
{
    /// <summary>More moves than this are only counted: the file has them all.</summary>
    private const int MovesMax = 50;

    /// <summary>What is moved and why, and what each broker and rack carries before and after.</summary>
    public static string Of(ReassignmentPlan plan)
    {
        var text = new StringBuilder();
        Summarize(plan, text);
        if (plan.Moves.Length > 0)
        {
            text.Append('\n');
            text.Append(TextTable.Of(
            [
                ["PARTITION", "FROM", "TO", "COPIES", "WHY"],
                .. plan.Moves.Take(MovesMax).Select(move => (string[])
                [
                    move.Partition.ToString(), string.Join(',', move.From), string.Join(',', move.To), ByteText.Of(move.BytesToCopy),
                    string.Join(", ", Names(move.Reasons)),
                ]),
            ]));
            if (plan.Moves.Length > MovesMax)
                text.Append(CultureInfo.InvariantCulture, $"... and {plan.Moves.Length - MovesMax} more: --output FILE writes them all.\n");
        }

        text.Append('\n').Append(Brokers(plan));
        if (plan.Brokers.Any(broker => broker.Broker.Rack is not null))
            text.Append('\n').Append(Racks(plan));
        return text.ToString();
    }

    /// <summary>What cannot be moved away from a broker that is to be removed, and what to do.</summary>
    public static string Stuck(IReadOnlyList<StuckReplica> stuck)
    {
        var text = new StringBuilder();
        foreach (var broker in stuck.GroupBy(replica => (replica.Broker, replica.LacksRoom)))
        {
            var names = string.Join(", ", broker.Take(5).Select(replica => replica.Partition));
            var more = broker.Count() > 5 ? $" and {broker.Count() - 5} more" : "";
            var reason = broker.Key.LacksRoom
                ? "no broker that could take them has room: add a broker or disks"
                : "every other broker has a replica of them already, or takes none: add a broker, or lower their replication factor";
            text.Append(CultureInfo.InvariantCulture, $"Broker {broker.Key.Broker} cannot be emptied of {names}{more}: {reason}.\n");
        }

        return text.ToString();
    }

    /// <summary>The names of reasons.</summary>
    public static IEnumerable<string> Names(MoveReasons reasons)
    {
        if ((reasons & MoveReasons.BrokerLeaves) != 0)
            yield return "broker leaves";
        if ((reasons & MoveReasons.Racks) != 0)
            yield return "racks";
        if ((reasons & MoveReasons.Replicas) != 0)
            yield return "replicas";
        if ((reasons & MoveReasons.Bytes) != 0)
            yield return "bytes";
        if ((reasons & MoveReasons.Leaders) != 0)
            yield return "leaders";
    }

    private static void Summarize(ReassignmentPlan plan, StringBuilder text)
    {
        if (plan.Moves.IsEmpty && plan.Elections.IsEmpty)
        {
            text.Append("Nothing is to be moved.\n");
            return;
        }

        var moved = plan.Moves.Count(move => move.To.Except(move.From).Any());
        var reordered = plan.Moves.Length - moved;
        var copied = ByteText.Of(plan.BytesToCopy);
        Count(text, moved, $"partition moves: {copied} are copied.", $"partitions move: {copied} are copied.");
        Count(
            text, reordered, "partition changes only the order of its replicas.", "partitions change only the order of their replicas.");
        Count(
            text, plan.Elections.Length, "partition gets its preferred leader back.", "partitions get their preferred leaders back.");
    }

    private static string Brokers(ReassignmentPlan plan) => TextTable.Of(
    [
        ["BROKER", "RACK", "REPLICAS", "LEADERS", "BYTES", ""],
        .. plan.Brokers.Select(figures => (string[])
        [
            figures.Broker.Id.ToString(CultureInfo.InvariantCulture), figures.Broker.Rack ?? "-", .. Change(figures.Before, figures.After),
            figures.Broker.Duty switch { BrokerDuty.Leaving => "leaves", BrokerDuty.Keeping => "takes no replicas", _ => "" },
        ]),
    ]);

    private static string Racks(ReassignmentPlan plan) => TextTable.Of(
    [
        ["RACK", "BROKERS", "REPLICAS", "LEADERS", "BYTES"],
        .. plan.Brokers.GroupBy(figures => figures.Broker.Rack).OrderBy(rack => rack.Key, StringComparer.Ordinal).Select(rack => (string[])
        [
            rack.Key ?? "-", rack.Count().ToString(CultureInfo.InvariantCulture),
            .. Change(Sum(rack.Select(figures => figures.Before)), Sum(rack.Select(figures => figures.After))),
        ]),
    ]);

    private static string[] Change(BrokerLoad before, BrokerLoad after) =>
    [
        $"{before.Replicas} -> {after.Replicas}", $"{before.Leaders} -> {after.Leaders}",
        $"{ByteText.Of(before.Bytes)} -> {ByteText.Of(after.Bytes)}",
    ];

    private static BrokerLoad Sum(IEnumerable<BrokerLoad> loads) => loads.Aggregate(
        default(BrokerLoad),
        (sum, load) => new BrokerLoad(sum.Replicas + load.Replicas, sum.Leaders + load.Leaders, sum.Bytes + load.Bytes));

    private static void Count(StringBuilder text, int count, string one, string many)
    {
        if (count > 0)
            text.Append(CultureInfo.InvariantCulture, $"{count} {(count == 1 ? one : many)}\n");
    }
}
