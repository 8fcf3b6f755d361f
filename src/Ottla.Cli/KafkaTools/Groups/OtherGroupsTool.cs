using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>
/// kafka-share-groups and kafka-streams-groups, as far as they work without the APIs of such groups, which this program does not have:
/// listing, and what is wrong with a group of another type. All else says that it is not supported.
/// </summary>
internal sealed class OtherGroupsTool
{
    private static readonly string[] Actions = ["list", "describe", "delete", "reset-offsets", "delete-offsets"];

    private readonly ToolContext _context;
    private readonly ParsedOptions _options;
    private readonly ToolClient _client;
    private readonly bool _isShare;

    private OtherGroupsTool(ToolContext context, ParsedOptions options, ToolClient client, bool isShare) =>
        (_context, _options, _client, _isShare) = (context, options, client, isShare);

    private string Kind => _isShare ? "share" : "streams";

    /// <summary>Runs kafka-share-groups.</summary>
    public static Task<int> RunShareAsync(ToolContext context) => RunAsync(context, isShare: true);

    /// <summary>Runs kafka-streams-groups.</summary>
    public static Task<int> RunStreamsAsync(ToolContext context) => RunAsync(context, isShare: false);

    private static async Task<int> RunAsync(ToolContext context, bool isShare)
    {
        var options = Parse(context, isShare);
        try
        {
            await using var client = ToolClient.Open(options.Value("bootstrap-server"), commandConfig: options.Value("command-config"));
            var tool = new OtherGroupsTool(context, options, client, isShare);
            if (options.Has("list"))
                await tool.ListAsync();
            else if (options.Has("delete"))
                await tool.DeleteAsync();
            else
                await tool.RefuseAsync();
            return 0;
        }
        catch (JavaException e)
        {
            context.Output.WriteLine($"\nError: Executing {(isShare ? "share" : "streams")} group command failed due to {e.Message}");
            return isShare ? 0 : 1;
        }
    }

    private static ParsedOptions Parse(ToolContext context, bool isShare)
    {
        ParsedOptions options;
        try
        {
            options = JoptTool.Parse(
                context, $"This tool helps to list, describe, reset and delete {(isShare ? "share" : "streams")} groups.");
        }
        catch (OptionException e)
        {
            throw new UsageException(e.Message);
        }

        options.Require("bootstrap-server");
        if (Actions.Count(options.Has) != 1)
        {
            throw new UsageException(
                $"Command must include exactly one action: {string.Join(", ", Actions.Select(action => $"--{action}"))}.");
        }

        if (!options.Has("list") && !options.Has("group") && !options.Has("all-groups"))
            throw new UsageException($"Option [{Actions.First(options.Has)}] takes the option: [group]");
        string[] states = isShare ? ["Dead", "Empty", "Stable"] : ["Assigning", "Dead", "Empty", "NotReady", "Reconciling", "Stable"];
        if (options.Has("list") && options.Value("state") is { } text && text.Split(',').Any(
            each => !states.Contains(each.Trim(), StringComparer.OrdinalIgnoreCase)))
            throw new UsageException($"Invalid state list '{text}'. Valid states are: {string.Join(", ", states)}");
        return options;
    }

    private async Task ListAsync()
    {
        var states = _options.Value("state")?.Split(',', StringSplitOptions.TrimEntries);
        var groups = (await GroupsAsync()).Where(group => string.Equals(group.Type, Kind, StringComparison.OrdinalIgnoreCase)
            && states?.Contains(group.State, StringComparer.OrdinalIgnoreCase) != false).ToList();
        if (!_options.Has("state"))
        {
            foreach (var group in groups)
                _context.Output.WriteLine(group.GroupId);
            return;
        }

        const int widthMin = 15;
        var width = groups.Select(group => group.GroupId.Length).Append(widthMin).Max();
        _context.Output.WriteLine(ColumnText.Line(("GROUP", width), ("STATE", 0)));
        foreach (var group in groups)
            _context.Output.WriteLine(ColumnText.Line((group.GroupId, width), (group.State, 0)));
    }

    private async Task DeleteAsync()
    {
        var known = await GroupsAsync();
        _context.Output.WriteLine($"\nError: Deletion of some {Kind} groups failed:");
        foreach (var id in _options.Values("group").Distinct())
        {
            var isOfKind = known.Any(group => group.GroupId == id && string.Equals(group.Type, Kind, StringComparison.OrdinalIgnoreCase));
            var error = isOfKind ? NotSupported()
                : _isShare ? JavaException.Kafka("GroupIdNotFoundException", $"Group '{id}' is not a share group.")
                : JavaException.IllegalArgument($"Group '{id}' does not exist or is not a streams group.");
            _context.Output.WriteLine($"* Group '{id}' could not be deleted due to: {error.Text}");
        }
    }

    private async Task RefuseAsync()
    {
        var known = await GroupsAsync();
        foreach (var id in _options.Values("group"))
        {
            var group = known.FirstOrDefault(each => each.GroupId == id);
            if (group is null)
                throw JavaException.Kafka("GroupIdNotFoundException", $"Group {id} not found.").OfFuture();
            if (!string.Equals(group.Type, Kind, StringComparison.OrdinalIgnoreCase))
                throw JavaException.Kafka("GroupIdNotFoundException", $"Group {id} is not a {Kind} group.").OfFuture();
        }

        throw NotSupported().OfFuture();
    }

    private JavaException NotSupported() =>
        JavaException.Kafka("UnsupportedVersionException", $"This program has no APIs of {Kind} groups but for listing them.");

    private async Task<IReadOnlyList<ListedGroup>> GroupsAsync()
    {
        var listing = await _client.CallAsync("listGroups", admin => admin.ListGroupsAsync());
        foreach (var failure in listing.Failures.Values)
            failure.ThrowIfFailed("listGroups");
        return [.. JavaGroupOrder.Of(listing.Items)];
    }
}
