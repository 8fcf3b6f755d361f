using Microsoft.Extensions.Logging;
using Ottla.Kernel;
using Ottla.Network.Transport;
using Ottla.Requests;

namespace Ottla.Client;

/// <summary>What a client does when none of the nodes that it knows can be reached (<c>metadata.recovery.strategy</c>, KIP-899).</summary>
public enum MetadataRecovery
{
    /// <summary>It begins anew with its bootstrap servers.</summary>
    Rebootstrap,

    /// <summary>It goes on asking the nodes that it knows.</summary>
    None,
}

/// <summary>How a client reaches its cluster. The defaults are those of Kafka's clients where nothing else is said.</summary>
public sealed record OttlaClientOptions
{
    /// <summary>Some nodes of the cluster: <c>host:port</c>, separated by commas (<c>bootstrap.servers</c>).</summary>
    public string BootstrapServers { get; init; } = "";

    /// <summary>
    /// Some controllers of the cluster, instead of <see cref="BootstrapServers"/> (<c>bootstrap.controllers</c>, KIP-919): for
    /// administration while no broker can be reached. Calls that need a broker are refused then.
    /// </summary>
    public string BootstrapControllers { get; init; } = "";

    /// <summary>Whether the client speaks to controllers.</summary>
    internal bool UsesControllers => BootstrapControllers.Length > 0;

    /// <summary>The name of this client in requests, for logs, quotas and metrics of the cluster (<c>client.id</c>).</summary>
    public string ClientId { get; init; } = "ottla-client";

    /// <summary>The rack of this client (<c>client.rack</c>), for reads from the nearest replica; null for none.</summary>
    public string? ClientRack { get; init; }

    /// <summary>TLS and login; null for clear text without a login.</summary>
    public ClientSecurityOptions? Security { get; init; }

    /// <summary>How long one request may take (<c>request.timeout.ms</c>).</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a call may take with all its attempts (<c>default.api.timeout.ms</c>).</summary>
    public TimeSpan ApiTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long setting up a connection may take, with TLS and login (<c>socket.connection.setup.timeout.ms</c>).</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The wait before the second attempt (<c>retry.backoff.ms</c>); it doubles with every further one.</summary>
    public TimeSpan RetryBackoff { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>The longest wait between attempts (<c>retry.backoff.max.ms</c>).</summary>
    public TimeSpan RetryBackoffMax { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The wait before a node is connected to again (<c>reconnect.backoff.ms</c>); it doubles with every failure.</summary>
    public TimeSpan ReconnectBackoff { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>The longest such wait (<c>reconnect.backoff.max.ms</c>).</summary>
    public TimeSpan ReconnectBackoffMax { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The age from which metadata is asked for anew without a reason (<c>metadata.max.age.ms</c>).</summary>
    public TimeSpan MetadataMaxAge { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>What to do when no known node can be reached.</summary>
    public MetadataRecovery MetadataRecovery { get; init; } = MetadataRecovery.Rebootstrap;

    /// <summary>
    /// How long metadata may fail to arrive before the client begins anew (<c>metadata.recovery.rebootstrap.trigger.ms</c>, KIP-1102).
    /// </summary>
    public TimeSpan RebootstrapTrigger { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A connection that was not used for so long is closed (<c>connections.max.idle.ms</c>).</summary>
    public TimeSpan ConnectionsMaxIdle { get; init; } = TimeSpan.FromMinutes(9);

    /// <summary>
    /// Whether asking for a topic that does not exist creates it, if the cluster allows that (<c>allow.auto.create.topics</c>). Off, unlike
    /// in Kafka's clients: a misspelt name is an error.
    /// </summary>
    public bool AllowAutoCreateTopics { get; init; }

    /// <summary>
    /// The most bytes of records that producers of this client hold before they are sent (<c>buffer.memory</c>). Who sends more waits.
    /// </summary>
    public long MemoryLimitBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary>
    /// Whether producers and consumers push their metrics to the cluster, if that wants them (<c>enable.metrics.push</c>, KIP-714).
    /// </summary>
    public bool EnableMetricsPush { get; init; } = true;

    /// <summary>Where the client logs; null for nowhere.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }

    /// <summary>The clock.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;

    /// <summary>The network; null for the sockets of this machine.</summary>
    internal ITransport? Transport { get; init; }

    /// <summary>Where random numbers begin; null for another start each time.</summary>
    internal ulong? Seed { get; init; }

    /// <summary>The waits between attempts: <see cref="RetryBackoff"/> to <see cref="RetryBackoffMax"/>, partly random.</summary>
    /// <param name="random">The random part; the waits are its only user from now on.</param>
    /// <param name="isConstant">Whether they do not grow.</param>
    internal ExponentialBackoff NewRetryBackoff(Prng random, bool isConstant = false) =>
        new(RetryBackoff, isConstant ? RetryBackoff : RetryBackoffMax, jitter: 0.2, random);

    /// <summary>The bootstrap servers, with negative ids: -1, -2, and so on.</summary>
    /// <exception cref="ArgumentException">One cannot be read, or there is none.</exception>
    internal IReadOnlyList<NodeAddress> ParseBootstrapServers()
    {
        var nodes = new List<NodeAddress>();
        var (servers, name) = UsesControllers
            ? (BootstrapControllers, nameof(BootstrapControllers))
            : (BootstrapServers, nameof(BootstrapServers));
        foreach (var server in servers.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var colon = server.LastIndexOf(':');
            var host = colon > 0 ? server[..colon] : "";
            if (host.StartsWith('[') && host.EndsWith(']'))
                host = host[1..^1];
            else if (host.Contains(':'))
                host = "";
            if (host.Length == 0 || !ushort.TryParse(server.AsSpan(colon + 1), out var port) || port == 0)
            {
                throw new ArgumentException(
                    $"{name}: cannot read '{server}'. Expected host:port, several separated by commas; an IPv6 address "
                        + "in brackets.");
            }

            nodes.Add(new NodeAddress(-1 - nodes.Count, host, port));
        }

        return nodes.Count > 0
            ? nodes
            : throw new ArgumentException($"{name} names no server. Expected host:port, several separated by commas.");
    }

    /// <summary>Checks the options.</summary>
    /// <exception cref="ArgumentException">One is out of range; the message names it.</exception>
    internal void Validate()
    {
        ArgumentNullException.ThrowIfNull(BootstrapServers);
        ArgumentNullException.ThrowIfNull(ClientId);
        ArgumentNullException.ThrowIfNull(TimeProvider);
        ArgumentNullException.ThrowIfNull(BootstrapControllers);
        if (BootstrapServers.Length > 0 && UsesControllers)
            throw new ArgumentException($"Set {nameof(BootstrapServers)} or {nameof(BootstrapControllers)}, and not both.");
        ParseBootstrapServers();
        Positive(RequestTimeout, nameof(RequestTimeout));
        Positive(ApiTimeout, nameof(ApiTimeout));
        Positive(ConnectTimeout, nameof(ConnectTimeout));
        Positive(RetryBackoff, nameof(RetryBackoff));
        Positive(RetryBackoffMax, nameof(RetryBackoffMax));
        Positive(ReconnectBackoff, nameof(ReconnectBackoff));
        Positive(ReconnectBackoffMax, nameof(ReconnectBackoffMax));
        Positive(MetadataMaxAge, nameof(MetadataMaxAge));
        Positive(RebootstrapTrigger, nameof(RebootstrapTrigger));
        Positive(ConnectionsMaxIdle, nameof(ConnectionsMaxIdle));
        if (!Enum.IsDefined(MetadataRecovery))
            throw new ArgumentException($"{nameof(MetadataRecovery)} has no value {MetadataRecovery}.");
        if (MemoryLimitBytes < 1)
            throw new ArgumentException($"{nameof(MemoryLimitBytes)} must be at least 1, and is {MemoryLimitBytes}.");
        Security?.Validate();
    }

    private static void Positive(TimeSpan value, string name)
    {
        if (value <= TimeSpan.Zero || value.TotalMilliseconds > int.MaxValue)
            throw new ArgumentException($"{name} must be more than zero and at most {int.MaxValue} ms, and is {value}.");
    }
}
