using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Directories;

/// <summary>A format command that fails; the message is for the user.</summary>
public sealed class FormatterException(string message) : Exception(message);

/// <summary>The content of a log directory's <c>meta.properties</c>.</summary>
public sealed record FormattedDirectory(string? ClusterId, int? NodeId, Uuid? DirectoryId = null);

/// <summary>The arguments of a format command.</summary>
public sealed record FormatRequest
{
    public required string ClusterId { get; init; }

    public required int NodeId { get; init; }

    /// <summary>The log directories.</summary>
    public required IReadOnlyList<string> LogDirs { get; init; }

    /// <summary>The directory of the metadata log.</summary>
    public required string MetadataLogDir { get; init; }

    /// <summary>
    /// Whether the node is a controller: its metadata log begins with a snapshot. A broker gets the whole log from the controllers.
    /// </summary>
    public bool IsController { get; init; } = true;

    /// <summary><c>--release-version</c>; null for the newest supported.</summary>
    public string? ReleaseVersion { get; init; }

    /// <summary><c>--feature</c>.</summary>
    public IReadOnlyDictionary<string, short> Features { get; init; } = ImmutableDictionary<string, short>.Empty;

    /// <summary><c>--add-scram</c>.</summary>
    public IReadOnlyList<string> ScramArguments { get; init; } = [];

    /// <summary>
    /// <c>--initial-controllers</c>, or this node alone for <c>--standalone</c>; null with static voters and for
    /// <c>--no-initial-controllers</c>.
    /// </summary>
    public IReadOnlyList<InitialController>? InitialControllers { get; init; }

    /// <summary>Whether the log has the voters, because the configuration has none.</summary>
    public bool HasDynamicQuorum { get; init; }

    /// <summary><c>--no-initial-controllers</c>: the voters are not known yet.</summary>
    public bool HasNoInitialControllers { get; init; }

    /// <summary><c>--ignore-formatted</c>.</summary>
    public bool IgnoreFormatted { get; init; }

    /// <summary>The features that this node supports, and so may finalize.</summary>
    public SupportedFeatures SupportedFeatures { get; init; } = SupportedFeatures.Latest;
}

/// <summary>A directory to format.</summary>
/// <param name="Path">The path.</param>
/// <param name="Kind">Its kind, for the announcement.</param>
/// <param name="DirectoryId">The id for its <c>meta.properties</c>.</param>
/// <param name="HoldsSnapshot">Whether it gets the bootstrap snapshot.</param>
public sealed record DirectoryPlan(string Path, string Kind, Uuid DirectoryId, bool HoldsSnapshot);

/// <summary>
/// What a format command writes: <c>meta.properties</c> in each directory, and the snapshot that begins the metadata log.
/// </summary>
/// <param name="ClusterId">The cluster's id.</param>
/// <param name="NodeId">The node's id.</param>
/// <param name="MetadataVersion">The cluster's first metadata.version.</param>
/// <param name="KRaftVersion">The cluster's first kraft.version.</param>
/// <param name="Records">The snapshot's records.</param>
/// <param name="Voters">The snapshot's voters; null for none.</param>
/// <param name="Directories">The directories to format, in the order of their paths.</param>
/// <param name="Unreadable">Directories with an unreadable <c>meta.properties</c>, with the reason. They stay as they are.</param>
public sealed record FormatPlan(
    string ClusterId,
    int NodeId,
    MetadataVersion MetadataVersion,
    short KRaftVersion,
    IReadOnlyList<MetadataRecord> Records,
    IReadOnlyList<InitialController>? Voters,
    IReadOnlyList<DirectoryPlan> Directories,
    IReadOnlyList<(string Path, string Reason)> Unreadable);
