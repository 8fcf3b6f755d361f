using Ottla.SystemTests.Harness;
using Ottla.SystemTests.Wire;

namespace Ottla.SystemTests.Tests;

/// <summary>Clients that use up what a process has, and surroundings that give it little: the broker goes on.</summary>
[Trait(Categories.Trait, Categories.Malformed)]
public sealed class ExhaustionTests
{
    private const short CreateTopics = 19;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    /// <summary>A broker that could open no more files would lose its log directories, and end.</summary>
    [Fact]
    public async Task ConnectionsLeaveDescriptorsForLogs()
    {
        const int descriptors = 256;
        var settings = new Dictionary<string, string> { ["socket.listen.backlog.size"] = "1000" };
        await using var broker = await BrokerProcess.StartAsync(settings, conditions: new ProcessConditions(DescriptorsMax: descriptors));
        await using var first = await RawConnection.OpenAsync(broker.Port);
        await first.ApiVersionsAsync();
        var others = new List<RawConnection>();
        try
        {
            for (var i = 0; i < 2 * descriptors; i++)
                others.Add(await RawConnection.OpenAsync(broker.Port));
            await Until.TrueAsync(
                $"connections wait\n{broker.Output}", s_limit, () =>
                broker.Output.Contains("New connections on", StringComparison.Ordinal));
            for (var i = 0; i < 5; i++)
                Assert.Equal(0, await CreateTopicAsync(first, $"t{i}"));
        }
        finally
        {
            foreach (var connection in others)
                await connection.DisposeAsync();
        }

        await Until.TrueAsync($"new connections are served again\n{broker.Output}", s_limit, broker.AnswersAsync);
        Assert.Equal(0, await CreateTopicAsync(first, "last"));
        Assert.Equal(0, await broker.TerminateAsync());
    }

    /// <summary>A log that nobody reads stops nobody, however much of it clients cause.</summary>
    [Fact]
    public async Task AStandardErrorThatNobodyReadsStopsNobody()
    {
        const int malformedFrames = 2000; // their lines alone would fill the pipe several times
        await using var broker = await BrokerProcess.StartAsync(conditions: new ProcessConditions(IsOutputRead: false));
        for (var i = 0; i < malformedFrames; i++)
        {
            await using var connection = await RawConnection.OpenAsync(broker.Port);
            await connection.SendAsync(new byte[] { 0xFF, 0xFF, 0xFF, 0xFF });
            await connection.ExpectCloseAsync();
        }

        Assert.True(await broker.AnswersAsync());
        broker.ReadOutput();
        Assert.Equal(0, await broker.TerminateAsync());
        Assert.Contains("more lines of this kind", broker.Output, StringComparison.Ordinal);
    }

    private static async Task<short> CreateTopicAsync(RawConnection connection, string name)
    {
        var body = new WireWriter().Int32(1).String(name).Int32(2).Int16(1).Int32(0).Int32(0).Int32(30_000).Int8(0).ToArray();
        var response = await connection.RequestAsync(CreateTopics, 2, body);
        Assert.Equal(0, response.Int32()); // throttle time
        Assert.Equal(1, response.Int32());
        response.String();
        return response.Int16();
    }
}
