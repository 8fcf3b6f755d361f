using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Ottla.Client;

namespace Ottla.Extensions.Hosting;

/// <summary>Adds clients of Kafka clusters, and what is opened from them, to the services of an application.</summary>
/// <remarks>
/// A configuration section has Kafka's property names as keys (<c>bootstrap.servers</c>, <c>group.id</c>), which
/// <see cref="ClientProperties"/>
/// reads; functions change the options after that. All is made and checked when the host starts, and closed when it stops. Services with a
/// key belong to the client that was added with the same key.
/// </remarks>
public static class OttlaServiceCollectionExtensions
{
    /// <summary>Adds a client (<see cref="OttlaClient"/>, a singleton).</summary>
    /// <param name="services">The services.</param>
    /// <param name="section">Kafka's properties, those of producers and consumers too; null for none.</param>
    /// <param name="configure">Changes the options that the section says; null to leave them.</param>
    /// <param name="serviceKey">The client's key; null for the client without one.</param>
    /// <param name="defaults">Whose defaults hold for what the section does not name.</param>
    public static IServiceCollection AddOttla(
        this IServiceCollection services, IConfiguration? section = null, Func<OttlaClientOptions, OttlaClientOptions>? configure = null,
        object? serviceKey = null, PropertyDefaults defaults = PropertyDefaults.Java)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddKeyedSingleton(Key(serviceKey), (provider, _) =>
        {
            var read = ClientProperties.Read(Properties(section), defaults);
            foreach (var (name, reason) in read.Ignored)
                HostingLog.Ignored(LoggerOf(provider), name, reason);
            return read;
        });
        services.AddKeyedSingleton(Key(serviceKey), (provider, key) =>
        {
            var options = provider.GetRequiredKeyedService<ClientProperties>(key).Client with
            {
                LoggerFactory = provider.GetService<ILoggerFactory>(),
            };
            return new OttlaClient(configure is null ? options : configure(options));
        });
        if (serviceKey is null)
            services.TryAddSingleton(provider => provider.GetRequiredKeyedService<OttlaClient>(Key(null)));
        AddStart(services, provider => provider.GetRequiredKeyedService<OttlaClient>(Key(serviceKey)));
        return services;
    }

    /// <summary>Adds a producer (<see cref="IProducer{TKey, TValue}"/>, a singleton) of a client that is added, too.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Changes the options that the client's section says; null to leave them.</param>
    /// <param name="serviceKey">The client's key, and the producer's.</param>
    /// <param name="keySerializer">Writes keys; null for that of the type.</param>
    /// <param name="valueSerializer">Writes values; null for that of the type.</param>
    public static IServiceCollection AddOttlaProducer<TKey, TValue>(
        this IServiceCollection services, Func<ProducerOptions, ProducerOptions>? configure = null, object? serviceKey = null,
        ISerializer<TKey>? keySerializer = null, ISerializer<TValue>? valueSerializer = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        services.AddKeyedSingleton<IProducer<TKey, TValue>>(Key(serviceKey), (provider, key) =>
        {
            var options = provider.GetRequiredKeyedService<ClientProperties>(key).Producer;
            return provider.GetRequiredKeyedService<OttlaClient>(key)
                .CreateProducer(configure is null ? options : configure(options), keySerializer, valueSerializer);
        });
        if (serviceKey is null)
            services.TryAddSingleton(provider => provider.GetRequiredKeyedService<IProducer<TKey, TValue>>(Key(null)));
        AddStart(services, provider => provider.GetRequiredKeyedService<IProducer<TKey, TValue>>(Key(serviceKey)));
        return services;
    }

    /// <summary>
    /// Adds a hosted service that reads topics and has each record handled, with retries and dead letters (<see cref="RecordWorker{TKey,
    /// TValue}"/>).
    /// </summary>
    /// <typeparam name="THandler">Handles records; a service of a scope for each record.</typeparam>
    /// <typeparam name="TKey">The type of keys.</typeparam>
    /// <typeparam name="TValue">The type of values.</typeparam>
    /// <param name="services">The services.</param>
    /// <param name="options">The topics, and what becomes of records that are not handled.</param>
    /// <param name="configure">Changes the options that the client's section says; null to leave them.</param>
    /// <param name="serviceKey">The client's key.</param>
    /// <param name="keyDeserializer">Reads keys; null for that of the type.</param>
    /// <param name="valueDeserializer">Reads values; null for that of the type.</param>
    /// <exception cref="ArgumentException">An option is wrong.</exception>
    public static IServiceCollection AddOttlaWorker<
        [System.Diagnostics.CodeAnalysis.DynamicallyAccessedMembers(
            System.Diagnostics.CodeAnalysis.DynamicallyAccessedMemberTypes.PublicConstructors)] THandler, TKey, TValue>(
        this IServiceCollection services, RecordWorkerOptions options, Func<ConsumerOptions, ConsumerOptions>? configure = null,
        object? serviceKey = null, IDeserializer<TKey>? keyDeserializer = null, IDeserializer<TValue>? valueDeserializer = null)
        where THandler : class, IRecordHandler<TKey, TValue>
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        services.TryAddScoped<THandler>();
        services.AddSingleton<IHostedService>(provider =>
        {
            var read = provider.GetRequiredKeyedService<ClientProperties>(Key(serviceKey)).Consumer;
            return new RecordWorker<TKey, TValue>(
                provider.GetRequiredKeyedService<OttlaClient>(Key(serviceKey)), configure is null ? read : configure(read), options,
                keyDeserializer ?? Deserializers.For<TKey>(), valueDeserializer ?? Deserializers.For<TValue>(),
                async (record, cancellation) =>
                {
                    await using var scope = provider.CreateAsyncScope();
                    await scope.ServiceProvider.GetRequiredService<THandler>().HandleAsync(record, cancellation);
                },
                LoggerOf(provider));
        });
        return services;
    }

    /// <summary>Adds a health check: whether a node of the cluster answers.</summary>
    /// <param name="builder">The health checks.</param>
    /// <param name="name">The check's name.</param>
    /// <param name="serviceKey">The client's key.</param>
    /// <param name="tags">Tags to choose checks by.</param>
    public static IHealthChecksBuilder AddOttla(
        this IHealthChecksBuilder builder, string name = "kafka", object? serviceKey = null, IEnumerable<string>? tags = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Add(new Microsoft.Extensions.Diagnostics.HealthChecks.HealthCheckRegistration(
            name, provider => new ClusterHealthCheck(provider.GetRequiredKeyedService<OttlaClient>(Key(serviceKey))), null, tags));
    }

    /// <summary>The key of the client without one: not null, since that is no key.</summary>
    private static object Key(object? serviceKey) => serviceKey ?? typeof(OttlaClient);

    private static ILogger LoggerOf(IServiceProvider provider) =>
        provider.GetService<ILoggerFactory>()?.CreateLogger("Ottla.Extensions.Hosting")
        ?? (ILogger)Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance;

    private static IEnumerable<KeyValuePair<string, string>> Properties(IConfiguration? section)
    {
        foreach (var property in section?.GetChildren() ?? [])
        {
            if (property.Value is { } value)
                yield return KeyValuePair.Create(property.Key, value);
        }
    }

    private static void AddStart(IServiceCollection services, Func<IServiceProvider, object> make) =>
        services.AddSingleton<IHostedService>(provider => new MadeAtStart(() => make(provider)));
}
