using Ottla.Protocol.Messages;

namespace Ottla.Requests;

/// <summary>A range of versions.</summary>
/// <param name="Min">The oldest.</param>
/// <param name="Max">The newest.</param>
public readonly record struct ApiVersionRange(short Min, short Max)
{
    private static readonly Dictionary<ApiKey, ApiVersionRange> Own =
        ApiSchemas.All.ToDictionary(schema => schema.Key, schema => new ApiVersionRange(schema.LowestVersion, schema.HighestStableVersion));

    /// <summary>The stable versions of an API that this software can encode.</summary>
    public static ApiVersionRange OfThisVersion(ApiKey key) => Own[key];

    /// <inheritdoc/>
    public override string ToString() => $"{Min} to {Max}";
}

/// <summary>What a peer said in its ApiVersions answer. Immutable; lives as long as its connection.</summary>
public sealed class PeerVersions
{
    private readonly Dictionary<ApiKey, ApiVersionRange> _ranges = [];

    internal PeerVersions(ApiVersionsResponse answer)
    {
        Answer = answer;
        foreach (var api in answer.ApiKeys)
            _ranges[(ApiKey)api.ApiKey] = new ApiVersionRange(api.MinVersion, api.MaxVersion);
    }

    /// <summary>The whole answer, with the peer's features.</summary>
    public ApiVersionsResponse Answer { get; }

    /// <summary>The versions of an API that the peer offers; null when it does not offer the API.</summary>
    public ApiVersionRange? RangeOf(ApiKey key) => _ranges.TryGetValue(key, out var range) ? range : null;
}
