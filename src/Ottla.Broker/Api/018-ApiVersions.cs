using System.Text.RegularExpressions;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>ApiVersions (key 18), versions 0 to 5: the APIs that this listener serves, and the features of the cluster.</summary>
/// <remarks>
/// The response header is always version 0. A request of an unknown version gets an answer in version 0, with UNSUPPORTED_VERSION and our
/// own range (see <see cref="UnsupportedVersion"/>). Version 3+: the client's name and version must be well-formed, else INVALID_REQUEST.
/// Version 5: a client that takes this node for one of another cluster, or for another node, gets REBOOTSTRAP_REQUIRED (KIP-1242). Answers
/// below version 4 leave out features with minimum 0: older clients cannot read them. What an answer is made of is kept for the next one:
/// this is what anybody may ask before a login, as often as it can.
/// </remarks>
/// <param name="apis">The APIs of this listener.</param>
/// <param name="cluster">The cluster.</param>
/// <param name="nodeId">This node.</param>
/// <param name="supportedFeatures">The features that this node supports.</param>
/// <param name="kraftVersion">The finalized kraft.version.</param>
/// <param name="controllerVersions">
/// The versions of a forwarded API that the active controller serves; null while this node does not know them.
/// </param>
internal sealed partial class ApiVersionsHandler(
    Func<ApiTable> apis, ClusterView cluster, int nodeId, SupportedFeatures supportedFeatures, Func<short> kraftVersion,
    Func<ApiKey, ApiVersionRange?>? controllerVersions = null)
    : IApiHandler<ApiVersionsRequest, ApiVersionsResponse>
{
    private const short FirstVersionWithClientSoftware = 3;
    private const short FirstVersionWithMinimumZero = 4;
    private const short FirstVersionWithClusterCheck = 5;

    /// <summary>A connection keeps no longer names.</summary>
    private const int SoftwareNameCharsMax = 256;

    /// <summary>
    /// The oldest version of Produce that this node offers: librdkafka before 2.8 compresses only for brokers that offer it (KAFKA-18659).
    /// A request of this version is refused all the same.
    /// </summary>
    private const short OldestProduceOffered = 0;

    private readonly ApiVersionsResponse.SupportedFeatureKey[] _supported = FeaturesOf(supportedFeatures, minimum: 0);
    private readonly ApiVersionsResponse.SupportedFeatureKey[] _supportedAboveZero = FeaturesOf(supportedFeatures, minimum: 1);
    private ApiVersionsResponse.ApiVersion[] _offered = [];
    private FinalizedFeatures? _finalized;

    public ValueTask<ApiVersionsResponse?> HandleAsync(RequestContext context, ApiVersionsRequest request)
    {
        var error = Check(context.ApiVersion, request);
        if (error == ErrorCode.None && context.ApiVersion >= FirstVersionWithClientSoftware)
            NoteSoftware(context.Connection, request);
        var response = new ApiVersionsResponse { ErrorCode = (short)error };
        if (error is ErrorCode.None or ErrorCode.RebootstrapRequired)
            response.ApiKeys = OfferToClient();
        if (error == ErrorCode.None)
            AddFeatures(response, context.ApiVersion);
        return ValueTask.FromResult<ApiVersionsResponse?>(response);
    }

    /// <summary>The answer to a client that is newer than this broker. The caller encodes it as version 0.</summary>
    public static ApiVersionsResponse UnsupportedVersion(ApiTable apis) => new()
    {
        ErrorCode = (short)ErrorCode.UnsupportedVersion,
        ApiKeys = [.. apis.Entries.Where(api => api.Key == ApiKey.ApiVersions).Select(api => Offer(api, RangeOf(api)))],
    };

    /// <summary>Whether the client's name and version are well-formed.</summary>
    public static bool NamesSoftware(short version, ApiVersionsRequest request) => version < FirstVersionWithClientSoftware
        || (SoftwareNamePattern().IsMatch(request.ClientSoftwareName) && SoftwareNamePattern().IsMatch(request.ClientSoftwareVersion));

    /// <summary>Notes what the client's library is, which does not change over a connection: clients that ask again cost nothing.</summary>
    private static void NoteSoftware(ConnectionInfo connection, ApiVersionsRequest request) => connection.Software ??=
        request.ClientSoftwareName.Length > SoftwareNameCharsMax || request.ClientSoftwareVersion.Length > SoftwareNameCharsMax ? null
            : new ClientSoftware(request.ClientSoftwareName, request.ClientSoftwareVersion);

    private ErrorCode Check(short version, ApiVersionsRequest request)
    {
        if (!NamesSoftware(version, request))
            return ErrorCode.InvalidRequest;
        if (version < FirstVersionWithClusterCheck)
            return ErrorCode.None;
        if (request.ClusterId is null != request.NodeId < 0)
            return ErrorCode.InvalidRequest;
        return request.ClusterId is null
            || (request.ClusterId == cluster.ClusterId && request.NodeId == nodeId) ? ErrorCode.None : ErrorCode.RebootstrapRequired;
    }

    /// <summary>
    /// The versions of the APIs that a client may use: of a forwarded API only those that the active controller serves too, and the API not
    /// at all when there are none. The last answer is given again as long as it holds.
    /// </summary>
    private ApiVersionsResponse.ApiVersion[] OfferToClient()
    {
        var known = Volatile.Read(ref _offered);
        var entries = apis().Entries;
        var count = 0;
        for (var i = 0; i < entries.Count; i++)
        {
            var api = entries[i];
            var range = RangeForClient(api);
            if (range.Min > range.Max)
                continue;
            if (count == known.Length || known[count].ApiKey != (short)api.Key || known[count].MinVersion != range.Min
                || known[count].MaxVersion != range.Max)
                return Keep([.. entries.Select(OfferToClient).Where(each => each.MinVersion <= each.MaxVersion)]);
            count++;
        }

        return count == known.Length ? known : Keep(known[..count]);
    }

    private ApiVersionsResponse.ApiVersion[] Keep(ApiVersionsResponse.ApiVersion[] offered)
    {
        Volatile.Write(ref _offered, offered);
        return offered;
    }

    private ApiVersionRange RangeForClient(ApiEntry api)
    {
        var range = RangeOf(api);
        if (!api.IsOffered)
            return new ApiVersionRange(Min: short.MaxValue, Max: -1);
        return api.IsForwarded && controllerVersions?.Invoke(api.Key) is { } served
            ? new ApiVersionRange(Math.Max(range.Min, served.Min), Math.Min(range.Max, served.Max)) : range;
    }

    private ApiVersionsResponse.ApiVersion OfferToClient(ApiEntry api) => Offer(api, RangeForClient(api));

    private static ApiVersionRange RangeOf(ApiEntry api) =>
        new(api.Key == ApiKey.Produce ? OldestProduceOffered : api.LowestVersion, api.HighestVersion);

    private static ApiVersionsResponse.ApiVersion Offer(ApiEntry api, ApiVersionRange range) =>
        new() { ApiKey = (short)api.Key, MinVersion = range.Min, MaxVersion = range.Max };

    private static ApiVersionsResponse.SupportedFeatureKey[] FeaturesOf(SupportedFeatures features, short minimum) =>
    [
        .. features.Ranges
            .Where(feature => feature.Value.Min >= minimum)
            .Select(feature => new ApiVersionsResponse.SupportedFeatureKey
            {
                Name = feature.Key,
                MinVersion = feature.Value.Min,
                MaxVersion = feature.Value.Max,
            }),
    ];

    private void AddFeatures(ApiVersionsResponse response, short version)
    {
        response.SupportedFeatures = version >= FirstVersionWithMinimumZero ? _supported : _supportedAboveZero;
        var image = cluster.Image;
        if (image.Features.MetadataVersion is not { } metadataVersion)
            return;
        var kraft = kraftVersion();
        var known = Volatile.Read(ref _finalized);
        if (known is null || !ReferenceEquals(known.Of, image.Features) || known.KRaftVersion != kraft)
        {
            known = new FinalizedFeatures(image.Features, kraft, Finalize(image.Features, metadataVersion.Level, kraft));
            Volatile.Write(ref _finalized, known);
        }

        response.FinalizedFeatures = known.Keys;
        response.FinalizedFeaturesEpoch = image.Provenance.LastOffset;
    }

    private ApiVersionsResponse.FinalizedFeatureKey[] Finalize(FeaturesImage features, short metadataLevel, short kraft)
    {
        var finalized = new SortedDictionary<string, short>(StringComparer.Ordinal) { ["metadata.version"] = metadataLevel };
        foreach (var (name, level) in features.Levels)
            finalized[name] = Math.Min(level, supportedFeatures[name].Max); // a newer broker may have written the log
        if (kraft > 0)
            finalized[Feature.KRaftVersion] = kraft;
        return
        [
            .. finalized.Where(feature => feature.Value > 0).Select(feature => new ApiVersionsResponse.FinalizedFeatureKey
            {
                Name = feature.Key,
                MinVersionLevel = feature.Value,
                MaxVersionLevel = feature.Value,
            }),
        ];
    }

    private sealed record FinalizedFeatures(FeaturesImage Of, short KRaftVersion, ApiVersionsResponse.FinalizedFeatureKey[] Keys);

    [GeneratedRegex(@"\A[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?\z")]
    private static partial Regex SoftwareNamePattern();
}
