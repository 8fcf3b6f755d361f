using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Protocol.Messages;

namespace Ottla.Cli.KafkaTools.Cluster;

/// <summary>Prints which versions of the APIs nodes have, as kafka-broker-api-versions does.</summary>
internal static class ApiVersionsText
{
    /// <summary>Prints the versions of all nodes that the client is told of.</summary>
    public static async Task WriteAsync(ToolClient client, TextWriter output)
    {
        var nodes = (await client.CallAsync("listNodes", admin => admin.DescribeClusterAsync())).Brokers;
        foreach (var node in nodes.OrderBy(node => node.Id))
        {
            output.Write($"{node.Host}:{node.Port} (id: {node.Id} rack: {node.Rack ?? "null"} isFenced: "
                + $"{(node.IsFenced ? "true" : "false")}) -> ");
            try
            {
                var versions = await client.Admin.ListApiVersionsAsync(node.Id);
                var lines = versions.ToDictionary(version => version.ApiKey, TextOf);
                foreach (var key in ApiKeys.OfClients.Where(key => !lines.ContainsKey((short)key)))
                    lines[(short)key] = $"{key}({(short)key}): UNSUPPORTED";
                output.Write($"(\n\t{string.Join(",\n\t", lines.OrderBy(line => line.Key).Select(line => line.Value))}\n)\n");
            }
            catch (KafkaException e)
            {
                output.Write($"ERROR: {JavaErrors.Of(e, "describeFeatures").Text}\n");
            }
        }
    }

    private static string TextOf(ApiVersion version)
    {
        var range = version.Minimum == version.Maximum ? $"{version.Minimum}" : $"{version.Minimum} to {version.Maximum}";
        var key = (ApiKey)version.ApiKey;
        if (!Enum.IsDefined(key))
            return $"UNKNOWN({version.ApiKey}): {range}";
        return $"{key}({version.ApiKey}): {range} [usable: {version.Maximum}]";
    }
}
