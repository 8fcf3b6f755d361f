#pragma warning disable CS0649, CS0169, CA1822, CA1859 // nothing of this runs: it is there to be compiled

using System.Text.Json.Serialization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Ottla.Client;
using Ottla.Extensions.Hosting;

namespace Ottla.UnitTests.Client.Docs;

/// <summary>
/// What the documents' C# uses and does not show. The other part of the class is made of the documents when the tests are built
/// (Snippets.targets): code that does not compile there is an error of the build.
/// </summary>
internal sealed partial class SnippetContext(
    OttlaClient client, Consumer<string, string> consumer, IHostApplicationBuilder builder, ILogger logger)
{
    private readonly OttlaClient client = client;
    private readonly Consumer<string, string> consumer = consumer;
    private readonly IHostApplicationBuilder builder = builder;
    private readonly ILogger logger = logger;
    private readonly CancellationToken stopping;
    private readonly Dictionary<string, string> properties = [];
    private readonly PartitionOffset[] offsets = [];
    private readonly string jsonSchema = "";

    private static Task HandleAsync(string? key, string? value) => Task.FromResult((key, value));

    private static Task HandleAsync(string? value, CancellationToken lost) => Task.FromResult((value, lost));
}

internal sealed record Order(string Id);

/// <summary>What a user of Ottla.Testing tests.</summary>
internal static class Application
{
    public static Task RunAsync(string bootstrapServers) => Task.FromResult(bootstrapServers);
}

[JsonSerializable(typeof(Order))]
internal sealed partial class MyContext : JsonSerializerContext;

internal sealed class OrderHandler : IRecordHandler<string, string>
{
    public ValueTask HandleAsync(HandledRecord<string, string> record, CancellationToken cancellation) => ValueTask.CompletedTask;
}

/// <summary>The shape of OpenTelemetry's builder, whose packages the tests do not need otherwise.</summary>
internal static class OpenTelemetryShape
{
    public static Builder AddOpenTelemetry(this IServiceCollection services) => new(services);

    internal sealed record Builder(IServiceCollection Services)
    {
        public Builder WithTracing(Action<Signals> configure) => With(configure);

        public Builder WithMetrics(Action<Signals> configure) => With(configure);

        private Builder With(Action<Signals> configure)
        {
            configure(new Signals([]));
            return this;
        }
    }

    internal sealed record Signals(List<string> Names)
    {
        public Signals AddSource(params string[] names) => Add(names);

        public Signals AddMeter(params string[] names) => Add(names);

        private Signals Add(string[] names)
        {
            Names.AddRange(names);
            return this;
        }
    }
}
