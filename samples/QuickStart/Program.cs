using System.Diagnostics;
using Ottla.Client;

if (args is not [var bootstrapServers, var topic])
{
    Console.Error.WriteLine("usage: quick-start HOST:PORT TOPIC");
    return 2;
}

await using var client = new OttlaClient(bootstrapServers);
await using var producer = client.CreateProducer<string, string>();
var written = await producer.ProduceAsync(topic, "42", "paid"); // waits until all in-sync replicas have it
var sinceStart = DateTime.Now - Process.GetCurrentProcess().StartTime;
Console.WriteLine($"{written.Topic}-{written.Partition} at {written.Offset}, {sinceStart.TotalMilliseconds:0} ms after the process began");

await using var consumer = client.CreateConsumer<string, string>(new ConsumerOptions { OffsetReset = OffsetReset.Earliest });
consumer.Assign([new(written.Topic, written.Partition)]);
await foreach (var record in consumer.ConsumeAsync())
{
    Console.WriteLine($"{record.Offset}: {record.Key} = {record.Value}");
    if (record.Offset == written.Offset)
        break;
}

return 0;
