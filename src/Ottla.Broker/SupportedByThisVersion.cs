using Ottla.Configuration;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker;

/// <summary>The features that this version of Ottla offers to clients and controllers.</summary>
public static class SupportedByThisVersion
{
    /// <summary>The level of share groups that can be tried out.</summary>
    private const short ShareVersionInDevelopment = 1;

    private static readonly SupportedFeatures s_inDevelopment = SupportedFeatures.Latest
        .UpTo(Feature.ShareVersion, ShareVersionInDevelopment)
        .UpTo(Feature.StreamsVersion, 0);

    private static readonly SupportedFeatures s_complete = s_inDevelopment.UpTo(Feature.ShareVersion, 0);

    /// <summary>
    /// Kafka's features, but for what is not complete: a level that is offered must work, unless
    /// <c>unstable.feature.versions.enable</c> asks for more.
    /// </summary>
    public static SupportedFeatures In(BrokerConfig config) =>
        config.Get("unstable.feature.versions.enable").AsBoolean ? s_inDevelopment : s_complete;
}
