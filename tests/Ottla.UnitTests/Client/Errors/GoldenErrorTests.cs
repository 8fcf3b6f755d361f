using Ottla.Client;
using Ottla.Protocol;

namespace Ottla.UnitTests.Client.Errors;

/// <summary>
/// What the client does after each error code in each situation, beside what Kafka's Java client 4.4 was recorded to do
/// (tests/golden/client/retries.tsv). Where the two differ, tests/golden/client/retry-deviations.tsv says why. With OTTLA_ALL_ERRORS=1 in
/// the environment every code is tried, not only some of each kind.
/// </summary>
public sealed class GoldenErrorTests
{
    private static readonly Lazy<Dictionary<(string Group, string Case), Dictionary<string, string>>> s_recorded = new(ReadRecorded);
    private static readonly Lazy<Dictionary<(string Group, string Case), List<Deviation>>> s_deviations = new(ReadDeviations);

    private static readonly ErrorCode[] s_codes =
        [.. Enum.GetValues<ErrorCode>().Where(code => code is not ErrorCode.None).Distinct().Order()];

    [Fact]
    public void Producers_do_what_they_should_after_every_error() => Check(ProducerSituations.All);

    [Fact]
    public void Producers_of_older_clusters_do_what_they_should_after_every_error() => Check(ProducerSituations.Older, isOlder: true);

    [Fact]
    public void Consumers_do_what_they_should_after_every_error() => Check(ConsumerSituations.All);

    [Fact]
    public void The_admin_client_does_what_it_should_after_every_error() => Check(AdminSituations.All);

    private static void Check(IEnumerable<ErrorSituation> situations, bool isOlder = false)
    {
        var differences = new List<string>();
        foreach (var situation in situations)
            ClientWorld.Run(nodes: 1, (world, _) => CheckAsync(world, situation, isOlder, differences));
        Assert.True(differences.Count == 0, string.Join('\n', differences));
    }

    private static async Task CheckAsync(ClientWorld world, ErrorSituation situation, bool isOlder, List<string> differences)
    {
        await world.WithClientAsync(run => PrepareAsync(run, isOlder));
        var recorded = s_recorded.Value[(situation.Group, situation.Case)];
        var deviations = s_deviations.Value.GetValueOrDefault((situation.Group, situation.Case)) ?? [];
        var found = new Dictionary<(string Java, string Ours), List<string>>();
        var used = new HashSet<Deviation>();
        foreach (var code in CodesFor(recorded, deviations))
        {
            var name = code.ToKafkaName();
            var java = recorded.GetValueOrDefault(name) ?? recorded["*"];
            var ours = await RunAsync(world, situation, code);
            if (ours == java)
                continue;
            var deviation = deviations.Find(each => each.Ours == ours && each.Covers(name));
            if (deviation is not null)
                used.Add(deviation);
            else if (found.TryGetValue((java, ours), out var codes))
                codes.Add(name);
            else
                found[(java, ours)] = [name];
        }

        differences.AddRange(found.Select(each =>
            $"{situation.Group}\t{situation.Case}\t{each.Key.Java} -> {each.Key.Ours}\t{string.Join(' ', each.Value)}"));
        differences.AddRange(deviations.Where(each => !used.Contains(each)).Select(each =>
            $"{situation}: the deviation '{each.Ours}' is listed, and there is none: {each.Reason}"));
    }

    /// <summary>Some codes of each kind, since most are treated alike; all of them when the environment asks for that.</summary>
    private static IEnumerable<ErrorCode> CodesFor(Dictionary<string, string> recorded, List<Deviation> deviations)
    {
        const int oneOfRecorded = 4, oneOfOthers = 12;
        if (Environment.GetEnvironmentVariable("OTTLA_ALL_ERRORS") == "1")
            return s_codes;
        var seen = new Dictionary<string, int>();
        return s_codes.Where(code =>
        {
            var name = code.ToKafkaName();
            var kind = recorded.GetValueOrDefault(name) ?? "*";
            seen[kind] = seen.GetValueOrDefault(kind) + 1;
            return deviations.Exists(each => each.Errors.Contains(name))
                || (seen[kind] - 1) % (kind == "*" ? oneOfOthers : oneOfRecorded) == 0;
        });
    }

    private static async Task<string> RunAsync(ClientWorld world, ErrorSituation situation, ErrorCode code)
    {
        string? outcome = null;
        await world.WithClientAsync(async run =>
        {
            try
            {
                outcome = await situation.RunAsync(new ErrorProbe(run, situation, code));
            }
            catch (Exception e)
            {
                outcome = $"{e.GetType().Name}: {e.Message.ReplaceLineEndings(" ")}";
            }
        });
        return outcome!;
    }

    private static async Task PrepareAsync(ClientRun run, bool isOlder)
    {
        var admin = run.Client.CreateAdmin();
        if (isOlder)
        {
            var update = new Dictionary<string, FeatureUpdate> { ["transaction.version"] = new(1, FeatureUpgradeType.SafeDowngrade) };
            (await admin.UpdateFeaturesAsync(update)).ThrowIfFailed();
        }

        (await admin.CreateTopicsAsync([new NewTopic("t") { Partitions = 1 }, new NewTopic("p") { Partitions = 1 }])).ThrowIfFailed();
        var producer = run.Client.CreateProducer<string, string>();
        await producer.ProduceAsync("t", "k", "v");
        // The topics of the coordinators are there from the beginning.
        await ClientRun.TryAsync(admin.ListConsumerGroupOffsetsAsync(
            new Dictionary<string, IReadOnlyCollection<Ottla.Kernel.TopicPartition>?> { ["g"] = [new("t", 0)] }));
        var transactional = run.Client.CreateProducer<string, string>(new ProducerOptions { TransactionalId = "first" });
        for (var attempt = 0; attempt < 5; attempt++)
        {
            if (await ClientRun.TryAsync(transactional.BeginTransactionAsync()) is null)
                break;
        }
    }

    private static Dictionary<(string Group, string Case), Dictionary<string, string>> ReadRecorded()
    {
        var recorded = new Dictionary<(string Group, string Case), Dictionary<string, string>>();
        foreach (var cells in File.ReadLines(GoldenData.Path("client/retries.tsv")).Skip(1).Select(line => line.Split('\t')))
        {
            if (!recorded.TryGetValue((cells[0], cells[1]), out var outcomes))
                recorded[(cells[0], cells[1])] = outcomes = [];
            foreach (var name in cells[5].Split(' '))
                outcomes[name] = cells[4];
        }

        return recorded;
    }

    private static Dictionary<(string Group, string Case), List<Deviation>> ReadDeviations()
    {
        var lines = File.ReadLines(GoldenData.Path("client/retry-deviations.tsv")).Skip(1).Select(line => line.Split('\t'));
        return lines.GroupBy(cells => (cells[0], cells[1])).ToDictionary(
            group => group.Key, group => group.Select(cells => new Deviation(cells[2], [.. cells[3].Split(' ')], cells[4])).ToList());
    }

    /// <param name="Ours">What our client does.</param>
    /// <param name="Errors">After which errors; <c>*</c> for any.</param>
    /// <param name="Reason">Why.</param>
    private sealed record Deviation(string Ours, HashSet<string> Errors, string Reason)
    {
        public bool Covers(string error) => Errors.Contains("*") || Errors.Contains(error);
    }
}
