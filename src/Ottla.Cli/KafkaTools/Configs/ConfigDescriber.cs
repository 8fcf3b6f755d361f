using System.Numerics;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Kernel;
using Ottla.Protocol;

namespace Ottla.Cli.KafkaTools.Configs;

/// <summary>Prints configs as kafka-configs --describe does.</summary>
internal sealed class ConfigDescriber(TextWriter output, ToolClient client, ConfigEntities entities, bool showsAll)
{
    /// <summary>Prints what is asked for.</summary>
    public async Task RunAsync()
    {
        if (ConfigResources.Has(entities.Type))
        {
            await DescribeResourcesAsync();
            return;
        }

        await DescribeQuotasAsync();
        if (entities.Type != "ips" && !entities.Types.Contains("clients") && !entities.Names.Contains(""))
            await DescribeCredentialsAsync();
    }

    private async Task DescribeResourcesAsync()
    {
        if (!showsAll && entities.Name is { } wanted && !await ExistsAsync(wanted))
        {
            output.WriteLine($"The {entities.Singular} '{wanted}' doesn't exist and doesn't have dynamic config.");
            return;
        }

        var names = entities.Name is { } name ? [name] : await AllAsync();
        if (names.Count == 0)
            return;
        var described = await CallAsync("describeConfigs", admin => admin.DescribeConfigsAsync(
            names.Select(each => ConfigResources.Of(entities.Type, each)), includeSynonyms: true));
        foreach (var each in names)
        {
            output.WriteLine(each.Length == 0 ? $"Default configs for {entities.Type} in the cluster are:"
                : $"{(showsAll ? "All" : "Dynamic")} configs for {entities.Singular} {each} are:");
            var result = described[ConfigResources.Of(entities.Type, each)];
            if (!result.IsSuccess)
                throw JavaErrors.Of(result, "describeConfigs").OfFuture();
            var source = ConfigResources.DynamicSource(entities.Type, each);
            foreach (var entry in result.Value.Where(entry => showsAll || entry.Source == source).OrderBy(
                entry => entry.Name, StringComparer.Ordinal))
            {
                var synonyms = entry.Synonyms.Select(
                    synonym => $"{ConfigResources.NameOf(synonym.Source)}:{synonym.Name}={synonym.Value ?? "null"}");
                output.WriteLine(
                    $"  {entry.Name}={entry.Value ?? "null"} sensitive={(entry.IsSensitive ? "true" : "false")} "
                        + $"synonyms={{{string.Join(", ", synonyms)}}}");
            }
        }
    }

    private async Task<bool> ExistsAsync(string name) => entities.Type switch
    {
        "brokers" or "broker-loggers" => name.Length == 0 || (await AllAsync()).Contains(name),
        _ => (await AllAsync()).Contains(name),
    };

    /// <summary>The names of all entities of the type, in Kafka's order; the defaults of brokers last.</summary>
    private async Task<IReadOnlyList<string>> AllAsync()
    {
        switch (entities.Type)
        {
            case "topics":
                // Kafka's brokers list topics by their hash codes, and its client puts them into a map in that order.
                return [.. JavaHashOrder.Of(
                    (await CallAsync("listTopics", admin => admin.ListTopicsAsync(includeInternal: true))).Select(topic => topic.Name)
                        .OrderBy(JavaHashCode.Of))];
            case "brokers" or "broker-loggers":
                var brokers = (await CallAsync("listNodes", admin => admin.DescribeClusterAsync())).Brokers.Select(
                    broker => $"{broker.Id}");
                return entities.Type == "brokers" ? [.. brokers, ""] : [.. brokers];
            case "client-metrics":
                return await NamesAsync(ConfigResourceType.ClientMetrics);
            default:
                var listing = await CallAsync("listGroups", admin => admin.ListGroupsAsync());
                var groups = JavaHashOrder.Of(listing.Items.Select(group => group.GroupId));
                return [.. groups.Concat(await NamesAsync(ConfigResourceType.Group)).Distinct()];
        }
    }

    private async Task<IReadOnlyList<string>> NamesAsync(ConfigResourceType type)
    {
        try
        {
            return [.. (await client.Admin.ListConfigResourcesAsync([type])).Select(resource => resource.Name)];
        }
        catch (KafkaException e) when (
            type == ConfigResourceType.Group && e.ErrorCode is ErrorCode.UnsupportedVersion or ErrorCode.ClusterAuthorizationFailed)
        {
            return []; // an older cluster lists client metrics alone
        }
        catch (KafkaException e)
        {
            throw JavaErrors.Of(e, "listConfigResources").OfFuture();
        }
    }

    private async Task DescribeQuotasAsync()
    {
        var quotas = await CallAsync(
            "describeClientQuotas", admin => admin.DescribeClientQuotasAsync(QuotaEntities.FilterOf(entities), strict: true));
        foreach (var entity in JavaHashOrder.Of(
            quotas.Keys.OrderBy(QuotaEntities.TextOf, StringComparer.Ordinal), QuotaEntities.HashOf, CapacityOf(quotas.Count)))
        {
            var values = quotas[entity];
            var text = JavaHashOrder.Of(values.Keys, JavaHashCode.Of, CapacityOf(values.Count)).Select(
                name => $"{name}={JavaNumbers.Of(values[name])}");
            output.WriteLine($"Quota configs for {QuotaEntities.TextOf(entity)} are {string.Join(", ", text)}");
        }
    }

    /// <summary>How large Kafka's client makes a map for so many quotas.</summary>
    private static int CapacityOf(int count) => (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(count, 1));

    private async Task DescribeCredentialsAsync()
    {
        var users = await CallAsync("describeUserScramCredentials", admin => admin.DescribeUserScramCredentialsAsync(
            entities.Names.Count > 0 ? entities.Names : null));
        foreach (var (user, result) in users.OrderBy(each => each.Key, StringComparer.Ordinal))
        {
            if (result.Error == ErrorCode.ResourceNotFound)
                continue;
            if (!result.IsSuccess)
            {
                output.WriteLine(
                    $"Error retrieving SCRAM credential configs for user-principal '{user}': ExecutionException: "
                        + JavaErrors.Of(result, "describeUserScramCredentials").Text);
                continue;
            }

            var text = result.Value.OrderByDescending(each => each.Mechanism).Select(
                each => $"{(each.Mechanism == ScramType.Sha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512")}=iterations={each.Iterations}");
            output.WriteLine($"SCRAM credential configs for user-principal '{user}' are {string.Join(", ", text)}");
        }
    }

    private async Task<T> CallAsync<T>(string name, Func<IAdmin, Task<T>> call)
    {
        try
        {
            return await client.CallAsync(name, call);
        }
        catch (JavaException e)
        {
            throw e.OfFuture();
        }
    }
}
