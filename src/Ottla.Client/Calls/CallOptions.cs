using Ottla.Client.Cluster;
using Ottla.Protocol;

namespace Ottla.Client.Calls;

/// <summary>How one call differs from others.</summary>
internal sealed record CallOptions
{
    /// <summary>A call like all others.</summary>
    public static CallOptions Default { get; } = new();

    /// <summary>How long it may take with all attempts; null for <see cref="OttlaClientOptions.ApiTimeout"/>.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>How long one attempt may take; null for <see cref="OttlaClientOptions.RequestTimeout"/>.</summary>
    public TimeSpan? RequestTimeout { get; init; }

    /// <summary>The connections to use; null for <see cref="ClusterConnections.Shared"/>.</summary>
    public ConnectionGroup? Connections { get; init; }

    /// <summary>Which errors of an answer are tried again; null for <see cref="ErrorKinds.IsRetriable"/>.</summary>
    public Func<ErrorCode, bool>? IsRetriable { get; init; }

    /// <summary>
    /// Whether a request that may have been executed is sent again after a broken connection. False for what must not happen twice.
    /// </summary>
    public bool MayRepeat { get; init; } = true;

    /// <summary>The wait before another attempt stays <see cref="OttlaClientOptions.RetryBackoff"/> instead of growing.</summary>
    public bool HasConstantBackoff { get; init; }

    /// <summary>The newest version to send.</summary>
    public short VersionMax { get; init; } = short.MaxValue;
}
