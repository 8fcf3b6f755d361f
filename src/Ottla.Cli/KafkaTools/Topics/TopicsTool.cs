using System.Globalization;
using Ottla.Cli.KafkaTools.Options;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Topics;

/// <summary>kafka-topics: creates, lists, describes, changes and deletes topics.</summary>
internal sealed class TopicsTool
{
    private const string Class = "org.apache.kafka.tools.TopicCommand";

    private readonly ToolContext _context;
    private readonly ParsedOptions _options;
    private readonly ToolClient _client;

    private TopicsTool(ToolContext context, ParsedOptions options, ToolClient client) =>
        (_context, _options, _client) = (context, options, client);

    /// <summary>Runs the tool.</summary>
    public static async Task<int> RunAsync(ToolContext context)
    {
        var options = TopicsOptions.Parse(context);
        await using var client = ToolClient.Open(options.Value("bootstrap-server"), commandConfig: options.Value("command-config"));
        try
        {
            await new TopicsTool(context, options, client).RunAsync();
            return 0;
        }
        catch (Exception e) when (e is JavaException or OptionException or ToolException)
        {
            context.Output.WriteLine($"Error while executing topic command : {e.Message}");
            context.Log("ERROR", e is JavaException java ? java.Text : e.Message, Class);
            return 1;
        }
    }

    private Task RunAsync() =>
        _options.Has("create") ? CreateAsync()
        : _options.Has("alter") ? AlterAsync()
        : _options.Has("list") ? ListAsync()
        : _options.Has("describe") ? DescribeAsync() : DeleteAsync();

    private async Task CreateAsync()
    {
        var name = _options.Value("topic")!;
        var partitions = _options.Int("partitions");
        var replicationFactor = _options.Int("replication-factor");
        var assignment = Assignment();
        var configs = Configs();
        if (name.AsSpan().ContainsAny('.', '_'))
        {
            _context.Output.WriteLine(
                "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. To avoid "
                    + "issues it is best to use either, but not both.");
        }

        if (replicationFactor is < 1 or > short.MaxValue)
            throw JavaException.IllegalArgument($"The replication factor must be between 1 and {short.MaxValue} inclusive");
        if (partitions is < 1)
            throw JavaException.IllegalArgument("The partitions must be greater than 0");
        if (name.Length == 0)
            throw JavaException.Kafka("InvalidTopicException", "The given topic name '' cannot be represented in a request.");
        var topic = new NewTopic(name)
        {
            Partitions = partitions,
            ReplicationFactor = (short?)replicationFactor,
            ReplicaAssignments = assignment,
            Configs = configs,
        };
        var created = (await _client.CallAsync("createTopics", admin => admin.CreateTopicsAsync([topic]))).Values.Single();
        if (created.Error == ErrorCode.TopicAlreadyExists && _options.Has("if-not-exists"))
            return;
        created.ThrowIfFailed("createTopics");
        _context.Output.WriteLine($"Created topic {name}.");
    }

    private async Task ListAsync() => _context.Output.WriteLine(string.Join('\n', await NamedAsync(mustExist: false)));

    private async Task AlterAsync()
    {
        var count = _options.Int("partitions");
        var assignment = Assignment();
        var topics = await NamedAsync(mustExist: true);
        if (topics.Count == 0)
            return;
        var known = await _client.CallAsync("describeTopics", admin => admin.DescribeTopicsAsync(topics));
        var changes = topics.ToDictionary(topic => topic, topic =>
        {
            known[topic].ThrowIfFailed("describeTopics");
            var added = assignment?.Skip(known[topic].Value.Partitions.Count).Select(each => each.Value).ToList();
            return new NewPartitions(count!.Value, added);
        });
        var results = await _client.CallAsync("createPartitions", admin => admin.CreatePartitionsAsync(changes));
        foreach (var result in results.Values)
            result.ThrowIfFailed("createPartitions");
    }

    private async Task DeleteAsync()
    {
        var topics = await NamedAsync(mustExist: true);
        if (topics.Count == 0)
            return;
        foreach (var result in (await _client.CallAsync("deleteTopics", admin => admin.DeleteTopicsAsync(topics))).Values)
            result.ThrowIfFailed("deleteTopics");
    }

    private async Task DescribeAsync()
    {
        var id = _options.Value("topic-id") is { } text ? ParseId(text) : Uuid.Zero;
        List<TopicDescription> topics;
        if (id != Uuid.Zero)
        {
            var found = (await _client.CallAsync("describeTopics", admin => admin.DescribeTopicsAsync([id]))).Values.Single();
            if (found.Error == ErrorCode.UnknownTopicId && !_options.Has("if-exists"))
                throw JavaException.IllegalArgument($"TopicId '{id}' does not exist as expected");
            if (found.Error != ErrorCode.UnknownTopicId)
                found.ThrowIfFailed("describeTopics");
            topics = found.IsSuccess ? [found.Value] : [];
        }
        else
        {
            var names = await NamedAsync(mustExist: true);
            if (names.Count == 0)
                return;
            var described = await _client.CallAsync("describeTopics", admin => admin.DescribeTopicsAsync(names));
            topics = [];
            foreach (var name in JavaHashOrder.Of(names))
            {
                described[name].ThrowIfFailed("describeTopics");
                topics.Add(described[name].Value);
            }
        }

        await new TopicDescriber(_options, _client, _context.Output).PrintAsync(topics);
    }

    /// <summary>The topics that <c>--topic</c> names, by name.</summary>
    private async Task<IReadOnlyList<string>> NamedAsync(bool mustExist)
    {
        var excludesInternal = _options.Has("exclude-internal");
        var all = (await _client.CallAsync("listTopics", admin => admin.ListTopicsAsync(includeInternal: !excludesInternal)))
            .Select(topic => topic.Name).Order(StringComparer.Ordinal);
        var text = _options.Value("topic");
        var pattern = text is null ? null : new TopicPattern(text);
        var named = all.Where(topic => pattern is null || pattern.Matches(topic, excludesInternal)).ToList();
        if (mustExist && named.Count == 0 && !string.IsNullOrEmpty(text) && !_options.Has("if-exists"))
            throw JavaException.IllegalArgument($"Topic '{text}' does not exist as expected");
        return named;
    }

    private Dictionary<int, IReadOnlyList<int>>? Assignment()
    {
        if (_options.Value("replica-assignment") is not { } text)
            return null;
        var assignment = new Dictionary<int, IReadOnlyList<int>>();
        foreach (var partition in text.Split(','))
        {
            var brokers = partition.Split(':').Select(each => each.Trim()).Select(each =>
                int.TryParse(each, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var broker)
                    ? broker : throw new JavaException("java.lang.NumberFormatException", $"For input string: \"{each}\"")).ToList();
            var twice = brokers.GroupBy(broker => broker).Where(group => group.Count() > 1).Select(group => group.Key).ToList();
            if (twice.Count > 0)
            {
                throw new JavaException(
                    "org.apache.kafka.tools.AdminCommandFailedException",
                    $"Partition replica lists may not contain duplicate entries: {string.Join(',', twice)}");
            }

            if (assignment.Count > 0 && assignment[0].Count != brokers.Count)
            {
                throw new JavaException(
                    "org.apache.kafka.tools.AdminOperationException",
                    $"Partition {assignment.Count} has different replication factor: [{string.Join(", ", brokers)}]");
            }

            assignment[assignment.Count] = brokers;
        }

        return assignment;
    }

    private Dictionary<string, string?> Configs()
    {
        var configs = new Dictionary<string, string?>();
        foreach (var config in _options.Values("config"))
        {
            if (config.Split('=', StringSplitOptions.TrimEntries) is not [var name, var value])
            {
                throw JavaException.IllegalArgument(
                    "requirement failed: Invalid topic config: all configs to be added must be in the format \"key=val\".");
            }

            configs[name] = value;
        }

        return configs;
    }

    private static Uuid ParseId(string text)
    {
        const int idBytes = 16;
        if (Uuid.TryParse(text, out var id))
            return id;
        const int charsMax = 24;
        if (text.Length > charsMax)
        {
            throw JavaException.IllegalArgument(
                $"Input string with prefix `{text[..charsMax]}` is too long to be decoded as a base64 UUID");
        }

        var bytes = text.Length * 6 / 8;
        throw JavaException.IllegalArgument(
            $"Input string `{text}` decoded as {bytes} bytes, which is not equal to the expected {idBytes} bytes of a base64-encoded UUID");
    }
}
