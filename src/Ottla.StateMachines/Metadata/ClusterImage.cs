using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.Protocol.Metadata;

namespace Ottla.StateMachines.Metadata;

/// <summary>An advertised address of a node.</summary>
/// <param name="Listener">The listener's name.</param>
/// <param name="Host">The advertised host.</param>
/// <param name="Port">The advertised port.</param>
/// <param name="SecurityProtocol">0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.</param>
public sealed record Endpoint(string Listener, string Host, ushort Port, short SecurityProtocol);

/// <summary>A registered broker. Immutable.</summary>
public sealed record BrokerRegistration
{
    public required int Id { get; init; }

    /// <summary>
    /// The epoch of the registration. It grows with each start of the broker, which proves with it that it is the registered process.
    /// </summary>
    public required long Epoch { get; init; }

    /// <summary>Identifies one run of the broker's process.</summary>
    public required Uuid IncarnationId { get; init; }

    public required ImmutableArray<Endpoint> Endpoints { get; init; }

    public required ImmutableSortedDictionary<string, VersionRange> Features { get; init; }

    public string? Rack { get; init; }

    /// <summary>Whether the broker is fenced: it leads no partitions and clients do not see it.</summary>
    public bool Fenced { get; init; } = true;

    public bool InControlledShutdown { get; init; }

    public bool IsMigratingZkBroker { get; init; }

    /// <summary>The online log directories, sorted.</summary>
    public ImmutableArray<Uuid> LogDirs { get; init; } = [];

    /// <summary>
    /// The directories that get no new replicas; default (<see cref="ImmutableArray{T}.IsDefault"/>) until the broker reports them.
    /// </summary>
    public ImmutableArray<Uuid> CordonedLogDirs { get; init; }

    /// <summary>
    /// The offset of the registration in the metadata log. The broker can be unfenced after it has read that far. Not part of equality,
    /// because snapshots do not store it.
    /// </summary>
    public long RegisteredAtOffset { get; init; } = -1;

    /// <summary>Whether the broker may lead: neither fenced nor shutting down.</summary>
    public bool IsActive => !Fenced && !InControlledShutdown;

    /// <summary>Whether at least one directory accepts new replicas.</summary>
    public bool HasUncordonedDirs => LogDirs.IsEmpty || CordonedLogDirs.IsDefault || LogDirs.Any(dir => !CordonedLogDirs.Contains(dir));

    /// <summary>The endpoint of a listener; null when the broker does not have the listener.</summary>
    public Endpoint? EndpointAt(string listener)
    {
        foreach (var endpoint in Endpoints)
        {
            if (endpoint.Listener == listener)
                return endpoint;
        }

        return null;
    }

    /// <summary>Reads the broker from its registration record.</summary>
    public static BrokerRegistration From(RegisterBrokerRecord record, long offset) => new()
    {
        Id = record.BrokerId,
        Epoch = record.BrokerEpoch,
        IncarnationId = record.IncarnationId,
        Endpoints = [.. record.EndPoints.Select(e => new Endpoint(e.Name, e.Host, e.Port, e.SecurityProtocol))],
        Features = record.Features.ToImmutableSortedDictionary(
            f => f.Name, f => new VersionRange(f.MinSupportedVersion, f.MaxSupportedVersion), StringComparer.Ordinal),
        Rack = record.Rack,
        Fenced = record.Fenced,
        InControlledShutdown = record.InControlledShutdown,
        IsMigratingZkBroker = record.IsMigratingZkBroker,
        LogDirs = [.. record.LogDirs.Order()],
        CordonedLogDirs = record.CordonedLogDirs is null ? default : [.. record.CordonedLogDirs],
        RegisteredAtOffset = offset,
    };

    /// <summary>The record that registers the broker in its current state.</summary>
    public MetadataRecord ToRecord(MetadataVersion version) => new(
        new RegisterBrokerRecord
        {
            BrokerId = Id,
            BrokerEpoch = Epoch,
            IncarnationId = IncarnationId,
            EndPoints = [.. Endpoints.Select(e => new RegisterBrokerRecord.BrokerEndpoint
            {
                Name = e.Listener,
                Host = e.Host,
                Port = e.Port,
                SecurityProtocol = e.SecurityProtocol,
            })],
            Features = [.. Features.Select(f => new RegisterBrokerRecord.BrokerFeature
            {
                Name = f.Key,
                MinSupportedVersion = f.Value.Min,
                MaxSupportedVersion = f.Value.Max,
            })],
            Rack = Rack,
            Fenced = Fenced,
            InControlledShutdown = InControlledShutdown,
            IsMigratingZkBroker = IsMigratingZkBroker && version >= MetadataVersion.V3_4_IV0,
            LogDirs = version.SupportsDirectoryAssignment ? [.. LogDirs] : [],
            CordonedLogDirs = CordonedLogDirs.IsDefault || !version.SupportsCordonedLogDirs ? null : [.. CordonedLogDirs],
        },
        version.RegisterBrokerRecordVersion);

    /// <inheritdoc/>
    public bool Equals(BrokerRegistration? other) =>
        ReferenceEquals(this, other) || (other is not null
            && Id == other.Id
            && Epoch == other.Epoch
            && IncarnationId == other.IncarnationId
            && Rack == other.Rack
            && Fenced == other.Fenced
            && InControlledShutdown == other.InControlledShutdown
            && IsMigratingZkBroker == other.IsMigratingZkBroker
            && ContentEquality.Items(Endpoints, other.Endpoints)
            && ContentEquality.Entries(Features, other.Features)
            && ContentEquality.Items(LogDirs, other.LogDirs)
            && CordonedLogDirs.IsDefault == other.CordonedLogDirs.IsDefault
            && (CordonedLogDirs.IsDefault || ContentEquality.Items(CordonedLogDirs, other.CordonedLogDirs)));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Id, Epoch, IncarnationId, Fenced, InControlledShutdown);
}

/// <summary>A registered controller (KIP-919). Immutable.</summary>
public sealed record ControllerRegistration
{
    public required int Id { get; init; }

    public required Uuid IncarnationId { get; init; }

    public required ImmutableArray<Endpoint> Endpoints { get; init; }

    public required ImmutableSortedDictionary<string, VersionRange> Features { get; init; }

    public bool ZkMigrationReady { get; init; }

    /// <summary>Reads the controller from its registration record.</summary>
    public static ControllerRegistration From(RegisterControllerRecord record) => new()
    {
        Id = record.ControllerId,
        IncarnationId = record.IncarnationId,
        Endpoints = [.. record.EndPoints.Select(e => new Endpoint(e.Name, e.Host, e.Port, e.SecurityProtocol))],
        Features = record.Features.ToImmutableSortedDictionary(
            f => f.Name, f => new VersionRange(f.MinSupportedVersion, f.MaxSupportedVersion), StringComparer.Ordinal),
        ZkMigrationReady = record.ZkMigrationReady,
    };

    /// <summary>The record that registers the controller.</summary>
    public MetadataRecord ToRecord() => new(
        new RegisterControllerRecord
        {
            ControllerId = Id,
            IncarnationId = IncarnationId,
            ZkMigrationReady = ZkMigrationReady,
            EndPoints = [.. Endpoints.Select(e => new RegisterControllerRecord.ControllerEndpoint
            {
                Name = e.Listener,
                Host = e.Host,
                Port = e.Port,
                SecurityProtocol = e.SecurityProtocol,
            })],
            Features = [.. Features.Select(f => new RegisterControllerRecord.ControllerFeature
            {
                Name = f.Key,
                MinSupportedVersion = f.Value.Min,
                MaxSupportedVersion = f.Value.Max,
            })],
        },
        0);

    /// <inheritdoc/>
    public bool Equals(ControllerRegistration? other) =>
        ReferenceEquals(this, other) || (other is not null
            && Id == other.Id
            && IncarnationId == other.IncarnationId
            && ZkMigrationReady == other.ZkMigrationReady
            && ContentEquality.Items(Endpoints, other.Endpoints)
            && ContentEquality.Entries(Features, other.Features));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Id, IncarnationId);
}

/// <summary>The registered brokers and controllers. Immutable.</summary>
public sealed record ClusterImage(
    ImmutableSortedDictionary<int, BrokerRegistration> Brokers,
    ImmutableSortedDictionary<int, ControllerRegistration> Controllers)
{
    public static readonly ClusterImage Empty = new(
        ImmutableSortedDictionary<int, BrokerRegistration>.Empty, ImmutableSortedDictionary<int, ControllerRegistration>.Empty);

    /// <summary>The registration of a broker; null when there is none.</summary>
    public BrokerRegistration? Broker(int id) => Brokers.GetValueOrDefault(id);

    /// <summary>Whether a broker may lead.</summary>
    public bool IsActive(int brokerId) => Broker(brokerId) is { IsActive: true };

    /// <summary>
    /// The log directory of a new replica: a broker with one directory has no choice; one with more chooses itself and says so later.
    /// </summary>
    public Uuid DefaultDirectory(int brokerId) => Broker(brokerId)?.LogDirs switch
    {
        null or { Length: > 1 } => DirectoryIds.Unassigned,
        { Length: 0 } => DirectoryIds.Migrating,
        { } directories => directories[0],
    };

    /// <inheritdoc/>
    public bool Equals(ClusterImage? other) =>
        ReferenceEquals(this, other) || (other is not null && ContentEquality.Entries(Brokers, other.Brokers)
            && ContentEquality.Entries(Controllers, other.Controllers));

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Brokers.Count, Controllers.Count);
}
