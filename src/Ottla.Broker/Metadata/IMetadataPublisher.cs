using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>Applies the committed metadata to one part of the broker: replicas, configs, quotas or access control.</summary>
public interface IMetadataPublisher
{
    /// <summary>What it is called in logs.</summary>
    string Name { get; }

    /// <summary>Takes over what changed. Called one at a time, in the order of registration, for every batch that is committed.</summary>
    /// <remarks>
    /// The first call's <see cref="MetadataDelta.Old"/> is what was there when the publisher was registered: everything is new.
    /// </remarks>
    void Publish(MetadataDelta delta);
}
