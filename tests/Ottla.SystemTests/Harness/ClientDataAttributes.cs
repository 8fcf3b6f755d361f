using System.Reflection;
using Ottla.SystemTests.Clients;
using Xunit.Sdk;

namespace Ottla.SystemTests.Harness;

/// <summary>The categories that a filter can choose.</summary>
public static class Categories
{
    /// <summary>The trait's name.</summary>
    public const string Trait = "Category";

    /// <summary>Third-party clients, one process or more each.</summary>
    public const string Clients = "Clients";

    /// <summary>Brokers that are killed and started again.</summary>
    public const string Kill = "Kill";

    /// <summary>Several nodes that make a cluster.</summary>
    public const string Cluster = "Cluster";

    /// <summary>Disks that have no room.</summary>
    public const string Disk = "Disk";

    /// <summary>Bytes that no client would send.</summary>
    public const string Malformed = "Malformed";

    /// <summary>The process itself: start, stop, command line.</summary>
    public const string Process = "Process";
}

/// <summary>A theory with a client. Skipped at discovery, with the reason, where the client is not installed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ClientTheoryAttribute : TheoryAttribute
{
    public ClientTheoryAttribute(string client)
    {
        Client = client;
        Skip = Requirements.SkipReason(ClientCatalog.Get(client));
    }

    public string Client { get; }
}

/// <summary>One theory row for the client. Skipped at discovery, with the reason, where the client is not installed.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class ClientDataAttribute : DataAttribute
{
    public ClientDataAttribute(string client)
    {
        Client = client;
        Skip = Requirements.SkipReason(ClientCatalog.Get(client));
    }

    public string Client { get; }

    /// <inheritdoc/>
    public override IEnumerable<object[]> GetData(MethodInfo testMethod) => [[Client]];
}

/// <summary>One theory row (client, codec) for each codec of the client. Skipped like <see cref="ClientDataAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class ClientCodecsAttribute : DataAttribute
{
    public ClientCodecsAttribute(string client)
    {
        Client = client;
        Skip = Requirements.SkipReason(ClientCatalog.Get(client));
    }

    public string Client { get; }

    /// <inheritdoc/>
    public override IEnumerable<object[]> GetData(MethodInfo testMethod) =>
        ClientCatalog.Get(Client).Codecs.Select(codec => new object[] { Client, codec });
}

/// <summary>One theory row (producer, consumer, codec) for each codec that both clients have. Skipped when either is missing.</summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class ClientPairAttribute : DataAttribute
{
    public ClientPairAttribute(string producer, string consumer)
    {
        Producer = producer;
        Consumer = consumer;
        Skip = Requirements.SkipReason(ClientCatalog.Get(producer)) ?? Requirements.SkipReason(ClientCatalog.Get(consumer));
    }

    public string Producer { get; }

    public string Consumer { get; }

    /// <inheritdoc/>
    public override IEnumerable<object[]> GetData(MethodInfo testMethod) =>
        ClientCatalog.Get(Producer).Codecs
            .Intersect(ClientCatalog.Get(Consumer).Codecs)
            .Select(codec => new object[] { Producer, Consumer, codec });
}

/// <summary>A fact that needs one client or more. Skipped like <see cref="ClientDataAttribute"/>.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ClientFactAttribute : FactAttribute
{
    public ClientFactAttribute(params string[] clients)
    {
        Clients = clients;
        Skip = clients.Select(client => Requirements.SkipReason(ClientCatalog.Get(client))).FirstOrDefault(reason => reason is not null);
    }

    public IReadOnlyList<string> Clients { get; }
}

/// <summary>
/// Theory rows (client, protocol, mechanism) for each way to log in. Skipped like <see cref="ClientDataAttribute"/>.
/// </summary>
[AttributeUsage(AttributeTargets.Method, AllowMultiple = true)]
public sealed class ClientLoginsAttribute : DataAttribute
{
    private static readonly string[] s_mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"];

    public ClientLoginsAttribute(string client)
    {
        Client = client;
        Skip = Requirements.SkipReason(ClientCatalog.Get(client));
    }

    public string Client { get; }

    /// <inheritdoc/>
    public override IEnumerable<object[]> GetData(MethodInfo testMethod) =>
        from protocol in new[] { "SASL_PLAINTEXT", "SASL_SSL" }
        from mechanism in s_mechanisms
        select new object[] { Client, protocol, mechanism };
}
