using Ottla.Client;
using Ottla.HistoryChecker.History;
using Ottla.Kernel;
using Ottla.Simulator.Worlds;

namespace Ottla.Simulator.Library;

/// <summary>Idempotent producers of the library: they send several records at a time, and die or close in between.</summary>
/// <remarks>Lives as long as its session.</remarks>
internal sealed class LibraryProducers(LibrarySession session, string topic, int partitions)
{
    private const int KillPercent = 30;
    private const int LifeMsMax = 15_000;

    private readonly List<Task> _clients = [];
    private bool _isOver;

    /// <summary>Begins to run them.</summary>
    public void Start(SimProcess director, int count)
    {
        for (var i = 0; i < count; i++)
        {
            _clients.Add(session.KeepRunningAsync(
                director, $"producer.{i}", KillPercent, LifeMsMax, ProduceAsync, () => _isOver));
        }
    }

    /// <summary>Has them come to an end, and waits for it.</summary>
    public async Task EndAsync()
    {
        _isOver = true;
        foreach (var client in _clients)
            await client;
    }

    private async Task ProduceAsync(SimProcess process, long number)
    {
        var random = session.World.Random;
        var client = session.NewLibraryClient(process);
        var producer = client.CreateProducer<byte[], long>(session.ProducerOptions);
        var sends = new List<Task>();
        var endsAfter = random.NextInt(1, 60);
        while (!_isOver && endsAfter-- > 0)
        {
            for (var count = random.NextInt(1, 6); count > 0; count--)
                sends.Add(SendAsync(process, number, producer, random.NextInt(partitions)));
            if (random.NextChance(5))
                await session.EndsAsync(process, "a flush", session.SendBound, producer.FlushAsync());
            await process.Delay(TimeSpan.FromMilliseconds(random.NextInt(1, 300)));
        }

        if (random.NextChance(70))
        {
            foreach (var send in sends)
                await send;
        }

        var options = session.ProducerOptions;
        if (random.NextChance(50))
            await session.EndsAsync(process, "closing a producer", options.CloseTimeout, producer.DisposeAsync().AsTask());
        await session.EndsAsync(process, "closing a client", options.CloseTimeout, client.DisposeAsync().AsTask());
        foreach (var send in sends)
            await send;
        session.Forget(process);
    }

    private async Task SendAsync(SimProcess process, long number, Producer<byte[], long> producer, int index)
    {
        var partition = new TopicPartition(topic, index);
        var value = session.NextValue();
        var operation = new Operation { Process = number, Outcome = Outcome.Info, Steps = [new Send(partition.ToString(), value)] };
        var recorded = session.History.Begin(operation);
        try
        {
            var record = new ProducerRecord<byte[], long>(topic, null, value) { Partition = index };
            var metadata = await session.EndsAsync(process, $"sending {value}", session.SendBound, producer.ProduceAsync(record));
            long? offset = metadata.Offset >= 0 ? metadata.Offset : null;
            session.History.End(
                recorded, operation with { Outcome = Outcome.Ok, Steps = [new Send(partition.ToString(), value, offset)] });
        }
        catch (KafkaException e)
        {
            process.Tell?.Invoke($"sent {value} to {partition}: {e.Message}");
            session.History.End(recorded, operation with { Outcome = LibraryErrors.IsInDoubt(e) ? Outcome.Info : Outcome.Fail });
            if (!LibraryErrors.IsExpected(e))
                session.World.Fail(new SimulationException($"{process.Name} sent {value} to {partition}: {e.Message}", e));
        }
        catch (ObjectDisposedException)
        {
            session.History.End(recorded, operation with { Outcome = Outcome.Fail });
        }
    }
}
