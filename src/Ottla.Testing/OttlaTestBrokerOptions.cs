using Microsoft.Extensions.Logging;

namespace Ottla.Testing;

/// <summary>How a test broker is made.</summary>
public sealed record OttlaTestBrokerOptions
{
    /// <summary>The number of brokers, whose ids are 1, 2 and so on. With several, topics have as many replicas, three at most.</summary>
    public int Nodes { get; init; } = 1;

    /// <summary>Broker configs by Kafka's names, on top of what a test broker has.</summary>
    public IReadOnlyDictionary<string, string> Configs { get; init; } = new Dictionary<string, string>();

    /// <summary>Whether clients connect over TLS: to a certificate for <c>localhost</c> of an authority that the broker makes.</summary>
    public bool UseTls { get; init; }

    /// <summary>
    /// Users and their passwords. With some, clients have to log in: by PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    /// </summary>
    public IReadOnlyDictionary<string, string> Users { get; init; } = new Dictionary<string, string>();

    /// <summary>Takes the log of the nodes; null for none.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }
}
