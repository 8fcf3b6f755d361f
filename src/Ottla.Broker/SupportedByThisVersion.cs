using Ottla.StateMachines.Metadata;

namespace Ottla.Broker;

/// <summary>The features that this version of Ottla offers to clients and controllers.</summary>
public static class SupportedByThisVersion
{
    /// <summary>Kafka's features, but for what waits for its coordinator: a level that is offered must work.</summary>
    public static SupportedFeatures Features { get; } = SupportedFeatures.Latest
        .UpTo(Feature.ShareVersion, 0)
        .UpTo(Feature.StreamsVersion, 0);
}
