using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;

namespace Ottla.Cli.KafkaTools.Groups;

/// <summary>
/// kafka-consumer-groups: lists, describes and deletes groups of consumers, sets and deletes their offsets. As with Kafka, most failures
/// are printed to standard output, and the exit code is 0.
/// </summary>
internal sealed class ConsumerGroupsTool
{
    private const int WidthMin = 15;
    private const long TimeoutMsDefault = 30_000;

    /// <summary>The states that a group of consumers may have.</summary>
    private static readonly string[] States =
        ["Assigning", "CompletingRebalance", "Empty", "Reconciling", "Stable", "PreparingRebalance", "Dead"];

    private readonly ToolContext _context;
    private readonly ParsedOptions _options;
    private readonly ToolClient _client;

    private ConsumerGroupsTool(ToolContext context, ParsedOptions options, ToolClient client) =>
        (_context, _options, _client) = (context, options, client);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = ConsumerGroupsOptions.Parse(context);
        if (options.Value("validate-regex") is { } pattern)
        {
            context.Output.WriteLine(FindError(pattern) is { } error
                ? $"The regular expression `{pattern}` is invalid: {error}." : $"The regular expression `{pattern}` is valid.");
            return 0;
        }

        try
        {
            await using var client = Open(options);
            await new ConsumerGroupsTool(context, options, client).RunAsync();
        }
        catch (JavaException e) when (e.Class != "java.lang.IllegalArgumentException")
        {
            context.Output.WriteLine($"\nError: Executing consumer group command failed due to {e.Message}");
        }
        catch (JavaException e)
        {
            throw new UsageException(e.Message);
        }

        return 0;
    }

    private static ToolClient Open(ParsedOptions options)
    {
        var properties = new Dictionary<string, string> { ["client.id"] = "adminclient-1" };
        if (options.Value("command-config") is { } file)
        {
            foreach (var (name, value) in ToolClient.ReadFile(file))
                properties[name] = value;
        }

        properties["bootstrap.servers"] = options.Value("bootstrap-server")!;
        if (options.Has("timeout") || !properties.ContainsKey("default.api.timeout.ms"))
            properties["default.api.timeout.ms"] = $"{options.Long("timeout") ?? TimeoutMsDefault}";
        return ToolClient.Open(properties);
    }

    private async Task RunAsync()
    {
        if (_options.Has("list"))
            await ListAsync();
        else if (_options.Has("describe"))
            await DescribeAsync();
        else if (_options.Has("delete"))
            await DeleteAsync();
        else if (_options.Has("reset-offsets"))
            await new OffsetResetter(_context, _options, _client).RunAsync(await GroupIdsAsync());
        else
            await new OffsetDeleter(_context.Output, _client).RunAsync(_options.Value("group")!, _options.Values("topic"));
    }

    private async Task ListAsync()
    {
        var (showsType, showsState) = (_options.Has("type"), _options.Has("state"));
        var groups = await ListedAsync(StatesOf(_options.Value("state")), TypesOf(_options.Value("type")));
        if (!showsType && !showsState)
        {
            foreach (var group in groups)
                _context.Output.WriteLine(group.GroupId);
            return;
        }

        const int margin = 10;
        const int width = 20;
        var groupWidth = groups.Select(group => group.GroupId.Length).Append(WidthMin).Max() + margin;
        Line("GROUP", "TYPE", "STATE");
        foreach (var group in groups)
            Line(group.GroupId, GroupsTool.NameOf(group.Type), group.State.Length > 0 ? group.State : "Unknown");

        void Line(string group, string type, string state)
        {
            List<(string, int)> cells = [(group, groupWidth)];
            if (showsType)
                cells.Add((type, width));
            if (showsState)
                cells.Add((state, width));
            _context.Output.WriteLine(ColumnText.Line([.. cells]));
        }
    }

    private async Task<IReadOnlyList<ListedGroup>> ListedAsync(string[]? states, string[]? types)
    {
        var listing = await _client.CallAsync("listGroups", admin => admin.ListGroupsAsync(states, types ?? ["Classic", "Consumer"]));
        foreach (var failure in listing.Failures.Values)
        {
            if (!failure.IsSuccess)
                throw JavaErrors.Of(failure, "listGroups").OfFuture();
        }

        return [.. JavaGroupOrder.Of(listing.Items.Where(group => group.ProtocolType is "" or "consumer"))];
    }

    private async Task<IReadOnlyList<string>> GroupIdsAsync() => _options.Has("all-groups")
        ? [.. (await ListedAsync(null, null)).Select(group => group.GroupId)] : _options.Values("group");

    private async Task DescribeAsync()
    {
        var groupIds = await GroupIdsAsync();
        if (groupIds.Count == 0)
            return;
        var described = await _client.CallAsync(
            "describeConsumerGroups(api=FIND_COORDINATOR)", admin => admin.DescribeConsumerGroupsAsync(groupIds.Distinct()));
        foreach (var group in described.Values)
        {
            if (!group.IsSuccess)
                throw JavaErrors.Of(group, "describeConsumerGroups(api=FIND_COORDINATOR)").OfFuture();
        }

        var groups = described.Values.Select(group => group.Value).OrderBy(group => group.GroupId, StringComparer.Ordinal).ToList();
        var isVerbose = _options.Has("verbose");
        var describer = new GroupDescriber(_context, isVerbose);
        if (_options.Has("members"))
            describer.PrintMembers(groups);
        else if (_options.Has("state"))
            describer.PrintStates(groups);
        else
            describer.PrintOffsets(groups, await new GroupOffsets(_client).OfAsync(groups));
    }

    private async Task DeleteAsync()
    {
        var groupIds = await GroupIdsAsync();
        var results = await _client.CallAsync("deleteConsumerGroups", admin => admin.DeleteConsumerGroupsAsync(groupIds.Distinct()));
        var done = JavaHashOrder.Of(results.Where(each => each.Value.IsSuccess).Select(each => each.Key)).ToList();
        var failed = JavaHashOrder.Of(results.Where(each => !each.Value.IsSuccess).Select(each => each.Key)).ToList();
        var names = string.Join(", ", done.Select(group => $"'{group}'"));
        if (failed.Count == 0)
        {
            _context.Output.WriteLine($"Deletion of requested consumer groups ({names}) was successful.");
            return;
        }

        _context.Output.WriteLine("\nError: Deletion of some consumer groups failed:");
        foreach (var group in failed)
        {
            _context.Output.WriteLine(
                $"* Group '{group}' could not be deleted due to: {JavaErrors.Of(results[group].Error, message: null).Text}");
        }

        if (done.Count > 0)
            _context.Output.WriteLine($"\nThese consumer groups were deleted successfully: {names}");
    }

    /// <summary>What is wrong with an expression, in the words of RE2; null when nothing is.</summary>
    private static string? FindError(string pattern)
    {
        try
        {
            StateMachines.Groups.Regex.TopicPattern.Parse(pattern);
            return null;
        }
        catch (StateMachines.Groups.Regex.TopicPatternException e)
        {
            return e.Message;
        }
    }

    private static string[]? StatesOf(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        var states = text.Split(',').Select(
            each => Array.Find(States, state => string.Equals(state, each.Trim(), StringComparison.OrdinalIgnoreCase))).ToList();
        return states.Contains(null)
            ? throw new UsageException($"Invalid state list '{text}'. Valid states are: {string.Join(", ", States)}") : [.. states!];
    }

    private static string[]? TypesOf(string? text)
    {
        if (string.IsNullOrEmpty(text))
            return null;
        var types = text.Split(',').Select(each => each.Trim().ToLowerInvariant()).Select(
            each => each switch { "consumer" => "Consumer", "classic" => "Classic", _ => null }).ToList();
        return types.Contains(null)
            ? throw new UsageException($"Invalid types list '{text}'. Valid types are: Consumer, Classic") : [.. types!];
    }
}
