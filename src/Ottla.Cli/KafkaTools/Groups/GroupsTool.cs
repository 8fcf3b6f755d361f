using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>kafka-groups: lists groups of all types.</summary>
internal static class GroupsTool
{
    private const int WidthMin = 20;

    /// <summary>The types of groups, in lower case.</summary>
    private static readonly string[] Types = ["classic", "consumer", "share", "streams"];

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = JoptTool.Parse(context, "This tool helps to list groups of all types.");
        if (!options.Has("bootstrap-server"))
            throw new UsageException("Missing required option(s) [bootstrap-server]");
        if (!options.Has("list"))
            throw new UsageException("Command must include exactly one action: --list.");
        if (options.Value("group-type") is { } type && !Types.Contains(type.ToLowerInvariant()))
            throw JavaException.IllegalArgument("--group-type must be a valid group type.");
        options.Refuse("consumer", "group-type", "protocol", "share", "streams");
        options.Refuse("share", "consumer", "group-type", "protocol", "streams");
        options.Refuse("streams", "consumer", "group-type", "protocol", "share");
        await using var client = ToolClient.Open(options.Value("bootstrap-server"), commandConfig: options.Value("command-config"));
        try
        {
            var listing = await client.CallAsync("listGroups", admin => admin.ListGroupsAsync());
            foreach (var failure in listing.Failures.Values)
                failure.ThrowIfFailed("listGroups");
            Print(context.Output, [.. JavaGroupOrder.Of(listing.Items).Where(group => IsShown(group, options))]);
            return 0;
        }
        catch (JavaException e)
        {
            context.Output.WriteLine($"Error while executing groups command : {e.Message}");
            context.Log("ERROR", e.Text, "org.apache.kafka.tools.GroupsCommand");
            return 1;
        }
    }

    private static bool IsShown(ListedGroup group, ParsedOptions options)
    {
        if (options.Value("group-type") is { } type)
            return Is(group, type) && (options.Value("protocol") is not { } both || group.ProtocolType == both);
        if (options.Value("protocol") is { } protocol)
            return group.ProtocolType == protocol;
        if (options.Has("consumer"))
            return group.ProtocolType is "consumer" or "" || Is(group, "consumer");
        return options.Has("share") ? Is(group, "share") : !options.Has("streams") || Is(group, "streams");
    }

    /// <summary>Kafka's name of a type of groups.</summary>
    public static string NameOf(string type) => type.Length > 0 ? char.ToUpperInvariant(type[0]) + type[1..] : "Unknown";

    private static bool Is(ListedGroup group, string type) => string.Equals(group.Type, type, StringComparison.OrdinalIgnoreCase);

    private static void Print(TextWriter output, List<ListedGroup> groups)
    {
        var width = groups.SelectMany(group => new[] { group.GroupId, NameOf(group.Type), group.ProtocolType })
            .Select(cell => cell.Length).Append(WidthMin).Max();
        output.WriteLine(ColumnText.Line(("GROUP", width), ("TYPE", width), ("PROTOCOL", width)));
        foreach (var group in groups)
            output.WriteLine(ColumnText.Line((group.GroupId, width), (NameOf(group.Type), width), (group.ProtocolType, width)) + " ");
    }
}
