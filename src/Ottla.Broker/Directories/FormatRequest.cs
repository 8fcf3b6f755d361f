using System.Collections.Immutable;
using Ottla.Kernel;
using Ottla.Protocol.Metadata;
using Ottla.StateMachines.Metadata;

namespace Ottla.Broker.Directories;

/// <summary>A format command that cannot be done; the message is for the user.</summary>
public sealed class FormatterException(string message) : Exception(message);

/// <summary>What a log directory's <c>meta.properties</c> says.</summary>
public sealed record FormattedDirectory(string? ClusterId, int? NodeId, Uuid? DirectoryId = null);

/// <summary>What a format command asks for.</summary>
public sealed record FormatRequest
{
    public required string ClusterId { get; init; }

    public required int NodeId { get; init; }

    /// <summary>The log directories.</summary>
    public required IReadOnlyList<string> LogDirs { get; init; }

    /// <summary>The one that the metadata log is in.</summary>
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

    /// <summary>Whether the voters are in the log: none are configured.</summary>
    public bool HasDynamicQuorum { get; init; }

    /// <summary><c>--no-initial-controllers</c>: the voters are not known yet.</summary>
    public bool HasNoInitialControllers { get; init; }

    /// <summary><c>--ignore-formatted</c>.</summary>
    public bool IgnoreFormatted { get; init; }

    /// <summary>What this node supports: nothing else is finalized.</summary>
    public SupportedFeatures SupportedFeatures { get; init; } = SupportedFeatures.Latest;
}

/// <summary>A directory to format.</summary>
/// <param name="Path">Where.</param>
/// <param name="Kind">What it is called when it is announced.</param>
/// <param name="DirectoryId">The id for its <c>meta.properties</c>.</param>
/// <param name="HoldsSnapshot">Whether the bootstrap snapshot goes there.</param>
public sealed record DirectoryPlan(string Path, string Kind, Uuid DirectoryId, bool HoldsSnapshot);

/// <summary>What is to be written: the directories' <c>meta.properties</c>, and the snapshot before the metadata log.</summary>
/// <param name="ClusterId">The cluster's id.</param>
/// <param name="NodeId">The node's id.</param>
/// <param name="MetadataVersion">The cluster's first metadata.version.</param>
/// <param name="KRaftVersion">Its first kraft.version.</param>
/// <param name="Records">The snapshot's records.</param>
/// <param name="Voters">The snapshot's voters; null for none.</param>
/// <param name="Directories">What is formatted, in the order of the paths.</param>
/// <param name="Unreadable">Directories whose <c>meta.properties</c> cannot be read, with the reason: they are left as they are.</param>
public sealed record FormatPlan(
    string ClusterId,
    int NodeId,
    MetadataVersion MetadataVersion,
    short KRaftVersion,
    IReadOnlyList<MetadataRecord> Records,
    IReadOnlyList<InitialController>? Voters,
    IReadOnlyList<DirectoryPlan> Directories,
    IReadOnlyList<(string Path, string Reason)> Unreadable);
