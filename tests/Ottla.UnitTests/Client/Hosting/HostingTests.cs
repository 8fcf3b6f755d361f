using System.Collections.Concurrent;
using System.Text;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Ottla.Client;
using Ottla.Extensions.Hosting;

namespace Ottla.UnitTests.Client.Hosting;

/// <summary>Clients, workers and health checks among the services of a host.</summary>
public sealed class HostingTests
{
    [Fact]
    public async Task Opens_clients_and_producers_out_of_a_configuration()
    {
        await using var bed = await ClientBed.StartAsync("a");
        var services = Services();
        var section = new TestSection(
            ("bootstrap.servers", ClientBed.OptionsFor(bed.Node).BootstrapServers), ("linger.ms", "7"), ("client.id", "from-config"));
        services.AddOttla(section, options => ToBed(options, bed));
        services.AddOttla(section, options => ToBed(options, bed) with { ClientId = "second" }, serviceKey: "other");
        ProducerOptions? seen = null;
        services.AddOttlaProducer<string, string>(options => seen = options);
        await using var provider = services.BuildServiceProvider();
        await StartAsync(provider);
        Assert.Equal("from-config", provider.GetRequiredService<OttlaClient>().Options.ClientId);
        Assert.Equal("second", provider.GetRequiredKeyedService<OttlaClient>("other").Options.ClientId);
        Assert.Equal(TimeSpan.FromMilliseconds(7), seen!.Linger);
        var producer = provider.GetRequiredService<IProducer<string, string>>();
        Assert.Equal(0, (await bed.RunAsync(producer.ProduceAsync(new ProducerRecord<string, string>("a", null, "x")))).Offset);
        await bed.RunAsync(provider.DisposeAsync().AsTask(), stepMs: 100);
    }

    [Fact]
    public async Task Wrong_options_end_the_start()
    {
        var services = Services();
        services.AddOttla(new TestSection(("bootstrap.servers", "no port")));
        await using var provider = services.BuildServiceProvider();
        await Assert.ThrowsAsync<ArgumentException>(() => StartAsync(provider));
    }

    [Fact]
    public async Task Says_whether_the_cluster_answers()
    {
        await using var bed = await ClientBed.StartAsync();
        var services = Services();
        services.AddOttla(configure: options => ToBed(options, bed));
        services.AddHealthChecks().AddOttla();
        await using var provider = services.BuildServiceProvider();
        var report = await bed.RunAsync(provider.GetRequiredService<HealthCheckService>().CheckHealthAsync());
        Assert.Equal(HealthStatus.Healthy, report.Entries["kafka"].Status);
        await bed.RunAsync(provider.DisposeAsync().AsTask(), stepMs: 100);
    }

    [Fact]
    public async Task Tries_again_and_puts_what_fails_at_last_to_the_dead_letters()
    {
        await using var bed = await ClientBed.StartAsync("in", "again", "dead");
        await using var producer = bed.Client.CreateProducer<string, byte[]>();
        foreach (var value in new byte[][] { [.. "good"u8], [.. "once"u8], [.. "never"u8], [0xff] })
            await bed.RunAsync(producer.ProduceAsync("in", "key", value));
        var attempts = new ConcurrentQueue<string>();
        var options = new RecordWorkerOptions
        {
            Topics = ["in"],
            RetryTopics = [new RetryTopic("again", TimeSpan.FromSeconds(10))],
            DeadLetterTopic = "dead",
        };
        var worker = new RecordWorker<string, string>(
            bed.Client, new ConsumerOptions { GroupId = "g", OffsetReset = OffsetReset.Earliest }, options, Deserializers.Utf8,
            new StrictText(),
            (record, _) =>
            {
                attempts.Enqueue($"{record.Value} {record.Attempt}");
                return record.Value == "never" || (record.Value == "once" && record.Attempt == 1)
                    ? throw new InvalidDataException("not now") : ValueTask.CompletedTask;
            },
            NullLogger.Instance);
        await worker.StartAsync(CancellationToken.None);
        await using var reader = bed.Client.CreateConsumer<string, byte[]>(new ConsumerOptions { OffsetReset = OffsetReset.Earliest });
        reader.Assign([new("dead", 0)]);
        var dead = new List<string>();
        while (dead.Count < 2)
        {
            if (await bed.RunAsync(reader.ConsumeOneAsync(TimeSpan.FromSeconds(5)).AsTask(), stepMs: 10) is not { } record)
                continue;
            Assert.Equal("key", record.Key);
            dead.Add($"{Header(record, "ottla-origin-topic")}@{Header(record, "ottla-origin-offset")} "
                + $"after {Header(record, "ottla-attempts")}: {Header(record, "ottla-error").Split(':')[0]}");
        }

        Assert.Equal(
            ["in@2 after 2: System.IO.InvalidDataException", "in@3 after 1: System.Text.DecoderFallbackException"], dead.Order());
        Assert.Equal(["good 1", "never 1", "never 2", "once 1", "once 2"], attempts.Order());
        await bed.RunAsync(worker.StopAsync(CancellationToken.None), stepMs: 10);
    }

    [Fact]
    public void Refuses_workers_that_cannot_work()
    {
        var options = new RecordWorkerOptions { Topics = ["a"] };
        Assert.Throws<ArgumentException>(() => (options with { Topics = [] }).Validate());
        Assert.Throws<ArgumentException>(() => (options with { RetryTopics = [new RetryTopic("b", TimeSpan.Zero)] }).Validate());
        Assert.Throws<ArgumentException>(() => (options with { DeadLetterTopic = "a" }).Validate());
        options.Validate();
    }

    private static string Header(ConsumeResult<string, byte[]> record, string name) =>
        record.Headers.TryGetLast(name, out var value) ? Encoding.UTF8.GetString(value) : "";

    private static ServiceCollection Services()
    {
        var services = new ServiceCollection();
        services.AddSingleton<ILoggerFactory>(NullLoggerFactory.Instance);
        services.AddSingleton(typeof(ILogger<>), typeof(NullLogger<>));
        return services;
    }

    private static OttlaClientOptions ToBed(OttlaClientOptions options, ClientBed bed)
    {
        var wanted = ClientBed.OptionsFor(bed.Node);
        return options with
        {
            BootstrapServers = wanted.BootstrapServers,
            TimeProvider = wanted.TimeProvider,
            Transport = wanted.Transport,
            Seed = wanted.Seed,
        };
    }

    private static async Task StartAsync(IServiceProvider provider)
    {
        foreach (var service in provider.GetServices<IHostedService>())
            await service.StartAsync(CancellationToken.None);
    }

    private sealed class StrictText : IDeserializer<string>
    {
        public string Deserialize(ReadOnlyMemory<byte> data, SerializationContext context) =>
            new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(data.Span);
    }

    /// <summary>A section of a configuration with these values.</summary>
    private sealed class TestSection(params (string Name, string Value)[] values) : IConfigurationSection
    {
        public string Key => "";

        public string Path => "";

        public string? Value { get; set; }

        public string? this[string key]
        {
            get => values.FirstOrDefault(each => each.Name == key).Value;
            set => throw new NotSupportedException();
        }

        public IEnumerable<IConfigurationSection> GetChildren() => values.Select(each => new Leaf(each.Name, each.Value));

        public Microsoft.Extensions.Primitives.IChangeToken GetReloadToken() => throw new NotSupportedException();

        public IConfigurationSection GetSection(string key) => throw new NotSupportedException();

        private sealed class Leaf(string key, string value) : IConfigurationSection
        {
            public string Key => key;

            public string Path => key;

            public string? Value { get; set; } = value;

            public string? this[string child]
            {
                get => null;
                set => throw new NotSupportedException();
            }

            public IEnumerable<IConfigurationSection> GetChildren() => [];

            public Microsoft.Extensions.Primitives.IChangeToken GetReloadToken() => throw new NotSupportedException();

            public IConfigurationSection GetSection(string child) => throw new NotSupportedException();
        }
    }
}
