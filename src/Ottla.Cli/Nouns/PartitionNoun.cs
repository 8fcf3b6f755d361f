using System.CommandLine;
using Ottla.Cli.Commands;
using Ottla.Cli.Framework;
using Ottla.Cli.KafkaTools;
using Ottla.Cli.Partitions;
using Ottla.Client;
using Ottla.Configuration;
using Ottla.Protocol;
using Ottla.StateMachines.Balancing;

namespace Ottla.Cli.Nouns;

/// <summary>
/// <c>ottla partition</c>: plans which replicas to move so that brokers carry alike, and moves them, as kafka-reassign-partitions does.
/// </summary>
internal static class PartitionNoun
{
    private const int DefaultParallel = 10;

    public static Command Create() => ClusterCommand.Noun(
        "partition", "Even out leaders, replicas and bytes over brokers and racks; move partitions to and from brokers (KIP-455).",
        CreatePlan(), CreateMove(), CreateStatus(), CreateCancel(), CreateElect());

    private static ClusterCommand CreatePlan()
    {
        var added = Brokers("--add-broker", "A broker that was added: only such brokers take replicas. May be repeated.");
        var removed = Brokers("--remove-broker", "A broker that is to be removed: all of its replicas move away. May be repeated.");
        var topics = new Option<string[]>("--topic")
        {
            Description = "Move only this topic's partitions. May be repeated.",
            HelpName = "NAME",
        };
        var tolerance = new Option<int>("--tolerance")
        {
            Description = "How many percent from the average a broker's replicas and bytes may be.",
            DefaultValueFactory = _ => (int)(BalancedCluster.DefaultTolerance * 100),
            HelpName = "PERCENT",
        };
        var output = new Option<FileInfo?>("--output")
        {
            Description = "Write the plan to this file, as kafka-reassign-partitions reads it too.",
            HelpName = "FILE",
        };
        return new ClusterCommand(
            "plan",
            "Propose moves, and change nothing. Without options all brokers are evened out; with --add-broker only what goes to it moves, "
                + "with --remove-broker only what is on it.",
            "partition plan --add-broker 4 --output plan.json", async context =>
            {
                var percent = context.Value(tolerance);
                if (percent is < 0 or > 100)
                    throw new ConfigException($"--tolerance: {percent} is not between 0 and 100.");
                var wanted = new PlanOptions(
                    [.. context.Value(added) ?? []], [.. context.Value(removed) ?? []], [.. context.Value(topics) ?? []], percent / 100.0);
                if (wanted.Added.Intersect(wanted.Removed).FirstOrDefault(-1) is >= 0 and var both)
                    throw new ConfigException($"Broker {both} cannot be both added and removed.");
                await PlanAsync(context, wanted, context.Value(output));
            }, added, removed, topics, tolerance, output);
    }

    private static async Task PlanAsync(CommandContext context, PlanOptions options, FileInfo? file)
    {
        var isJson = IsJson(context);
        var planner = new ClusterPlanner(new ClusterReader(context.Admin, context.Time));
        var plan = await planner.PlanAsync(options);
        foreach (var note in planner.Notes)
            context.Note(note);
        var json = PlanFile.Write(plan);
        if (file is not null)
            await WriteAsync(file, json);
        await context.Output.WriteAsync(
            isJson ? System.Text.Encoding.UTF8.GetString(json) : PlanText.Of(plan) + NextStep(plan, file));
        if (plan.Stuck.Length > 0)
            throw new ToolException(PlanText.Stuck(plan.Stuck).TrimEnd());
    }

    private static string NextStep(ReassignmentPlan plan, FileInfo? file) =>
        plan.Moves.IsEmpty && plan.Elections.IsEmpty ? ""
        : file is null ? "\nWith --output FILE the plan is written, for 'ottla partition move --plan FILE'.\n"
        : $"\nThe plan is in {file}: 'ottla partition move --plan {file}' carries it out.\n";

    private static async Task WriteAsync(FileInfo file, byte[] content)
    {
        try
        {
            await using var stream = file.Create();
            await stream.WriteAsync(content);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"Cannot write the plan: {e.Message}");
        }
    }

    private static ClusterCommand CreateMove()
    {
        var plan = Plan();
        plan.Required = true;
        var throttle = new Option<string?>("--throttle")
        {
            Description = "What each broker sends and receives at most for the moves: 50MB/s. Without it there is no bound.",
            HelpName = "RATE",
        };
        var parallel = new Option<int>("--max-parallel")
        {
            Description = "How many partitions are copied at a time.",
            DefaultValueFactory = _ => DefaultParallel,
            HelpName = "N",
        };
        var keep = KeepThrottle();
        return new ClusterCommand(
            "move",
            "Carry out a plan, or a file of kafka-reassign-partitions. When it is interrupted, the same command goes on. At the end the "
                + "preferred leaders are elected and the throttle is removed.",
            "partition move --plan plan.json --throttle 50MB/s", async context =>
            {
                var rate = context.Value(throttle) is not { } text ? null
                    : ByteText.TryParseRate(text, out var bytes) ? (long?)bytes
                    : throw new ConfigException($"--throttle: cannot read '{text}'. Expected bytes per second, for example 50MB/s.");
                if (context.Value(parallel) is < 1 and var few)
                    throw new ConfigException($"--max-parallel: {few} is less than 1.");
                var file = PlanFile.Read(context.Value(plan)!);
                var how = new MoveOptions(rate, context.Value(parallel), context.Value(keep));
                context.Output.AutoFlush = true; // it takes long, and tells how far it is
                var mover = new PartitionMover(context.Admin, context.Output, context.Time);
                if (!await mover.MoveAsync(file, how, context.Stopped))
                    context.ExitWith(ExitCode.Failure);
            }, plan, throttle, parallel, keep);
    }

    private static ClusterCommand CreateStatus()
    {
        var plan = Plan();
        return new ClusterCommand(
            "status", "Print which partitions are being moved, how far they are, and which throttles are set.",
            "partition status --plan plan.json", async context =>
            {
                var isJson = IsJson(context);
                var file = context.Value(plan) is { } path ? PlanFile.Read(path) : null;
                var state = await new PartitionStatus(context.Admin, context.Time).FindAsync(file);
                await context.Output.WriteAsync(isJson ? PartitionStatus.Json(state) : PartitionStatus.Text(state));
            }, plan);
    }

    private static ClusterCommand CreateCancel()
    {
        var plan = Plan();
        var all = new Option<bool>("--all") { Description = "Everything that is under way, and all throttles." };
        var keep = KeepThrottle();
        var command = new ClusterCommand(
            "cancel", "Take back what is being moved and not done yet, and remove the throttle. What is done stays.",
            "partition cancel --plan plan.json", async context =>
            {
                var file = context.Value(plan) is { } path ? PlanFile.Read(path) : null;
                var canceller = new PartitionCanceller(context.Admin, context.Output, context.Time);
                if (!await canceller.CancelAsync(file, context.Value(keep)))
                    context.ExitWith(ExitCode.Failure);
            }, plan, all, keep);
        command.Validators.Add(arguments =>
        {
            if (arguments.GetValue(plan) is null != arguments.GetValue(all))
                arguments.AddError("exactly one of --plan and --all is required");
        });
        return command;
    }

    private static ClusterCommand CreateElect()
    {
        var partitions = new Argument<string[]>("partition")
        {
            Description = "Topics, or partitions as orders:0,1; all partitions without it.",
            HelpName = CommonOptions.TopicName,
            Arity = ArgumentArity.ZeroOrMore,
        };
        var unclean = CommonOptions.Flag(
            "--unclean", "Have a replica lead that is not in sync, where none is: records may be lost (KIP-460).");
        return new ClusterCommand(
            "elect", "Have the preferred replicas lead, as after a restart of their broker; where they lead, nothing changes.",
            "partition elect orders", async context =>
            {
                var named = context.Value(partitions)!;
                var type = context.Value(unclean) ? ElectionType.Unclean : ElectionType.Preferred;
                if (type == ElectionType.Unclean)
                {
                    if (named.Length == 0)
                        throw new ConfigException("--unclean: name the topics or partitions.");
                    if (!context.Confirm($"Elect leaders of {string.Join(", ", named)} that may lack records?"))
                        return;
                }

                var wanted = named.Length == 0 ? null : await TopicNames.OfPartitionsAsync(context, named, "partition");
                var rows = context.Rows("topic", "partition");
                foreach (var (partition, result) in (await context.Admin.ElectLeadersAsync(type, wanted))
                    .OrderBy(each => each.Key.Topic, StringComparer.Ordinal).ThenBy(each => each.Key.Partition))
                {
                    if (result.Error != ErrorCode.ElectionNotNeeded && !context.Failed($"{partition}", result))
                        rows.Add(partition.Topic, partition.Partition);
                }

                rows.End("No partition needs an election.");
            }, partitions, unclean, CommonOptions.Yes);
    }

    /// <summary>Whether a plan or a status is printed as JSON, which is YAML too; they are no rows.</summary>
    private static bool IsJson(CommandContext context) => context.Format switch
    {
        RowFormat.Text => false,
        RowFormat.Json or RowFormat.Yaml => true,
        _ => throw new ConfigException("--format: this command prints text, json or yaml."),
    };

    private static Option<int[]> Brokers(string name, string description) => new(name) { Description = description, HelpName = "ID" };

    private static Option<FileInfo?> Plan() => new("--plan", "--reassignment-json-file")
    {
        Description = "The file that 'ottla partition plan --output' wrote, or one of kafka-reassign-partitions.",
        HelpName = "FILE",
    };

    private static Option<bool> KeepThrottle() =>
        new("--keep-throttle", "--preserve-throttles") { Description = "Leave the throttle as it is." };
}
