using System.IO.Compression;
using System.Net;
using System.Text.Json;
using Ottla.Broker.Server;
using Ottla.Kernel;
using Ottla.Protocol.Messages;
using Ottla.StateMachines.Metadata;
using Ottla.StateMachines.Quotas;
using Ottla.UnitTests.Broker;
using static Ottla.UnitTests.Broker.Requests;

namespace Ottla.UnitTests.Security;

/// <summary>Client quotas: what is stored and answered, and how clients are held back.</summary>
public sealed class ClientQuotaTests
{
    /// <summary>Rows of the recording that are answered differently, and why.</summary>
    private static readonly Dictionary<string, string> Deviations = new()
    {
        ["alter: ip localhost"] = "names of hosts are refused: each broker might take them for other addresses",
    };

    /// <summary>Everything that a broker of Apache Kafka answered about quotas, and how long it held clients back at each level.</summary>
    [Fact]
    public async Task The_recorded_answers()
    {
        await using var node = await TestNode.StartAsync();
        await using var admin = await PrincipalClient.ConnectAsync(node.Node.Apis, ClientPrincipal.Anonymous);
        var (answers, levels) = (0, 0);
        foreach (var row in Rows())
        {
            var name = row.TryGetProperty("case", out var text) ? text.GetString()! : "";
            if (name.StartsWith("set ", StringComparison.Ordinal) || name == "user producer_byte_rate 50000")
                await RemoveAllAsync(admin);
            if (row.TryGetProperty("levelWins", out _))
            {
                CheckLevel(node, row);
                levels++;
            }
            else if (row.TryGetProperty("api", out var api)
                && api.GetString() is "AlterClientQuotas" or "DescribeClientQuotas")
            {
                await CompareAsync(admin, row, name);
                answers++;
            }
        }

        Assert.Equal((16, true), (levels, answers > 60));
    }

    [Fact]
    public async Task A_producer_above_its_quota_is_answered_at_once_and_then_held_back_and_others_are_not()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await using var other = await node.ConnectAsync();
        await SetAsync(client, "client-id", "test", "producer_byte_rate", 10);
        var answer = await client.CallAsync<ProduceRequest, ProduceResponse>(Produce("t", Uuid.Zero, Batch(), 9), 9);
        Assert.True(answer.ThrottleTimeMs > 1_000, $"{answer.ThrottleTimeMs} ms");
        Assert.Equal(0, answer.Responses[0].PartitionResponses[0].ErrorCode);
        await client.SendAsync(new ApiVersionsRequest(), 0);
        var waiting = client.ReceiveAsync<ApiVersionsResponse>();
        await other.AssertAliveAsync();
        Assert.False(waiting.IsCompleted);
        await node.Clock.AdvanceUntilAsync(waiting, answer.ThrottleTimeMs + 1);
        Assert.Equal(0, (await waiting).ErrorCode);
        await SetAsync(client, "client-id", "test", "producer_byte_rate", null);
        Assert.Equal(0, (await client.CallAsync<ProduceRequest, ProduceResponse>(Produce("t", Uuid.Zero, Batch(), 9), 9)).ThrottleTimeMs);
    }

    [Fact]
    public async Task A_consumer_above_its_quota_gets_nothing_and_later_what_the_window_allows()
    {
        var (node, client, _) = await TestNode.StartWithTopicAsync("t");
        await using var _1 = node;
        await using var reader = await node.ConnectAsync();
        for (var i = 0; i < 3; i++)
            await client.ProduceAsync("t", Batch(valueBytes: 600));
        await SetAsync(client, "client-id", "test", "consumer_byte_rate", 100); // 1,000 bytes in ten seconds
        var first = await reader.CallAsync<FetchRequest, FetchResponse>(FromStart(), 12);
        Assert.Equal((0, 1), (first.ThrottleTimeMs, Batches(first)));
        var second = await reader.CallAsync<FetchRequest, FetchResponse>(FromStart(), 12);
        Assert.True(second.ThrottleTimeMs > 0);
        Assert.Empty(second.Responses);
        await reader.SendAsync(FromStart(), 12);
        var third = reader.ReceiveAsync<FetchResponse>();
        await client.AssertAliveAsync();
        Assert.False(third.IsCompleted);
        node.Clock.SkipMs(20_000); // before the connection goes on: the window is empty then
        await node.Clock.AdvanceUntilAsync(third, second.ThrottleTimeMs);
        Assert.Equal(1, Batches(await third));

        static int Batches(FetchResponse fetched) =>
            Assert.Single(Assert.Single(fetched.Responses).Partitions).Records.Length / Batch(valueBytes: 600).Length;

        static FetchRequest FromStart() => new()
        {
            ReplicaId = -1,
            MaxBytes = 1_000_000,
            SessionEpoch = -1,
            Topics = [new() { Topic = "t", Partitions = [new() { Partition = 0, CurrentLeaderEpoch = -1, LastFetchedEpoch = -1,
                LogStartOffset = -1, PartitionMaxBytes = 1_000_000 }] }],
        };
    }

    [Fact]
    public async Task Creating_and_deleting_partitions_has_a_quota()
    {
        await using var node = await TestNode.StartAsync();
        await using var admin = await node.ConnectAsync();
        await SetAsync(admin, "user", "ANONYMOUS", "controller_mutation_rate", 1);
        Assert.Equal((0, 0), await CreateAsync("m1", 8, 7));
        Assert.Equal((0, 0), await CreateAsync("m2", 8, 7)); // the credit goes below zero once
        Assert.Equal((89, 5_000), await CreateAsync("m3", 1, 7));
        node.Clock.AdvanceMs(5_000);
        Assert.Equal((0, 1_000), await CreateAsync("m3", 1, 5)); // old versions do not know the error

        async Task<(int Error, int ThrottleTimeMs)> CreateAsync(string topic, int partitions, short version)
        {
            await using var client = await node.ConnectAsync(); // one that is not held back yet
            var answer = await client.CallAsync<CreateTopicsRequest, CreateTopicsResponse>(
                new() { Topics = [new() { Name = topic, NumPartitions = partitions, ReplicationFactor = 1 }], TimeoutMs = 5_000 }, version);
            return (answer.Topics[0].ErrorCode, answer.ThrottleTimeMs);
        }
    }

    [Fact]
    public async Task The_time_of_requests_has_a_quota_of_at_most_one_window()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await SetAsync(client, "user", null, "request_percentage", 1e-9);
        await using var admin = await PrincipalClient.ConnectAsync(
            node.Node.Apis, ClientPrincipal.Anonymous, quotas: node.Node.Shared.Quotas);
        var answer = await admin.CallAsync<MetadataRequest, MetadataResponse>(new() { Topics = null });
        Assert.Equal(1_000, answer.ThrottleTimeMs);
        Assert.InRange(admin.MutedFor.TotalMilliseconds, 1, 1_000);
    }

    [Fact]
    public async Task An_address_that_connects_too_often_is_refused()
    {
        await using var node = await TestNode.StartAsync();
        await using var client = await node.ConnectAsync();
        await SetAsync(client, "ip", "10.0.0.5", "connection_creation_rate", 2);
        var from = IPAddress.Parse("10.0.0.5");
        for (var i = 0; i < 20; i++)
        {
            await using var connection = await node.ConnectAsync(from: from);
            await connection.AssertAliveAsync();
        }

        await using var refused = await node.ConnectAsync(from: from);
        var answer = refused.ReceiveFrameAsync();
        await client.AssertAliveAsync();
        Assert.False(answer.IsCompleted);
        await Waiting.UntilAsync(() =>
        {
            node.Clock.AdvanceMs(100);
            return answer.IsCompleted;
        });
        Assert.Null(await answer);
        node.Clock.AdvanceMs(11_000);
        await using var later = await node.ConnectAsync(from: from);
        await later.AssertAliveAsync();
    }

    [Fact]
    public void Uses_that_count_no_more_are_forgotten()
    {
        var clock = new TestClock();
        var quotas = new ClientQuotas(11, 1_000, 11, 1_000, clock);
        quotas.Publish(DeltaOf(("client-id", null, "producer_byte_rate", 1_000)));
        var connection = new ConnectionInfo("PLAINTEXT", IPAddress.Loopback, _ => { }, default, default);
        for (var i = 0; i < 20_000; i++)
        {
            if (i % 500 == 0)
                clock.AdvanceMs(13_000);
            quotas.Record(new RequestContext(ApiKey.Produce, 9, 1, $"client-{i}", connection), QuotaKind.Produce, 1);
        }

        Assert.InRange(quotas.UseCount, 1, 2_000);
    }

    [Fact]
    public void Connections_of_one_client_share_their_quota_also_after_it_was_forgotten()
    {
        var clock = new TestClock();
        var quotas = new ClientQuotas(11, 1_000, 11, 1_000, clock);
        quotas.Publish(DeltaOf(("client-id", null, "producer_byte_rate", 1_000)));
        var (first, second) = (NewConnection(), NewConnection());
        Assert.Equal(0, Record("shared", first, 1));
        clock.AdvanceMs(13_000);
        for (var i = 0; i < 1_000; i++)
            Record($"other-{i}", NewConnection(), 1);
        Assert.Equal(0, Record("shared", second, 10_000));
        Assert.Equal(1_000, Record("shared", first, 1_000));

        int Record(string clientId, ConnectionInfo connection, double bytes) =>
            quotas.Record(new RequestContext(ApiKey.Produce, 9, 1, clientId, connection), QuotaKind.Produce, bytes);
    }

    /// <summary>As in Kafka: what came late in a sample counts until it has left the window itself.</summary>
    [Fact]
    public void A_sample_counts_until_its_last_value_leaves_the_window()
    {
        var rate = new SampledRate();
        rate.Record(1, 0, samples: 11, sampleMs: 1_000);
        rate.Record(20_000, 900, samples: 11, sampleMs: 1_000);
        Assert.Equal(8_501, rate.WaitMs(1_000, 11_500, int.MaxValue));
        Assert.Equal(0, rate.WaitMs(1_000, 11_900, int.MaxValue));
    }

    [Theory]
    [InlineData("0:0:0:0:0:0:0:1", "::1")]
    [InlineData("2001:DB8::00ff", "2001:db8::ff")]
    [InlineData("::ffff:10.1.2.3", "10.1.2.3")]
    [InlineData("10.1.2.3", "10.1.2.3")]
    public void The_quota_of_an_address_counts_however_it_is_written(string set, string client)
    {
        var tables = new QuotaTables(DeltaOf(("ip", set, QuotaTables.ConnectionCreationRate, 7)).New.ClientQuotas);
        Assert.Equal(7, tables.FindOfAddress(client));
        Assert.Null(tables.FindOfAddress("10.9.9.9"));
    }

    private static ConnectionInfo NewConnection() => new("PLAINTEXT", IPAddress.Loopback, _ => { }, default, default);

    private static MetadataDelta DeltaOf((string Type, string? Name, string Key, double Value) quota) =>
        MetadataImage.Empty.ApplyWithDelta(
            [new(new ClientQuotaRecord
            {
                Entity = [new() { EntityType = quota.Type, EntityName = quota.Name }],
                Key = quota.Key,
                Value = quota.Value,
            }, 0)],
            0,
            new MetadataProvenance(0, 0, 0));

    private static void CheckLevel(TestNode node, JsonElement row)
    {
        var clientId = row.GetProperty("clientId").GetString();
        var isFetch = row.GetProperty("api").GetString() == "Fetch";
        var bound = row.GetProperty("bound").GetDouble();
        var connection = new ConnectionInfo("PLAINTEXT", IPAddress.Loopback, _ => { }, default, default)
        {
            Principal = new ClientPrincipal("User", row.GetProperty("user").GetString()!, false),
        };
        var context = new RequestContext(isFetch ? ApiKey.Fetch : ApiKey.Produce, 9, 1, clientId, connection);

        // The recorded fetch does not tell how large its answer would have been: as large as the throttle time says.
        var expected = row.GetProperty("throttleTimeMs").GetInt32();
        var bytes = isFetch ? Math.Round(bound * (expected + 10_000) / 1_000) : row.GetProperty("requestBytes").GetDouble() - 4;
        var throttleMs = node.Node.Shared.Quotas.Record(context, isFetch ? QuotaKind.Fetch : QuotaKind.Produce, bytes);
        Assert.InRange(throttleMs, expected - 20, expected + 20); // the recorded request took some milliseconds
    }

    private static async Task CompareAsync(PrincipalClient admin, JsonElement row, string name)
    {
        var request = row.GetProperty("request");
        var key = Enum.Parse<ApiKey>(row.GetProperty("api").GetString()!);
        var version = row.GetProperty("v").GetInt16();
        var correlationId = request.GetProperty("correlationId").GetInt32();
        var answer = await admin.SendFrameAsync(Convert.FromHexString(request.GetProperty("hex").GetString()!));
        var expected = RecordedAnswers.Decode(
            key, version, correlationId, Convert.FromHexString(row.GetProperty("response").GetProperty("hex").GetString()!));
        var actual = RecordedAnswers.Decode(key, version, correlationId, answer!);
        if (Deviations.ContainsKey(name))
            Assert.NotEqual(Text(expected), Text(actual));
        else if (actual is AlterClientQuotasResponse || ((DescribeClientQuotasResponse)actual).ErrorCode != 0)
            Assert.True(Text(expected).SequenceEqual(Text(actual)), $"{name}: {string.Join("; ", Text(actual))}");
        else if (name.StartsWith("describe: user", StringComparison.Ordinal) || name.StartsWith("describe: ip", StringComparison.Ordinal))
            Assert.True(Text(expected).SequenceEqual(Text(actual)), $"{name}: {string.Join("; ", Text(actual))}");
    }

    private static string[] Text(IMessage response) => response switch
    {
        AlterClientQuotasResponse altered =>
        [
            .. altered.Entries.Select(entry => $"{entry.ErrorCode} {entry.ErrorMessage} "
                + string.Join(',', entry.Entity.Select(part => $"{part.EntityType}={part.EntityName}").Order(StringComparer.Ordinal)))
                .Order(StringComparer.Ordinal),
        ],
        DescribeClientQuotasResponse described =>
        [
            $"{described.ErrorCode} {described.ErrorMessage}",
            .. (described.Entries ?? []).Select(entry =>
                string.Join(',', entry.Entity.Select(part => $"{part.EntityType}={part.EntityName}").Order(StringComparer.Ordinal)) + " "
                + string.Join(',', entry.Values.Select(value => $"{value.Key}={value.Value}").Order(StringComparer.Ordinal)))
                .Order(StringComparer.Ordinal),
        ],
        _ => throw new ArgumentException("no answer about quotas", nameof(response)),
    };

    private static IEnumerable<JsonElement> Rows()
    {
        using var stream = File.OpenRead(GoldenData.Path(Path.Combine("security", "quotas.jsonl.gz")));
        using var reader = new StreamReader(new GZipStream(stream, CompressionMode.Decompress));
        while (reader.ReadLine() is { } line)
        {
            using var json = JsonDocument.Parse(line);
            yield return json.RootElement.Clone();
        }
    }

    private static async Task RemoveAllAsync(PrincipalClient admin)
    {
        var all = await admin.CallAsync<DescribeClientQuotasRequest, DescribeClientQuotasResponse>(new() { Components = [] });
        await admin.CallAsync<AlterClientQuotasRequest, AlterClientQuotasResponse>(new()
        {
            Entries =
            [
                .. all.Entries!.Select(entry => new AlterClientQuotasRequest.EntryData
                {
                    Entity = [.. entry.Entity.Select(part => new AlterClientQuotasRequest.EntityData
                        { EntityType = part.EntityType, EntityName = part.EntityName })],
                    Ops = [.. entry.Values.Select(value => new AlterClientQuotasRequest.OpData { Key = value.Key, Remove = true })],
                }),
            ],
        });
    }

    private static async Task SetAsync(TestConnection client, string type, string? name, string key, double? value)
    {
        var altered = await client.CallAsync<AlterClientQuotasRequest, AlterClientQuotasResponse>(new()
        {
            Entries =
            [
                new()
                {
                    Entity = [new() { EntityType = type, EntityName = name }],
                    Ops = [new() { Key = key, Value = value ?? 0, Remove = value is null }],
                },
            ],
        });
        Assert.Equal(0, Assert.Single(altered.Entries).ErrorCode);
    }
}
