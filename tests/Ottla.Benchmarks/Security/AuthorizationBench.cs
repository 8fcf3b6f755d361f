using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using Ottla.Kernel;
using Ottla.Protocol;
using Ottla.StateMachines.Authorization;
using Ottla.StateMachines.Metadata;

namespace Ottla.Benchmarks.Security;

/// <summary>
/// What it costs to authorize a produce request of one topic, in this process: nanoseconds and bytes, with few and many access control
/// entries.
/// </summary>
internal static class AuthorizationBench
{
    public const string Usage = "bench authorization                   nanoseconds and bytes to authorize a produce request";

    private const int Requests = 5_000_000;
    private const int Rounds = 5;
    private const string Alice = "User:alice";

    /// <summary>Measures each arrangement of entries, and prints a table.</summary>
    public static int Run()
    {
        Console.WriteLine($"{Requests:N0} questions in a round, the median of {Rounds} rounds; each names one of 1,000 topics in turn");
        Console.WriteLine("entries                                                         ns  bytes");
        foreach (var count in (int[])[10, 10_000])
        {
            Measure($"{count:N0} literal, all of one principal", count, i => Entry(Alice, Topic(i), isPrefix: false));
            Measure($"{count:N0} prefixes, all of one principal", count, i => Entry(Alice, Topic(i), isPrefix: true));
            Measure(
                $"{count:N0} literal and prefixed, of everybody and one principal", count,
                i => Entry(i % 2 == 0 ? Alice : AclIndex.Everyone, Topic(i), isPrefix: i % 3 == 0));
            Measure($"{count:N0} literal, of {Math.Max(count / 10, 1):N0} principals", count, i =>
                Entry(i % Math.Max(count / 10, 1) == 0 ? Alice : $"User:user-{i % Math.Max(count / 10, 1)}", Topic(i), isPrefix: false));
        }

        return 0;
    }

    private static void Measure(string name, int count, Func<int, AclEntry> entry)
    {
        var image = new AclsImage(Enumerable.Range(0, count).Select(entry).ToImmutableDictionary(each => each.Id));
        var authorizer = new StandardAuthorizer(new AuthorizerSettings(FrozenSet<string>.Empty, false));
        authorizer.Set(AclIndex.Empty.With(image, image.ById.Keys));
        var access = authorizer.AccessOf(Alice, ClientHost.From(IPAddress.Loopback));
        var topics = Enumerable.Range(0, 1_000).Select(i => Topic(i * Math.Max(count / 1_000, 1))).ToArray();
        Ask(access, topics, Requests / 10);
        var nanoseconds = new double[Rounds];
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < Rounds; i++)
            nanoseconds[i] = Ask(access, topics, Requests);
        var bytes = GC.GetAllocatedBytesForCurrentThread() - before;
        Array.Sort(nanoseconds);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{name,-60} {nanoseconds[Rounds / 2],6:F0} {(double)bytes / Requests / Rounds,6:F1}"));
    }

    /// <returns>Nanoseconds for each question.</returns>
    private static double Ask(PrincipalAccess access, string[] topics, int requests)
    {
        var allowed = 0;
        var topic = 0;
        var start = Stopwatch.GetTimestamp();
        for (var i = 0; i < requests; i++)
        {
            allowed += access.Allows(AclOperation.Write, ResourceType.Topic, topics[topic]) ? 1 : 0;
            topic = topic + 1 == topics.Length ? 0 : topic + 1;
        }

        var elapsed = Stopwatch.GetElapsedTime(start);
        return allowed >= 0 ? elapsed.TotalNanoseconds / requests : 0;
    }

    private static string Topic(int i) => string.Create(CultureInfo.InvariantCulture, $"orders.region-{i % 10}.stream-{i:D5}");

    private static AclEntry Entry(string principal, string topic, bool isPrefix) => new(
        Uuid.NewRandom(), (sbyte)ResourceType.Topic, topic, isPrefix ? AclBinding.Prefixed : AclBinding.Literal, principal, "*",
        (sbyte)AclOperation.Write, AclBinding.Allow);
}
