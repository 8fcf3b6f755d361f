using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using EntryData = Ottla.Protocol.Messages.DescribeClientQuotasResponse.EntryData;

namespace Ottla.Broker.Api;

/// <summary>DescribeClientQuotas (key 48), versions 0 and 1: the client quotas that a filter matches (KIP-546).</summary>
/// <remarks>
/// An entity matches when it has every part that the filter names; for a strict filter it must have no other parts. Errors: INVALID_REQUEST
/// for a filter that contradicts itself, UNSUPPORTED_VERSION for a type of entity that does not exist.
/// </remarks>
internal sealed class DescribeClientQuotasHandler(ClusterView cluster)
    : IApiHandler<DescribeClientQuotasRequest, DescribeClientQuotasResponse>
{
    private const sbyte MatchExact = 0;
    private const sbyte MatchDefault = 1;
    private const sbyte MatchSpecified = 2;
    private const string User = "user";
    private const string ClientId = "client-id";
    private const string Ip = "ip";

    public ValueTask<DescribeClientQuotasResponse?> HandleAsync(RequestContext context, DescribeClientQuotasRequest request)
    {
        var filter = FilterOf(request);
        var response = new DescribeClientQuotasResponse
        {
            Entries =
            [
                .. from quotas in cluster.Image.ClientQuotas.ByEntity
                   where Matches(filter, request.Strict, quotas.Key)
                   select Describe(quotas.Key, quotas.Value),
            ],
        };
        return ValueTask.FromResult<DescribeClientQuotasResponse?>(response);
    }

    /// <summary>The parts that an entity must have, by their type.</summary>
    private static Dictionary<string, DescribeClientQuotasRequest.ComponentData> FilterOf(DescribeClientQuotasRequest request)
    {
        var filter = new Dictionary<string, DescribeClientQuotasRequest.ComponentData>(StringComparer.Ordinal);
        foreach (var component in request.Components)
        {
            if (component.EntityType.Length == 0)
                throw Invalid("Invalid empty entity type.");
            if (filter.ContainsKey(component.EntityType))
                throw Invalid($"Entity type {component.EntityType} cannot appear more than once in the filter.");
            if (component.EntityType is not (User or ClientId or Ip))
                throw new ApiException(ErrorCode.UnsupportedVersion, $"Unsupported entity type {component.EntityType}");
            CheckMatch(component);
            filter.Add(component.EntityType, component);
        }

        if (filter.ContainsKey(Ip) && filter.Count > 1)
            throw Invalid(
                "Invalid entity filter component combination. "
                + "IP filter component should not be used with user or clientId filter component.");
        return filter;
    }

    private static void CheckMatch(DescribeClientQuotasRequest.ComponentData component)
    {
        switch (component.MatchType)
        {
            case MatchExact when component.Match is null:
                throw Invalid("Request specified MATCH_TYPE_EXACT, but set match string to null.");
            case MatchDefault when component.Match is not null:
                throw Invalid("Request specified MATCH_TYPE_DEFAULT, but also specified a match string.");
            case MatchSpecified when component.Match is not null:
                throw Invalid("Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.");
            case MatchExact or MatchDefault or MatchSpecified:
                break;
            default:
                throw Invalid($"Unknown match type {component.MatchType}");
        }
    }

    private static bool Matches(
        Dictionary<string, DescribeClientQuotasRequest.ComponentData> filter, bool isStrict, ClientQuotaEntity entity) =>
        (!isStrict || (entity.Parts.Count == filter.Count && filter.Count > 0))
        && filter.Values.All(component => entity.Parts.TryGetValue(component.EntityType, out var name)
            && (component.MatchType == MatchSpecified || name == component.Match));

    private static EntryData Describe(ClientQuotaEntity entity, IReadOnlyDictionary<string, double> quotas) => new()
    {
        Entity = [.. entity.Parts.Select(part => new DescribeClientQuotasResponse.EntityData { EntityType = part.Key,
            EntityName = part.Value })],
        Values = [.. quotas.Select(quota => new DescribeClientQuotasResponse.ValueData { Key = quota.Key, Value = quota.Value })],
    };

    private static ApiException Invalid(string message) => new(ErrorCode.InvalidRequest, message);
}
