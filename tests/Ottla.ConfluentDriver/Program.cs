using System.Globalization;
using Confluent.Kafka;
using Ottla.ConfluentDriver;
using Ottla.SystemTests.Clients;

// The driver for Confluent.Kafka 2. See ../Ottla.SystemTests/README.md for the contract.
NativeClient.Load();
try
{
    switch (args)
    {
        case ["create-topic", var bootstrap, var topic, var partitions]:
            await ConfluentOperations.CreateTopicAsync(bootstrap, topic, int.Parse(partitions, CultureInfo.InvariantCulture));
            return 0;
        case ["produce", var bootstrap, var topic, var codec]:
            ConfluentOperations.Produce(bootstrap, topic, codec, DriverLines.Read<TestRecord>(Console.In));
            return 0;
        case ["consume", var bootstrap, var topic]:
            DriverLines.Write(Console.Out, ConfluentOperations.Consume(bootstrap, topic));
            return 0;
        case ["admin", var bootstrap]:
            DriverLines.Write(Console.Out, await ConfluentOperations.AdminAsync(bootstrap, DriverLines.Read<AdminOperation>(Console.In)));
            return 0;
        case ["group", var bootstrap, var group, var topic, var instance]:
            return ConfluentGroupMember.Run(bootstrap, group, topic, instance);
        case ["version"]:
            Console.Out.WriteLine(Library.VersionString);
            return 0;
        default:
            Console.Error.WriteLine("usage: see tests/Ottla.SystemTests/README.md, \"Drivers\"");
            return 2;
    }
}
catch (Exception e) when (e is KafkaException or TimeoutException or InvalidOperationException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
