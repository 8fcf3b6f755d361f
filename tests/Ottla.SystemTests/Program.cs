using System.Globalization;
using Ottla.SystemTests.Clients;

// The test runner loads this assembly and never comes here. As a program of its own it is a client, which a test can kill.
return args switch
{
    ["group", var bootstrap, var group, var topic, var instance] => ConfluentGroupMember.Run(bootstrap, group, topic, instance),
    ["ottla-group", var bootstrap, var group, var topic] => await OttlaGroupMember.RunAsync(bootstrap, group, topic),
    ["copy", var port, var group, var topic, var toTopic, var id, .. var partitions] => await TransactionalCopier.RunAsync(
        int.Parse(port, CultureInfo.InvariantCulture), group, topic, toTopic, id,
            [.. partitions.Select(partition => int.Parse(partition, CultureInfo.InvariantCulture))]),
    _ => 2,
};
