using System.Text.RegularExpressions;
using Ottla.Broker.Metadata;
using Ottla.Broker.Server;
using Ottla.Protocol;
using Ottla.Protocol.Messages;
using Ottla.Requests;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Api;

/// <summary>ApiVersions (key 18), versions 0 to 5: what this listener serves, and the features of the cluster.</summary>
/// <remarks>
/// The response header is always version 0. A version that is not known is answered in version 0 with UNSUPPORTED_VERSION and our own range
/// (see <see cref="UnsupportedVersion"/>). Version 3+: the client's name and version must be well-formed, else INVALID_REQUEST. Version 5:
/// a client that believes in another cluster or node learns it by REBOOTSTRAP_REQUIRED (KIP-1242). Features with minimum 0 are left out
/// below version 4, whose clients cannot read them.
/// </remarks>
/// <param name="apis">What is served.</param>
/// <param name="cluster">The cluster.</param>
/// <param name="nodeId">This node.</param>
/// <param name="supportedFeatures">What this node offers.</param>
/// <param name="kraftVersion">The finalized kraft.version.</param>
/// <param name="controllerVersions">
/// What the active controller serves of an API that is forwarded to it; null while that is not known.
/// </param>
internal sealed partial class ApiVersionsHandler(
    Func<ApiTable> apis, ClusterView cluster, int nodeId, SupportedFeatures supportedFeatures, Func<short> kraftVersion,
    Func<ApiKey, ApiVersionRange?>? controllerVersions = null)
    : IApiHandler<ApiVersionsRequest, ApiVersionsResponse>
{
    private const short FirstVersionWithClientSoftware = 3;
    private const short FirstVersionWithMinimumZero = 4;
    private const short FirstVersionWithClusterCheck = 5;

    /// <summary>
    /// What is offered as the oldest Produce: librdkafka before 2.8 compresses only for brokers that offer it (KAFKA-18659). It is refused
    /// all the same.
    /// </summary>
    private const short OldestProduceOffered = 0;

    public ValueTask<ApiVersionsResponse?> HandleAsync(RequestContext context, ApiVersionsRequest request)
    {
        var error = Check(context.ApiVersion, request);
        var response = new ApiVersionsResponse { ErrorCode = (short)error };
        if (error is ErrorCode.None or ErrorCode.RebootstrapRequired)
            response.ApiKeys = [.. apis().Entries.Select(OfferToClient).OfType<ApiVersionsResponse.ApiVersion>()];
        if (error == ErrorCode.None)
            AddFeatures(response, context.ApiVersion);
        return ValueTask.FromResult<ApiVersionsResponse?>(response);
    }

    /// <summary>The answer to a client that is newer than this broker, to be encoded as version 0.</summary>
    public static ApiVersionsResponse UnsupportedVersion(ApiTable apis) => new()
    {
        ErrorCode = (short)ErrorCode.UnsupportedVersion,
        ApiKeys = [.. apis.Entries.Where(api => api.Key == ApiKey.ApiVersions).Select(Offer)],
    };

    private ErrorCode Check(short version, ApiVersionsRequest request)
    {
        if (version >= FirstVersionWithClientSoftware
            && !(SoftwareNamePattern().IsMatch(request.ClientSoftwareName) && SoftwareNamePattern().IsMatch(request.ClientSoftwareVersion)))
            return ErrorCode.InvalidRequest;
        if (version < FirstVersionWithClusterCheck)
            return ErrorCode.None;
        if (request.ClusterId is null != request.NodeId < 0)
            return ErrorCode.InvalidRequest;
        return request.ClusterId is null
            || (request.ClusterId == cluster.ClusterId && request.NodeId == nodeId) ? ErrorCode.None : ErrorCode.RebootstrapRequired;
    }

    /// <summary>
    /// What a client may use of an API: of one that is forwarded, what the active controller serves too; null for nothing.
    /// </summary>
    private ApiVersionsResponse.ApiVersion? OfferToClient(ApiEntry api)
    {
        var offer = Offer(api);
        if (!api.IsForwarded || controllerVersions?.Invoke(api.Key) is not { } range)
            return offer;
        offer.MinVersion = Math.Max(offer.MinVersion, range.Min);
        offer.MaxVersion = Math.Min(offer.MaxVersion, range.Max);
        return offer.MinVersion <= offer.MaxVersion ? offer : null;
    }

    private static ApiVersionsResponse.ApiVersion Offer(ApiEntry api) => new()
    {
        ApiKey = (short)api.Key,
        MinVersion = api.Key == ApiKey.Produce ? OldestProduceOffered : api.LowestVersion,
        MaxVersion = api.HighestVersion,
    };

    private void AddFeatures(ApiVersionsResponse response, short version)
    {
        response.SupportedFeatures =
        [
            .. supportedFeatures.Ranges
                .Where(feature => version >= FirstVersionWithMinimumZero || feature.Value.Min > 0)
                .Select(feature =>
                    new ApiVersionsResponse.SupportedFeatureKey { Name = feature.Key, MinVersion = feature.Value.Min,
                        MaxVersion = feature.Value.Max }),
        ];
        var image = cluster.Image;
        if (image.Features.MetadataVersion is not { } metadataVersion)
            return;
        var finalized = new SortedDictionary<string, short>(StringComparer.Ordinal) { ["metadata.version"] = metadataVersion.Level };
        foreach (var (name, level) in image.Features.Levels)
            finalized[name] = Math.Min(level, supportedFeatures[name].Max); // the log may come from a broker that could do more
        if (kraftVersion() is > 0 and var kraft)
            finalized[Feature.KRaftVersion] = kraft;
        response.FinalizedFeatures =
            [.. finalized.Where(feature => feature.Value > 0).Select(
                feature => new ApiVersionsResponse.FinalizedFeatureKey { Name = feature.Key, MinVersionLevel = feature.Value,
                    MaxVersionLevel = feature.Value })];
        response.FinalizedFeaturesEpoch = image.Provenance.LastOffset;
    }

    [GeneratedRegex(@"\A[a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])?\z")]
    private static partial Regex SoftwareNamePattern();
}
