using Ottla.Cli.KafkaTools.Options;

namespace Ottla.Cli.KafkaTools.Placement;

/// <summary>kafka-reassign-partitions: plans, starts, checks and cancels moves of partitions.</summary>
internal static class ReassignPartitionsTool
{
    private static readonly string[] Actions = ["generate", "execute", "verify", "cancel", "list"];

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = Parse(context);
        try
        {
            await using var client = ToolClient.Open(
                options.Value("bootstrap-server"), options.Value("bootstrap-controller"), options.Value("command-config"),
                "reassign-partitions-tool");
            var output = context.Output;
            if (options.Has("generate"))
            {
                await new AssignmentGenerator(output, client).RunAsync(
                    options.Value("topics-to-move-json-file")!, options.Value("broker-list")!, !options.Has("disable-rack-aware"));
            }
            else if (options.Has("list"))
            {
                await new AssignmentVerifier(output, client).ListAsync();
            }
            else if (options.Has("execute"))
            {
                await new AssignmentExecutor(output, client, options).RunAsync(options.Value("reassignment-json-file")!);
            }
            else
            {
                var verifier = new AssignmentVerifier(output, client);
                var moves = ReassignmentJson.ReadMoves(options.Value("reassignment-json-file")!);
                var keepsThrottles = options.Has("preserve-throttles");
                await (options.Has("verify") ? verifier.VerifyAsync(moves, keepsThrottles) : verifier.CancelAsync(moves, keepsThrottles));
            }

            return 0;
        }
        catch (ToolException e)
        {
            context.Output.WriteLine(e.Message);
            return 1;
        }
        catch (JavaException e)
        {
            context.Output.WriteLine($"Error: {e.Message}");
            context.Output.WriteLine($"{e.Text}\n");
            return 1;
        }
    }

    private static ParsedOptions Parse(ToolContext context)
    {
        var options = JoptTool.Parse(context, "This tool helps to move topic partitions between replicas.");
        if (Actions.Count(options.Has) != 1)
        {
            throw new UsageException(
                $"Command must include exactly one action: {string.Join(", ", Actions.Select(action => $"--{action}"))}");
        }

        if (options.Has("bootstrap-server") && options.Has("bootstrap-controller"))
            throw new UsageException("Please don't specify both --bootstrap-server and --bootstrap-controller");
        if (!options.Has("bootstrap-server") && !options.Has("bootstrap-controller"))
            throw new UsageException("Please specify either --bootstrap-server or --bootstrap-controller");
        if (options.Has("generate"))
            options.Require("topics-to-move-json-file", "broker-list");
        else if (!options.Has("list"))
            options.Require("reassignment-json-file");
        return options;
    }
}
