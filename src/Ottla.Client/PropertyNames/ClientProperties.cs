using Ottla.Client.PropertyNames;

namespace Ottla.Client;

/// <summary>Whose defaults hold for what the properties do not name, where those change what is read or written.</summary>
public enum PropertyDefaults
{
    /// <summary>Those of this client, which are the Java client's.</summary>
    Java,

    /// <summary>
    /// Those of librdkafka and Confluent.Kafka: keys by CRC-32, records of committed transactions only, topics not created.
    /// </summary>
    Librdkafka,
}

/// <summary>A property that was not taken over, and why.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Reason">Why.</param>
public readonly record struct IgnoredProperty(string Name, string Reason);

/// <summary>The options of a client out of the properties of other clients: those of Kafka's Java client and of librdkafka.</summary>
/// <remarks>
/// For programs that move. What means nothing here is not an error: <see cref="Ignored"/> names it, with the reason, for the log. A value
/// that cannot be read is an error, and so is one that would change where keys go or what is read, if it is not known here.
/// </remarks>
public sealed class ClientProperties
{
    private ClientProperties(
        OttlaClientOptions client, ProducerOptions producer, ConsumerOptions consumer, IReadOnlyList<IgnoredProperty> ignored)
    {
        Client = client;
        Producer = producer;
        Consumer = consumer;
        Ignored = ignored;
    }

    /// <summary>How the cluster is reached.</summary>
    public OttlaClientOptions Client { get; }

    /// <summary>How producers behave.</summary>
    public ProducerOptions Producer { get; }

    /// <summary>How consumers read.</summary>
    public ConsumerOptions Consumer { get; }

    /// <summary>The properties that were not taken over.</summary>
    public IReadOnlyList<IgnoredProperty> Ignored { get; }

    /// <summary>Reads properties. Later ones win.</summary>
    /// <param name="properties">Names and values, as in a properties file or a <c>ProducerConfig</c> of Confluent.Kafka.</param>
    /// <param name="defaults">Whose defaults hold for what is not named.</param>
    /// <exception cref="ArgumentException">A value cannot be read; the message names the property.</exception>
    /// <exception cref="IOException">A file that a property names cannot be read.</exception>
    public static ClientProperties Read(
        IEnumerable<KeyValuePair<string, string>> properties, PropertyDefaults defaults = PropertyDefaults.Java)
    {
        ArgumentNullException.ThrowIfNull(properties);
        var target = new PropertyTarget();
        if (defaults == PropertyDefaults.Librdkafka)
        {
            target.Producer = target.Producer with { KeyPartitioner = KeyPartitioner.Crc32 };
            target.Consumer = target.Consumer with { IsolationLevel = IsolationLevel.ReadCommitted };
        }

        foreach (var (name, value) in properties)
        {
            if (KnownProperties.Find(name) is not { } known)
            {
                target.Ignore(name, "this client has nothing like it");
                continue;
            }

            try
            {
                known(target, new PropertyValue(name, value));
            }
            catch (Exception e) when (e is FormatException or OverflowException)
            {
                throw new ArgumentException($"{name} = {value} cannot be read: {e.Message}", nameof(properties), e);
            }
        }

        var client = target.Client with { Security = target.Security.Build(target) };
        return new ClientProperties(client, target.Producer, target.Consumer, target.Ignored);
    }
}
