using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Metadata;

/// <summary>Makes a part of the broker follow the committed metadata: its replicas, configs, quotas, access control.</summary>
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
