using System.Net;
using System.Net.Sockets;
using Ottla.Benchmarks.Floor;
using Ottla.Benchmarks.Load;
using Ottla.Benchmarks.Scenarios;

namespace Ottla.UnitTests.Benchmarks;

/// <summary>The loads against the floor in this process: that both speak the same, not how fast.</summary>
public sealed class FloorTests : IDisposable
{
    private const string Host = "127.0.0.1";
    private const string Topic = "topic";

    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("ottla-floor-");
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly FloorTopic _topic;
    private readonly int _port;

    public FloorTests()
    {
        _topic = new FloorTopic(_directory.FullName);
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _port = ((IPEndPoint)_listener.LocalEndPoint!).Port;
        new Thread(() => FloorServer.Accept(_listener, _topic)) { IsBackground = true }.Start();
        Admin.CreateTopic(Topic, ScenarioCatalog.Partitions);
    }

    private TargetAdmin Admin => new(Host, _port);

    public void Dispose()
    {
        _listener.Dispose();
        _topic.Dispose();
        _directory.Delete(recursive: true);
    }

    [Fact]
    public void What_is_produced_is_counted_and_fetched()
    {
        var produced = ProduceLoad.Run(new ProduceScenario("p", 3, 5, 65_000, 1000, 1, 3), Host, _port, Topic);

        Assert.Equal(produced.Records, Admin.CountRecords(Topic, ScenarioCatalog.Partitions));
        var fetched = FetchLoad.Run(new FetchScenario("f", 2, 262_144, 1), Host, _port, Topic);
        Assert.InRange(fetched.Bytes, 1_000_000, 2_000_000);
        Assert.True(fetched.Records > 900);
        Assert.NotNull(fetched.Latency);
    }

    [Fact]
    public void Small_frames_are_answered_in_order()
    {
        var produced = ProduceLoad.Run(new ProduceScenario("p", 2, 5, 1000, 100, -1, 1), Host, _port, Topic);

        Assert.Equal(produced.Records, Admin.CountRecords(Topic, ScenarioCatalog.Partitions));
        Assert.True(produced.Requests > 1000);
    }

    [Fact]
    public void An_end_to_end_load_sees_every_batch()
    {
        var outcome = EndToEndLoad.Run(new EndToEndScenario("e", 2000, 1000, 100, -1, 50), Host, _port, Topic);

        Assert.Equal(50, outcome.Requests);
        Assert.Equal(outcome.Records, Admin.CountRecords(Topic, ScenarioCatalog.Partitions));
        Assert.NotNull(outcome.AckLatency);
    }

    [Fact]
    public void A_new_topic_is_empty()
    {
        ProduceLoad.Run(new ProduceScenario("p", 1, 1, 1000, 100, 1, 1), Host, _port, Topic);

        Admin.DeleteTopic(Topic);
        Admin.CreateTopic(Topic, ScenarioCatalog.Partitions);

        Assert.Equal(0, Admin.CountRecords(Topic, ScenarioCatalog.Partitions));
    }
}
