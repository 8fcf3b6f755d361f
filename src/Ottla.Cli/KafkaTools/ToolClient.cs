using Microsoft.Extensions.Logging;
using Ottla.Cli.KafkaTools.Text;
using Ottla.Client;
using Ottla.Configuration;

namespace Ottla.Cli.KafkaTools;

/// <summary>A tool's client of the cluster. Owned by one invocation.</summary>
internal sealed class ToolClient : IAsyncDisposable
{
    private readonly StandardErrorLog _log;

    private ToolClient(ClientProperties properties, LogLevel level)
    {
        _log = new StandardErrorLog(level, TimeProvider.System);
        Properties = properties;
        Client = new OttlaClient(properties.Client with { LoggerFactory = _log });
        Admin = Client.CreateAdmin();
    }

    /// <summary>The options out of the properties.</summary>
    public ClientProperties Properties { get; }

    /// <summary>The client.</summary>
    public OttlaClient Client { get; }

    /// <summary>Its administration.</summary>
    public IAdmin Admin { get; }

    /// <summary>Makes a client. It connects on first use.</summary>
    /// <param name="properties">Kafka's names and values.</param>
    /// <param name="level">What is logged to standard error: this level and worse.</param>
    /// <exception cref="JavaException">A value is malformed.</exception>
    public static ToolClient Open(IEnumerable<KeyValuePair<string, string>> properties, LogLevel level = LogLevel.Warning)
    {
        try
        {
            return new ToolClient(ClientProperties.Read(properties), level);
        }
        catch (ArgumentException e)
        {
            throw new JavaException("org.apache.kafka.common.config.ConfigException", e.Message);
        }
        catch (IOException e)
        {
            throw new JavaException("org.apache.kafka.common.KafkaException", e.Message);
        }
    }

    /// <summary>Makes a client for administration.</summary>
    /// <param name="bootstrapServer">The brokers to ask first; null when there are controllers.</param>
    /// <param name="bootstrapController">The controllers to ask first; null when there are brokers.</param>
    /// <param name="commandConfig">A properties file; null for none.</param>
    /// <param name="clientId">The client's name when the file has none.</param>
    public static ToolClient Open(
        string? bootstrapServer, string? bootstrapController = null, string? commandConfig = null, string clientId = "adminclient-1")
    {
        var properties = new Dictionary<string, string> { ["client.id"] = clientId };
        if (commandConfig is not null)
        {
            foreach (var (name, value) in ReadFile(commandConfig))
                properties[name] = value;
        }

        properties.Remove("bootstrap.servers");
        properties.Remove("bootstrap.controllers");
        if (bootstrapServer is not null)
            properties["bootstrap.servers"] = bootstrapServer;
        if (bootstrapController is not null)
            properties["bootstrap.controllers"] = bootstrapController;
        return Open(properties);
    }

    /// <summary>Reads a properties file.</summary>
    /// <exception cref="JavaException">It cannot be read.</exception>
    public static IReadOnlyDictionary<string, string> ReadFile(string path)
    {
        try
        {
            using var reader = new FileInfo(path).OpenText();
            return JavaProperties.Parse(reader.ReadToEnd());
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new JavaException("java.nio.file.NoSuchFileException", path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ConfigException)
        {
            throw new JavaException("java.io.IOException", e.Message);
        }
    }

    /// <summary>Makes a call.</summary>
    /// <param name="name">The call's name in Kafka's admin client, for time-outs.</param>
    /// <param name="call">The call.</param>
    /// <exception cref="JavaException">It failed.</exception>
    public async Task<T> CallAsync<T>(string name, Func<IAdmin, Task<T>> call)
    {
        try
        {
            return await call(Admin);
        }
        catch (KafkaException e)
        {
            throw JavaErrors.Of(e, name);
        }
        catch (ArgumentException e)
        {
            throw JavaException.IllegalArgument(e.Message);
        }
    }

    /// <inheritdoc cref="CallAsync{T}"/>
    public Task CallAsync(string name, Func<IAdmin, Task> call) => CallAsync(name, async admin =>
    {
        await call(admin);
        return true;
    });

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await Client.DisposeAsync();
        _log.Dispose();
    }
}
