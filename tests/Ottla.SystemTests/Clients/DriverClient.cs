using System.Globalization;
using System.Text;
using Ottla.SystemTests.Harness;

namespace Ottla.SystemTests.Clients;

/// <summary>
/// A client behind a driver program that keeps the contract of README.md: commands as arguments, JSON lines on stdin and stdout.
/// </summary>
/// <param name="name">See <see cref="KafkaClient.Name"/>.</param>
/// <param name="program">What is started: an interpreter, or the driver itself.</param>
/// <param name="arguments">What comes before the command: the script of an interpreter.</param>
public sealed class DriverClient(string name, string program, params string[] arguments) : KafkaClient
{
    /// <inheritdoc/>
    public override string Name => name;

    /// <inheritdoc/>
    public override ClientLimits Limits => DeclaredLimits;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Codecs => DeclaredCodecs;

    /// <inheritdoc/>
    public override IReadOnlySet<string> MissingOperations => DeclaredMissingOperations;

    /// <summary>See <see cref="KafkaClient.Limits"/>.</summary>
    public ClientLimits DeclaredLimits { get; init; }

    /// <summary>See <see cref="KafkaClient.Codecs"/>.</summary>
    public IReadOnlyList<string> DeclaredCodecs { get; init; } = AllCodecs;

    /// <summary>See <see cref="KafkaClient.MissingOperations"/>.</summary>
    public IReadOnlySet<string> DeclaredMissingOperations { get; init; } = new HashSet<string>();

    /// <summary>Variables of the driver's environment.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>The same client, which logs in.</summary>
    public DriverClient WithLogin(ClientLogin login)
    {
        ArgumentNullException.ThrowIfNull(login);
        return new DriverClient(name, program, arguments)
        {
            Check = Check,
            DeclaredCodecs = DeclaredCodecs,
            DeclaredLimits = DeclaredLimits,
            DeclaredMissingOperations = DeclaredMissingOperations,
            Environment = new Dictionary<string, string>(Environment) { [ClientLogin.Variable] = login.ToJson() },
        };
    }

    /// <summary>Checks the machine; see <see cref="Requirements"/>.</summary>
    public required Func<string?> Check { get; init; }

    /// <inheritdoc/>
    public override string? FindMissing() => Check();

    /// <inheritdoc/>
    public override async Task CreateTopicAsync(string bootstrap, string topic, int partitions) =>
        (await RunAsync(default, "create-topic", bootstrap, topic, partitions.ToString(CultureInfo.InvariantCulture))).OrFail();

    /// <inheritdoc/>
    public override async Task ProduceAsync(string bootstrap, string topic, string codec, IReadOnlyList<TestRecord> records) =>
        (await RunAsync(ToLines(records), "produce", bootstrap, topic, codec)).OrFail();

    /// <inheritdoc/>
    public override async Task<IReadOnlyList<ConsumedRecord>> ConsumeAsync(string bootstrap, string topic) =>
        FromLines<ConsumedRecord>((await RunAsync(default, "consume", bootstrap, topic)).OrFail().Output);

    /// <inheritdoc/>
    public override async Task<IReadOnlyList<AdminAnswer>> AdminAsync(string bootstrap, IReadOnlyList<AdminOperation> operations) =>
        FromLines<AdminAnswer>((await RunAsync(ToLines(operations), "admin", bootstrap)).OrFail().Output);

    /// <inheritdoc/>
    public override MemberCommand GroupMemberCommand(string bootstrap, string group, string topic, string? instance) =>
        new(program, [.. arguments, "group", bootstrap, group, topic, instance ?? "-"], Environment, GroupEvent.ParseJson,
            EndsWithInput: true);

    /// <summary>
    /// The command line of a process that copies a topic's records to another topic in transactions, its group's offsets among them.
    /// </summary>
    /// <param name="bootstrap">The cluster.</param>
    /// <param name="group">The group's id.</param>
    /// <param name="topic">Where from.</param>
    /// <param name="toTopic">Where to.</param>
    /// <param name="id">The transactional id, and the static member's where the client has such.</param>
    public MemberCommand TransformCommand(string bootstrap, string group, string topic, string toTopic, string id) =>
        new(program, [.. arguments, "transform", bootstrap, group, topic, toTopic, id], Environment, GroupEvent.ParseJson,
            EndsWithInput: true);

    /// <summary>Runs any command of the driver; a failure is a result.</summary>
    public Task<ToolResult> RunAsync(ReadOnlyMemory<byte> input, params string[] command) =>
        ClientTool.RunAsync(program, [.. arguments, .. command], input, environment: Environment);

    private static byte[] ToLines<T>(IEnumerable<T> items)
    {
        using var lines = new StringWriter();
        DriverLines.Write(lines, items);
        return Encoding.UTF8.GetBytes(lines.ToString());
    }

    private static List<T> FromLines<T>(byte[] output) => DriverLines.Read<T>(new StringReader(Encoding.UTF8.GetString(output)));
}
