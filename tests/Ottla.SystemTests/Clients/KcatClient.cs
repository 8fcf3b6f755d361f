using System.Globalization;
using System.Text;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Clients;

/// <summary>
/// kcat, by its command line. It creates no topics, so it leaves that to the broker's automatic creation or to another client.
/// </summary>
public sealed class KcatClient : KafkaClient
{
    private const string Program = "/usr/bin/kcat";

    // Delimiters that no record of the tests has, as kcat reads them and as they are.
    private const string RecordDelimiterArgument = @"\x1eRS\x1e";
    private const string KeyDelimiterArgument = @"\x1fKS\x1f";
    private const string RecordDelimiter = "\u001eRS\u001e";
    private const string KeyDelimiter = "\u001fKS\u001f";

    /// <inheritdoc/>
    public override string Name => "kcat";

    /// <inheritdoc/>
    public override ClientLimits Limits => ClientLimits.NoHeaders | ClientLimits.NoTimestamps | ClientLimits.EmptyIsNull;

    /// <inheritdoc/>
    public override string? FindMissing() => Requirements.Program(Program);

    /// <inheritdoc/>
    public override Task CreateTopicAsync(string bootstrap, string topic, int partitions) =>
        throw new NotSupportedException("kcat creates no topics.");

    /// <inheritdoc/>
    public override async Task ProduceAsync(string bootstrap, string topic, string codec, IReadOnlyList<TestRecord> records)
    {
        foreach (var partition in records.GroupBy(record => record.Partition))
        {
            var input = new MemoryStream();
            foreach (var record in partition)
            {
                input.Write(record.Key);
                input.Write(Encoding.ASCII.GetBytes(KeyDelimiter));
                input.Write(record.Value);
                input.Write(Encoding.ASCII.GetBytes(RecordDelimiter));
            }

            var result = await RunAsync(
                input.ToArray(),
                ["-P", "-b", bootstrap, "-t", topic, "-p", Invariant(partition.Key), "-z", codec, "-Z", "-D", RecordDelimiterArgument, "-K",
                    KeyDelimiterArgument]);
            result.OrFail();
        }
    }

    /// <inheritdoc/>
    public override async Task<IReadOnlyList<ConsumedRecord>> ConsumeAsync(string bootstrap, string topic)
    {
        // Lengths come first (-1 for null), so that keys and values may have any bytes.
        var result = await RunAsync(
            default, ["-C", "-b", bootstrap, "-t", topic, "-o", "beginning", "-e", "-q", "-X", "check.crcs=true", "-f",
                "%p %o %T %K %S\\n%k%s\\n%h\\n"]);
        return Parse(result.OrFail().Output);
    }

    /// <summary>Produces the lines of <paramref name="input"/> to partition 0.</summary>
    public async Task ProduceLinesAsync(string bootstrap, string topic, string codec, ReadOnlyMemory<byte> input) =>
        (await RunAsync(
            input, ["-P", "-b", bootstrap, "-t", topic, "-p", "0", "-z", codec, "-X", "acks=all", "-X", "enable.idempotence=true"]))
                .OrFail();

    /// <summary>Reads partition 0 to its end as lines.</summary>
    public async Task<byte[]> ConsumeLinesAsync(string bootstrap, string topic) =>
        (await RunAsync(default, ["-C", "-b", bootstrap, "-t", topic, "-p", "0", "-o", "beginning", "-e", "-q", "-X", "check.crcs=true"]))
        .OrFail().Output;

    /// <inheritdoc/>
    public override MemberCommand GroupMemberCommand(string bootstrap, string group, string topic, string? instance)
    {
        string[] statics = instance is null ? [] : ["-X", $"group.instance.id={instance}"];
        string[] options =
        [
            "-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=500", "-X", "auto.commit.interval.ms=100", "-X",
                "auto.offset.reset=earliest",
            "-X", "reconnect.backoff.max.ms=200", "-E", "-u", "-f", "record %p %o\\n",
        ];
        return new MemberCommand(
            Program, ["-b", bootstrap, .. options, .. statics, "-G", group, topic], new Dictionary<string, string>(), line =>
            ParseEvent(line, topic), EndsWithInput: false);
    }

    /// <summary>
    /// "record 0 12" is ours; "% Group g rebalanced (memberid m): assigned: t [0], t [1]" is kcat's. What was revoked is not told: an
    /// assignment follows it.
    /// </summary>
    private static GroupEvent? ParseEvent(string line, string topic)
    {
        const string assigned = "): assigned: ";
        if (line.Split(' ') is ["record", var partition, var offset])
            return new GroupEvent
            {
                Event = GroupEvent.Record,
                Partition = int.Parse(partition, CultureInfo.InvariantCulture),
                Offset = long.Parse(offset, CultureInfo.InvariantCulture)
            };
        var start = line.IndexOf(assigned, StringComparison.Ordinal);
        if (!line.StartsWith("% Group ", StringComparison.Ordinal) || start < 0)
            return null;
        var partitions = line[(start + assigned.Length)..].Split(", ", StringSplitOptions.RemoveEmptyEntries)
            .Select(item => int.Parse(item[(topic.Length + " [".Length)..^1], CultureInfo.InvariantCulture));
        return new GroupEvent { Event = GroupEvent.Assigned, Partitions = [.. partitions] };
    }

    private static Task<ToolResult> RunAsync(ReadOnlyMemory<byte> input, IReadOnlyList<string> arguments) =>
        ClientTool.RunAsync(Program, arguments, input);

    private static string Invariant(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static List<ConsumedRecord> Parse(ReadOnlySpan<byte> output)
    {
        var records = new List<ConsumedRecord>();
        while (!output.IsEmpty)
        {
            var numbers = Encoding.ASCII.GetString(TakeLine(ref output)).Split(' ');
            var key = Take(ref output, int.Parse(numbers[3], CultureInfo.InvariantCulture));
            var value = Take(ref output, int.Parse(numbers[4], CultureInfo.InvariantCulture));
            Assert.Equal(0, TakeLine(ref output).Length);
            var headers = Encoding.UTF8.GetString(TakeLine(ref output));
            records.Add(new ConsumedRecord(
                int.Parse(numbers[0], CultureInfo.InvariantCulture),
                long.Parse(numbers[1], CultureInfo.InvariantCulture),
                long.Parse(numbers[2], CultureInfo.InvariantCulture),
                key,
                value,
                [.. headers.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(ParseHeader)]));
        }

        return records;
    }

    private static byte[]?[] ParseHeader(string text)
    {
        var separator = text.IndexOf('=', StringComparison.Ordinal);
        var value = text[(separator + 1)..];
        return [Encoding.UTF8.GetBytes(text[..separator]), value == "NULL" ? null : Encoding.UTF8.GetBytes(value)];
    }

    private static ReadOnlySpan<byte> TakeLine(ref ReadOnlySpan<byte> output)
    {
        var end = output.IndexOf((byte)'\n');
        var line = output[..end];
        output = output[(end + 1)..];
        return line;
    }

    private static byte[]? Take(ref ReadOnlySpan<byte> output, int length)
    {
        if (length < 0)
            return null;
        var taken = output[..length].ToArray();
        output = output[length..];
        return taken;
    }
}
