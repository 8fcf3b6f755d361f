using System.CommandLine;
using Ottla.Cli.Admin;
using Ottla.Cli.Partitions;
using Ottla.Configuration;
using Ottla.StateMachines.Balancing;

namespace Ottla.Cli.Commands;

/// <summary>
/// <c>ottla partition</c>: plans which replicas to move so that brokers carry alike, and moves them, as kafka-reassign-partitions does.
/// </summary>
internal static class PartitionCommand
{
    private const int DefaultParallel = 10;
    private const string Text = "text";
    private const string Json = "json";

    public static Command Create() =>
        new("partition", "Even out leaders, replicas and bytes over brokers and racks; move partitions to and from brokers (KIP-455).")
    {
        CreatePlan(), CreateMove(), CreateStatus(), CreateCancel(),
    };

    private static Command CreatePlan()
    {
        var options = new AdminOptions(brokersOnly: true);
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
        var format = Format();
        var output = new Option<FileInfo?>("--output")
        {
            Description = "Write the plan to this file, as kafka-reassign-partitions reads it too.",
            HelpName = "FILE",
        };
        var command = new Command(
            "plan",
            "Propose moves, and change nothing. Without options all brokers are evened out; with --add-broker only what goes to it moves, "
            + "with --remove-broker only what is on it.")
        {
            added, removed, topics, tolerance, format, output,
        };
        options.AddTo(command);
        command.SetAction((arguments, _) => options.RunAsync(arguments, async connection =>
        {
            var percent = arguments.GetValue(tolerance);
            if (percent is < 0 or > 100)
                throw new ConfigException($"--tolerance: {percent} is not between 0 and 100.");
            var wanted = new PlanOptions(
                [.. arguments.GetValue(added) ?? []], [.. arguments.GetValue(removed) ?? []], [.. arguments.GetValue(topics) ?? []],
                percent / 100.0);
            if (wanted.Added.Intersect(wanted.Removed).FirstOrDefault(-1) is >= 0 and var both)
                throw new ConfigException($"Broker {both} cannot be both added and removed.");
            await PlanAsync(connection, wanted, arguments.GetValue(format) == Json, arguments.GetValue(output));
        }));
        return command;
    }

    private static async Task PlanAsync(AdminConnection connection, PlanOptions options, bool isJson, FileInfo? file)
    {
        var planner = new ClusterPlanner(new ClusterReader(connection));
        var plan = await planner.PlanAsync(options);
        foreach (var note in planner.Notes)
            Console.Error.WriteLine(note);
        var json = PlanFile.Write(plan);
        if (file is not null)
            await WriteAsync(file, json);
        if (isJson)
            await Console.Out.WriteAsync(System.Text.Encoding.UTF8.GetString(json));
        else
            await Console.Out.WriteAsync(PlanText.Of(plan) + NextStep(plan, file));
        if (plan.Stuck.Length > 0)
            throw new AdminException(PlanText.Stuck(plan.Stuck).TrimEnd());
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
            throw new AdminException($"Cannot write the plan: {e.Message}");
        }
    }

    private static Command CreateMove()
    {
        var options = new AdminOptions(brokersOnly: true);
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
        var command = new Command(
            "move",
            "Carry out a plan, or a file of kafka-reassign-partitions. When it is interrupted, the same command goes on. At the end the "
            + "preferred leaders are elected and the throttle is removed.") { plan, throttle, parallel, keep };
        options.AddTo(command);
        command.SetAction((arguments, _) => options.TryRunAsync(arguments, async connection =>
        {
            var rate = arguments.GetValue(throttle) is not { } text ? null
                : ByteText.TryParseRate(text, out var bytes) ? (long?)bytes
                : throw new ConfigException($"--throttle: cannot read '{text}'. Expected bytes per second, for example 50MB/s.");
            if (arguments.GetValue(parallel) is < 1 and var few)
                throw new ConfigException($"--max-parallel: {few} is less than 1.");
            var file = PlanFile.Read(arguments.GetValue(plan)!);
            var how = new MoveOptions(rate, arguments.GetValue(parallel), arguments.GetValue(keep));
            using var stop = new StopSignals();
            return await new PartitionMover(connection, Console.Out, TimeProvider.System).MoveAsync(file, how, stop.Token);
        }));
        return command;
    }

    private static Command CreateStatus()
    {
        var options = new AdminOptions(brokersOnly: true);
        var plan = Plan();
        var format = Format();
        var command = new Command("status", "Print which partitions are being moved, how far they are, and which throttles are set.")
        {
            plan, format,
        };
        options.AddTo(command);
        command.SetAction((arguments, _) => options.RunAsync(arguments, async connection =>
        {
            var file = arguments.GetValue(plan) is { } path ? PlanFile.Read(path) : null;
            var state = await new PartitionStatus(connection).FindAsync(file);
            Console.Write(arguments.GetValue(format) == Json ? PartitionStatus.Json(state) : PartitionStatus.Text(state));
        }));
        return command;
    }

    private static Command CreateCancel()
    {
        var options = new AdminOptions(brokersOnly: true);
        var plan = Plan();
        var all = new Option<bool>("--all") { Description = "Everything that is under way, and all throttles." };
        var keep = KeepThrottle();
        var command = new Command(
            "cancel", "Take back what is being moved and not done yet, and remove the throttle. What is done stays.") { plan, all, keep };
        options.AddTo(command);
        command.Validators.Add(arguments =>
        {
            if (arguments.GetValue(plan) is null != arguments.GetValue(all))
                arguments.AddError("exactly one of --plan and --all is required");
        });
        command.SetAction((arguments, _) => options.TryRunAsync(arguments, connection =>
        {
            var file = arguments.GetValue(plan) is { } path ? PlanFile.Read(path) : null;
            return new PartitionCanceller(connection, Console.Out).CancelAsync(file, arguments.GetValue(keep));
        }));
        return command;
    }

    private static Option<int[]> Brokers(string name, string description) => new(name) { Description = description, HelpName = "ID" };

    private static Option<FileInfo?> Plan() => new("--plan", "--reassignment-json-file")
    {
        Description = "The file that 'ottla partition plan --output' wrote, or one of kafka-reassign-partitions.",
        HelpName = "FILE",
    };

    private static Option<bool> KeepThrottle() =>
        new("--keep-throttle", "--preserve-throttles") { Description = "Leave the throttle as it is." };

    private static Option<string> Format()
    {
        var format = new Option<string>("--format") { Description = "text or json.", DefaultValueFactory = _ => Text, HelpName = "FORMAT" };
        format.AcceptOnlyFromAmong(Text, Json);
        return format;
    }
}
