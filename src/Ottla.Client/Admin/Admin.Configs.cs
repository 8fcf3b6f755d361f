using System.Globalization;
using Ottla.Client.Admins;
using Ottla.Protocol;
using Ottla.Protocol.Messages;

namespace Ottla.Client;

public sealed partial class Admin
{
    /// <inheritdoc/>
    public async Task<AdminResults<ConfigResource, IReadOnlyList<ConfigEntry>>> DescribeConfigsAsync(
        IEnumerable<ConfigResource> resources, bool includeSynonyms = false, bool includeDocumentation = false,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(resources);
        ConfigResource[] all = [.. resources];
        return Results(await Items.RunAsync(
            new ItemCall<ConfigResource, IReadOnlyList<ConfigEntry>, DescribeConfigsRequest, DescribeConfigsResponse>
            {
                IsRetriable = AdminErrors.Never,
                Request = (_, asked, _) => new DescribeConfigsRequest
                {
                    Resources = [.. asked.Select(resource => new DescribeConfigsRequest.DescribeConfigsResource
                    {
                        ResourceType = (sbyte)resource.Type,
                        ResourceName = resource.Name,
                        ConfigurationKeys = null,
                    })],
                    IncludeSynonyms = includeSynonyms,
                    IncludeDocumentation = includeDocumentation,
                },
                Read = (answer, answers) =>
                {
                    foreach (var each in answer.Results)
                    {
                        answers.Take(
                            new ConfigResource((ConfigResourceType)each.ResourceType, each.ResourceName), each.ErrorCode, each.ErrorMessage,
                            () => [.. each.Configs.Select(ToEntry)]);
                    }
                },
            },
            all, RouteOfConfigs(all, othersToController: false), cancellation));
    }

    /// <inheritdoc/>
    public async Task<AdminResults<ConfigResource>> IncrementalAlterConfigsAsync(
        IReadOnlyDictionary<ConfigResource, IReadOnlyList<ConfigChange>> changes, bool validateOnly = false,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(changes);
        return Outcomes(await Items.RunAsync(
            new ItemCall<ConfigResource, Done, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse>
            {
                IsRetriable = AdminErrors.OfController,
                Request = (_, asked, _) => new IncrementalAlterConfigsRequest
                {
                    Resources = [.. asked.Select(resource => new IncrementalAlterConfigsRequest.AlterConfigsResource
                    {
                        ResourceType = (sbyte)resource.Type,
                        ResourceName = resource.Name,
                        Configs = [.. changes[resource].Select(change => new IncrementalAlterConfigsRequest.AlterableConfig
                        {
                            Name = change.Name,
                            ConfigOperation = (sbyte)change.Operation,
                            Value = change.Value,
                        })],
                    })],
                    ValidateOnly = validateOnly,
                },
                Read = (answer, answers) =>
                {
                    foreach (var each in answer.Responses)
                    {
                        answers.Take(
                            new ConfigResource((ConfigResourceType)each.ResourceType, each.ResourceName), each.ErrorCode, each.ErrorMessage,
                            () => default);
                    }
                },
            },
            changes.Keys, RouteOfConfigs(changes.Keys, othersToController: true), cancellation));
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<ConfigResource>> ListConfigResourcesAsync(
        IReadOnlyCollection<ConfigResourceType>? types = null, CancellationToken cancellation = default)
    {
        var answer = await Calls.ToAnyNodeAsync<ListConfigResourcesRequest, ListConfigResourcesResponse>(
            version =>
            {
                if (version == 0 && !(types is { Count: 1 } && types.Contains(ConfigResourceType.ClientMetrics)))
                    throw new UnsupportedVersionException("The cluster is too old to list more than client metrics.");
                return new ListConfigResourcesRequest
                {
                    ResourceTypes = version == 0 || types is null ? [] : [.. types.Select(type => (sbyte)type)],
                };
            },
            answer => ErrorOf(answer.ErrorCode), AdminErrors.NoRetry, cancellation);
        return
        [
            .. answer.ConfigResources.Select(resource =>
                new ConfigResource((ConfigResourceType)resource.ResourceType, resource.ResourceName)),
        ];
    }

    private NodeRoute<ConfigResource> RouteOfConfigs(IEnumerable<ConfigResource> resources, bool othersToController)
    {
        foreach (var resource in resources.Where(IsOfOneBroker))
        {
            if (!int.TryParse(resource.Name, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                throw new ArgumentException($"'{resource.Name}' is no node id of a broker.", nameof(resources));
        }

        return new NodeRoute<ConfigResource>(
            _client, resource => IsOfOneBroker(resource) ? int.Parse(resource.Name, CultureInfo.InvariantCulture) : null,
            othersToController);
    }

    private static bool IsOfOneBroker(ConfigResource resource) =>
        resource is { Type: ConfigResourceType.BrokerLogger } or { Type: ConfigResourceType.Broker, Name.Length: > 0 };

    private static ConfigEntry ToEntry(DescribeConfigsResponse.DescribeConfigsResourceResult config) => new(
        config.Name, config.Value, (ConfigSource)config.ConfigSource, (ConfigType)config.ConfigType, config.IsSensitive, config.ReadOnly,
        [.. config.Synonyms.Select(synonym => new ConfigSynonym(synonym.Name, synonym.Value, (ConfigSource)synonym.Source))],
        config.Documentation);
}
